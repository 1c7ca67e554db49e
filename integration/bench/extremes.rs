//! How little a runtime needs: the size of its file, its peak memory, and the tightest limits under which a container
//! with the full configuration still runs.

use serde_json::json;

use crate::Result;
use crate::contender::Contender;
use crate::figures::{Figures, Unit};
use crate::measure::call;
use crate::room::Room;

/// A limit is held when so many runs in a row succeed under it.
const RUNS: u32 = 3;

/// In KiB.
const MEMORY: [u32; 9] = [128, 192, 256, 512, 1024, 2048, 4096, 8192, 16384];

const TASKS: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

pub(crate) fn extremes(room: &Room, all: &[Contender], figures: &mut Figures) -> Result<()> {
    let floor = all.iter().find(|contender| contender.is_floor).ok_or("no floor")?;
    for contender in all {
        let bytes = std::fs::metadata(&contender.binary)?.len();
        figures.add("binary", Unit::Memory, &contender.name, f64::from(u32::try_from(bytes >> 10)?));
    }
    for contender in all {
        figures.add("peak RSS of run (b)", Unit::Memory, &contender.name, peak(room, contender, floor)?);
    }
    for contender in all.iter().filter(|contender| !contender.is_floor) {
        let memory = least(room, contender, &MEMORY, |limit, config| {
            config["linux"]["resources"]["memory"] = json!({ "limit": u64::from(limit) << 10 });
        })?;
        figures.add("least memory limit of (b)", Unit::Memory, &contender.name, memory);
    }
    for contender in all.iter().filter(|contender| !contender.is_floor) {
        let tasks = least(room, contender, &TASKS, |limit, config| {
            config["linux"]["resources"]["pids"] = json!({ "limit": limit });
        })?;
        figures.add("least pids limit of (b)", Unit::Tasks, &contender.name, tasks);
    }
    Ok(())
}

/// The most that any process of the run has had in memory at once.
fn peak(room: &Room, contender: &Contender, floor: &Contender) -> Result<f64> {
    let run = contender.run(&room.state(contender), &room.bundles, "full");
    let mut ask = std::process::Command::new(&floor.binary);
    let output = ask.arg("peak").arg(run.get_program()).args(run.get_args()).output()?;
    if !output.status.success() {
        return Err(format!("peak of {}: {}", contender.name, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The first of `limits` that holds; not a number if none does.
fn least(
    room: &Room,
    contender: &Contender,
    limits: &[u32],
    change: impl Fn(u32, &mut serde_json::Value),
) -> Result<f64> {
    for limit in limits {
        room.bundles.vary("limited", |config| change(*limit, config))?;
        if holds(room, contender) {
            return Ok(f64::from(*limit));
        }
    }
    Ok(f64::NAN)
}

fn holds(room: &Room, contender: &Contender) -> bool {
    let (state, directory) = (room.state(contender), room.bundles.directory());
    (0..RUNS).all(|_| {
        let ran = call(directory, &mut contender.run(&state, &room.bundles, "limited")).is_ok();
        if !ran {
            let id = room.bundles.id(&contender.name);
            let _ = call(directory, &mut contender.call(&state, &["delete", "--force", &id]));
            reap_all();
        }
        ran
    })
}

/// Takes what has come to us from runtimes that failed.
fn reap_all() {
    while let Ok(nix::sys::wait::WaitStatus::Exited(..) | nix::sys::wait::WaitStatus::Signaled(..)) =
        nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
    {}
}
