//! `bench`: what a container costs with this runtime, with its peers, and with the kernel alone (the floor). Figures go
//! to standard output, one a line, and with `--docs DIR` as a table and a plot to DIR/performance.md and its SVG. It must
//! never judge: whether a figure is good is for whoever reads it.
//!
//! ```text
//! bench [--rounds N] [--parallel N] [--containers N] [--parts run,life,extremes,scale] [--docs DIR]
//! ```
//! `PINNACE_BIN` names the runtime (else bin/pinnace), `BENCH_ALSO` more contenders as `name=path name=path`. Needs root.

mod bundles;
mod contender;
mod extremes;
mod figures;
mod life;
mod machine;
mod measure;
mod plot;
mod report;
mod room;
mod scale;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use contender::Contender;
use figures::Figures;
use room::Room;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How much is measured.
struct Effort {
    /// Interleaved rounds of each case.
    rounds: u32,
    /// Containers started at the same moment.
    parallel: u32,
    /// The most containers that lie there already.
    containers: u32,
    /// Which of `run`, `life`, `extremes` and `scale`.
    parts: String,
}

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<()> {
    let (effort, docs) = options()?;
    let contenders = contender::all()?;
    let room = Room::make()?;
    let mut figures = Figures::default();
    // Told before the room is searched for what a failed call has left, which ends this program.
    measure_all(&room, &contenders, &effort, &mut figures)
        .inspect_err(|error| eprintln!("bench: {error}"))?;
    drop(room);
    if let Some(docs) = docs {
        report::write(&docs, &contenders, &figures)?;
    }
    Ok(())
}

fn measure_all(room: &Room, contenders: &[Contender], effort: &Effort, figures: &mut Figures) -> Result<()> {
    let part = |name: &str| effort.parts.split(',').any(|part| part == name);
    if part("run") {
        life::run(room, contenders, effort, figures)?;
    }
    if part("life") {
        life::life(room, contenders, effort, figures)?;
    }
    if part("extremes") {
        extremes::extremes(room, contenders, figures)?;
    }
    if part("scale") {
        scale::scale(room, contenders, effort, figures)?;
    }
    Ok(())
}

fn options() -> Result<(Effort, Option<PathBuf>)> {
    let mut effort =
        Effort { rounds: 40, parallel: 100, containers: 5000, parts: "run,life,extremes,scale".into() };
    let mut docs = None;
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--rounds" => effort.rounds = value.parse()?,
            "--parallel" => effort.parallel = value.parse()?,
            "--containers" => effort.containers = value.parse()?,
            "--parts" => effort.parts = value,
            "--docs" => docs = Some(value.into()),
            _ => return Err(format!("no such flag: {flag}").into()),
        }
    }
    Ok((effort, docs))
}
