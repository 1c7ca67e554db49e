//! The verbs of a container's life, measured in rounds in which each contender has its turn, so that what else happens
//! on the machine falls on all of them.

use std::thread::sleep;
use std::time::Duration;

use nix::unistd::Pid;

use crate::contender::Contender;
use crate::figures::{Figures, Unit};
use crate::measure::{Sample, call, median, reap, used};
use crate::room::Room;
use crate::{Effort, Result};

/// Between calls that are to find the machine at rest.
const REST: Duration = Duration::from_millis(50);

/// `run` of both configurations: back to back, and each after a rest.
pub(crate) fn run(room: &Room, all: &[Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    let all: &[&Contender] = &all.iter().collect::<Vec<_>>();
    for (case, bundle) in [("run (a)", "plain"), ("run (b)", "full")] {
        let hot = rounds(room, all, effort.rounds, bundle, Duration::ZERO)?;
        let cold = rounds(room, all, effort.rounds / 2 + 1, bundle, REST)?;
        for ((contender, hot), cold) in all.iter().zip(hot).zip(cold) {
            add(figures, case, contender, &hot);
            figures.add(case, Unit::Cold, &contender.name, median(cold.iter().map(|s| s.wall).collect()));
        }
    }
    Ok(())
}

/// So many rounds of `run`; the samples of each contender.
pub(crate) fn rounds(
    room: &Room,
    all: &[&Contender],
    rounds: u32,
    bundle: &str,
    rest: Duration,
) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); all.len()];
    let order: Vec<usize> = (0..all.len()).collect();
    let errors = room.bundles.directory();
    // The first round warms up and does not count.
    for round in 0..=rounds {
        let first = usize::try_from(round)? % order.len();
        for index in order.iter().cycle().skip(first).take(order.len()) {
            sleep(rest);
            let contender = all[*index];
            let sample = call(errors, &mut contender.run(&room.state(contender), &room.bundles, bundle))?;
            if round > 0 {
                samples[*index].push(sample);
            }
        }
    }
    Ok(samples)
}

fn add(figures: &mut Figures, case: &str, contender: &Contender, samples: &[Sample]) {
    figures.add(case, Unit::Cpu, &contender.name, median(samples.iter().map(|s| s.cpu).collect()));
    figures.add(case, Unit::Wall, &contender.name, median(samples.iter().map(|s| s.wall).collect()));
}

/// The verbs other than `run`, in the order of a life.
const VERBS: [&str; 7] = ["create (b)", "state", "list", "start (b)", "exec (b)", "kill", "delete (b)"];

/// create, state, list, start, exec, kill and delete of a container with the full configuration.
pub(crate) fn life(room: &Room, all: &[Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    let runtimes: Vec<&Contender> = all.iter().filter(|contender| !contender.is_floor).collect();
    let floor = all.iter().find(|contender| contender.is_floor).ok_or("no floor")?;
    let mut samples = vec![vec![Vec::new(); VERBS.len()]; runtimes.len()];
    let mut floor_exec = Vec::new();
    for round in 0..=effort.rounds {
        for (index, contender) in runtimes.iter().enumerate() {
            let with = (index == 0).then_some(floor);
            let (lived, floored) = one_life(room, contender, with)?;
            if round > 0 {
                for (samples, sample) in samples[index].iter_mut().zip(lived) {
                    samples.push(sample);
                }
                floor_exec.extend(floored);
            }
        }
    }
    for (verb, name) in VERBS.iter().enumerate() {
        for (contender, samples) in runtimes.iter().zip(&samples) {
            add(figures, name, contender, &samples[verb]);
        }
        if name.starts_with("exec") {
            add(figures, name, floor, &floor_exec);
        }
    }
    Ok(())
}

/// A life in the order of [`VERBS`]; with the floor, also its exec in the same container.
fn one_life(
    room: &Room,
    contender: &Contender,
    floor: Option<&Contender>,
) -> Result<(Vec<Sample>, Option<Sample>)> {
    let (bundles, state) = (&room.bundles, room.state(contender));
    let directory = bundles.directory();
    let id = bundles.id(&contender.name);
    let pid_file = directory.join("pid");
    let ask = |words: &[&str]| call(directory, &mut contender.call(&state, words));
    let bundle = bundles.path("waiting");
    let pid_path = pid_file.display().to_string();

    let mut create = ask(&["create", "--bundle", &bundle, "--pid-file", &pid_path, &id])?;
    let pid: i32 = std::fs::read_to_string(&pid_file)?.trim().parse()?;
    // What the container's own process has done until it waits for start.
    create.cpu += used(pid);
    let mut samples = vec![create];
    samples.push(ask(&["state", &id])?);
    samples.push(ask(&["list"])?);
    samples.push(ask(&["start", &id])?);
    samples.push(ask(&["exec", &id, "/bin/true"])?);
    let floored = floor.map(|floor| exec_of_floor(room, floor, pid)).transpose()?;
    samples.push(ask(&["kill", &id, "KILL"])?);
    // It has become ours when the runtime that made it ended.
    reap(Pid::from_raw(pid).as_raw())?;
    samples.push(ask(&["delete", &id])?);
    Ok((samples, floored))
}

fn exec_of_floor(room: &Room, floor: &Contender, pid: i32) -> Result<Sample> {
    let mut command = std::process::Command::new(&floor.binary);
    command.args(["exec", &pid.to_string(), &room.bundles.filter()]);
    command.args(room.bundles.floor_cgroups()).args(["--", "/bin/true"]).stdin(std::process::Stdio::null());
    call(room.bundles.directory(), &mut command)
}
