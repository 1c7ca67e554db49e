//! How the cost of a start grows: many at once, with the container's mounts, the host's mounts and the containers that
//! are there already.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use crate::contender::Contender;
use crate::figures::{Figures, Unit};
use crate::life::rounds;
use crate::measure::{call, median, reap};
use crate::room::Room;
use crate::{Effort, Result};

/// Of a case that is one of several.
fn few(effort: &Effort) -> u32 {
    effort.rounds / 4 + 1
}

pub(crate) fn scale(room: &Room, all: &[Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    let runtimes: Vec<&Contender> = all.iter().filter(|contender| !contender.is_floor).collect();
    for contender in &runtimes {
        parallel(room, contender, effort.parallel, figures)?;
    }
    own_mounts(room, &runtimes, effort, figures)?;
    host_mounts(room, &runtimes, effort, figures)?;
    for contender in &runtimes {
        existing(room, contender, effort, figures)?;
    }
    Ok(())
}

/// So many `run` at the same moment: the time until all have ended, and the CPU time of each.
fn parallel(room: &Room, contender: &Contender, count: u32, figures: &mut Figures) -> Result<()> {
    let names: Vec<String> = (0..count).map(|number| format!("parallel-{number}")).collect();
    for name in &names {
        let cgroup = format!("/{}", room.bundles.id(name));
        room.bundles.vary(name, |config| config["linux"]["cgroupsPath"] = json!(cgroup))?;
    }
    let state = room.state(contender);
    let begin = Instant::now();
    let mut children: Vec<Child> = Vec::new();
    for name in &names {
        let (bundle, id) = (room.bundles.path(name), room.bundles.id(name));
        let mut command = contender.call(&state, &["run", "--bundle", &bundle, &id]);
        children.push(command.stderr(Stdio::null()).spawn()?);
    }
    let mut cpu = 0.0;
    for child in children {
        let (status, used) = reap(i32::try_from(child.id())?)?;
        if status != 0 {
            return Err(format!("{}: one of {count} at once: status {status:#x}", contender.name).into());
        }
        cpu += used;
    }
    let case = format!("{count} × run (b) at once");
    figures.add(&case, Unit::Wall, &contender.name, begin.elapsed().as_secs_f64() * 1e3);
    figures.add(&format!("{case}, each"), Unit::Cpu, &contender.name, cpu / f64::from(count));
    Ok(())
}

fn own_mounts(room: &Room, all: &[&Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    for count in [50, 200] {
        room.bundles.with_mounts("mounts", count)?;
        measure(room, all, effort, "mounts", &format!("run (a), {count} binds more"), figures)?;
    }
    Ok(())
}

fn host_mounts(room: &Room, all: &[&Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    let place = room.bundles.directory().join("host");
    fs::create_dir_all(&place)?;
    let count = 1000;
    for _ in 0..count {
        mount(Some(&place), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    let measured =
        measure(room, all, effort, "plain", &format!("run (a), {count} mounts on the host"), figures);
    for _ in 0..count {
        umount2(&place, MntFlags::MNT_DETACH)?;
    }
    measured
}

fn measure(
    room: &Room,
    all: &[&Contender],
    effort: &Effort,
    bundle: &str,
    case: &str,
    figures: &mut Figures,
) -> Result<()> {
    let samples = rounds(room, all, few(effort), bundle, Duration::ZERO)?;
    for (contender, samples) in all.iter().zip(samples) {
        figures.add(case, Unit::Cpu, &contender.name, median(samples.iter().map(|s| s.cpu).collect()));
    }
    Ok(())
}

/// `list` and `run` among containers that have stopped: copies of one, under other names.
fn existing(room: &Room, contender: &Contender, effort: &Effort, figures: &mut Figures) -> Result<()> {
    let (bundles, state) = (&room.bundles, room.state(contender));
    let directory = bundles.directory();
    let seed = bundles.id("existing-0");
    let pid_file = directory.join("pid");
    let (bundle, pid_path) = (bundles.path("waiting"), pid_file.display().to_string());
    call(
        directory,
        &mut contender.call(&state, &["create", "--bundle", &bundle, "--pid-file", &pid_path, &seed]),
    )?;
    let pid: i32 = fs::read_to_string(&pid_file)?.trim().parse()?;
    call(directory, &mut contender.call(&state, &["kill", &seed, "KILL"]))?;
    reap(pid)?;
    let mut there = 1;
    for count in [1, 100, 1000, 5000].into_iter().filter(|count| *count <= effort.containers.max(1)) {
        for number in there..count {
            copy(
                &state.join(&seed),
                &state.join(bundles.id(&format!("existing-{number}"))),
                &seed,
                number,
                room,
            )?;
        }
        there = count;
        let list = || Ok(call(directory, &mut contender.call(&state, &["list"]))?.cpu);
        let lists = (0..3).map(|_| list()).collect::<Result<_>>()?;
        figures.add(&format!("list of {count} containers"), Unit::Cpu, &contender.name, median(lists));
        let case = format!("run (a) beside {count} containers");
        measure(room, &[contender], effort, "beside", &case, figures)?;
    }
    for number in 1..there {
        fs::remove_dir_all(state.join(bundles.id(&format!("existing-{number}"))))?;
    }
    call(directory, &mut contender.call(&state, &["delete", &seed]))?;
    Ok(())
}

/// A container's state directory under another id.
fn copy(from: &Path, to: &Path, seed: &str, number: u32, room: &Room) -> Result<()> {
    fs::create_dir(to)?;
    let id = room.bundles.id(&format!("existing-{number}"));
    for entry in
        fs::read_dir(from)?.flatten().filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_file()))
    {
        let bytes = fs::read(entry.path())?;
        // A compiled filter has no id in it.
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => text.replace(seed, &id).into_bytes(),
            Err(other) => other.into_bytes(),
        };
        fs::write(to.join(entry.file_name()), bytes)?;
    }
    Ok(())
}
