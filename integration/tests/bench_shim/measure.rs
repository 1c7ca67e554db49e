//! The cases of the bench and how each is measured. CPU time is what the cgroup of containerd counts: containerd itself,
//! its shims and their runtimes; the containers' own processes and the client are elsewhere.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use integration::engine::{Containerd, Ttrpc};
use integration::host::cgroup_mount;

use crate::Contender;

pub const IMAGE: &str = "docker.io/library/busybox:latest";

/// What an exec runs.
const TRUE: &str = r#"{"args":["/bin/true"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}"#;

/// A row of the table: a value for each contender.
#[derive(Debug)]
pub struct Figure {
    pub what: String,
    pub values: Vec<f64>,
}

/// The contenders at one containerd.
pub struct Bench<'a> {
    ctr: &'a Containerd,
    pub contenders: Vec<Contender>,
    rounds: usize,
    place: PathBuf,
}

impl<'a> Bench<'a> {
    pub fn new(ctr: &'a Containerd, contenders: Vec<Contender>, rounds: usize) -> Self {
        let mount = cgroup_mount("cpuacct").or_else(|| cgroup_mount("")).unwrap();
        let place = mount.join(ctr.room().cgroup().trim_start_matches('/')).join("engine");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("cgroup.procs"), ctr.pid().to_string()).unwrap();
        Self { ctr, contenders, rounds, place }
    }

    /// Milliseconds of CPU that containerd's cgroup has used.
    fn cpu(&self) -> f64 {
        if let Ok(nanoseconds) = fs::read_to_string(self.place.join("cpuacct.usage")) {
            return nanoseconds.trim().parse::<f64>().unwrap() / 1e6;
        }
        let stat = fs::read_to_string(self.place.join("cpu.stat")).unwrap();
        let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
        line.parse::<f64>().unwrap() / 1e3
    }

    /// One row a name of `names`, from what `measure` gives for each contender in each round.
    fn rows<const N: usize>(
        &self,
        names: [&str; N],
        rounds: usize,
        mut measure: impl FnMut(&Contender) -> [f64; N],
    ) -> Vec<Figure> {
        let mut samples = vec![[const { Vec::new() }; N]; self.contenders.len()];
        for _ in 0..rounds {
            for (contender, samples) in self.contenders.iter().zip(&mut samples) {
                for (sample, value) in samples.iter_mut().zip(measure(contender)) {
                    sample.push(value);
                }
            }
        }
        let row = |index: usize| Figure {
            what: names[index].to_owned(),
            values: samples.iter_mut().map(|samples| median(&mut samples[index])).collect(),
        };
        (0..N).map(row).collect()
    }

    /// create, start, the end and delete, of ten containers one after the other.
    pub fn lives(&self) -> Vec<Figure> {
        self.rows(["create, start and delete: CPU, ms"], self.rounds, |(_, flags)| {
            let before = self.cpu();
            self.ctr.output(&format!(
                "for i in $(seq 10); do ctr run --rm --null-io {flags} {IMAGE} life-$i true || exit 1; done"
            ));
            self.settled();
            [(self.cpu() - before) / 10.0]
        })
    }

    /// Until no shim is left of what was measured, whose end is a part of it.
    fn settled(&self) {
        let room = self.ctr.room().path("");
        let shims = "pgrep -c -f '[c]ontainerd-shim-.*-id life-' || true";
        self.ctr.comes_to(shims, "0");
        self.ctr.comes_to(
            &format!("ls {room}/containerd-state/io.containerd.runtime.v2.task/* | grep -c life- || true"),
            "0",
        );
    }

    /// An exec as containerd does it, by the five calls, of /bin/true. The client is this program.
    pub fn execs(&self) -> Vec<Figure> {
        let shims: Vec<_> = self.contenders.iter().map(|contender| self.sleeper(contender, "exec")).collect();
        let mut connections: Vec<_> = shims.iter().map(|(_, pid)| Ttrpc::connect(self.ctr, pid)).collect();
        let mut count = 0;
        let names = ["exec of /bin/true: clock, ms", "exec of /bin/true: CPU, ms"];
        let figures = self.rows(names, 10 * self.rounds, |contender| {
            let index = self.contenders.iter().position(|other| other == contender).unwrap();
            let (begin, before) = (Instant::now(), self.cpu());
            for _ in 0..5 {
                count += 1;
                connections[index].exec(&shims[index].0, &format!("e{count}"), TRUE);
            }
            [begin.elapsed().as_secs_f64() * 1e3 / 5.0, (self.cpu() - before) / 5.0]
        });
        for (name, _) in shims {
            self.ctr.output(&format!("ctr task rm --force {name}; ctr container rm {name}"));
        }
        figures
    }

    /// A container that sleeps, and the pid of its shim.
    fn sleeper(&self, (name, flags): &Contender, prefix: &str) -> (String, String) {
        let name = format!("{prefix}-{}", name.replace([' ', '+'], ""));
        self.ctr.output(&format!("ctr run -d --null-io {flags} {IMAGE} {name} sleep 600"));
        let pid = self.ctr.output(&format!("pgrep -f '[c]ontainerd-shim-.*-id {name} '"));
        (name, pid)
    }

    /// Many containers at once: how long until all run, what that costs, and what their shims hold.
    pub fn many(&self, count: usize) -> Vec<Figure> {
        let cases = [
            format!("{count} containers at once: clock until all run, s"),
            format!("{count} containers at once: CPU of each, ms"),
            format!("PSS of an idle shim among {count}, MiB"),
            "private memory of an idle shim, MiB".to_owned(),
            "threads of an idle shim".to_owned(),
        ];
        let names = cases.each_ref().map(String::as_str);
        self.rows(names, self.rounds.div_ceil(4), |(_, flags)| {
            let (begin, before) = (Instant::now(), self.cpu());
            self.ctr.output(&format!(
                "for i in $(seq {count}); do ctr run -d --null-io {flags} {IMAGE} many-$i sleep 600 & done; wait; \
                 [ $(ctr task ls | grep -c RUNNING) = {count} ]"
            ));
            let (clock, cpu) = (begin.elapsed().as_secs_f64(), self.cpu() - before);
            let pids = self.ctr.output("pgrep -f '[c]ontainerd-shim-.*-id many-'");
            let field = |file: &str, name: &str| {
                let of = |pid: &str| {
                    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
                    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                    line.trim_matches(|other: char| !other.is_ascii_digit()).parse::<f64>().unwrap_or(0.0)
                };
                pids.lines().map(of).sum::<f64>() / f64::from(u32::try_from(pids.lines().count()).unwrap())
            };
            let pss = field("smaps_rollup", "Pss:") / 1024.0;
            let private = (field("smaps_rollup", "Private_Dirty:") + field("smaps_rollup", "Private_Clean:")) / 1024.0;
            let threads = field("status", "Threads:");
            self.ctr.output(&format!(
                "for i in $(seq {count}); do (ctr task rm --force many-$i; ctr container rm many-$i) >/dev/null & done; wait"
            ));
            let each = cpu / f64::from(u32::try_from(count).unwrap());
            [clock, each, pss, private, threads]
        })
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}
