//! What a container costs containerd with our shim, beside its own with the runtimes that are there: one containerd, the
//! contenders in turn, medians. It must never judge a figure.
//!
//! `make bench-shim` sets PINNACE_BENCH to the number of rounds and keeps the table; as a test it runs one round, to see
//! that it still measures.

#![allow(clippy::unwrap_used)]

mod measure;

use std::fmt::Write as _;
use std::path::Path;

use integration::engine::Containerd;
use measure::{Bench, Figure};

/// A name, and the flags of `ctr run` that choose it.
pub type Contender = (&'static str, &'static str);

const CONTENDERS: [Contender; 3] = [
    ("pinnace", "--runtime io.containerd.pinnace.v2"),
    ("Go shim + crun", "--runtime io.containerd.runc.v2 --runc-binary /usr/bin/crun"),
    ("Go shim + runc", "--runtime io.containerd.runc.v2 --runc-binary /usr/sbin/runc"),
];

/// Between these lines of docs/performance.md the table is replaced.
const MARKS: [&str; 2] =
    ["<!-- begin of what `make bench-shim` writes -->\n", "<!-- end of what `make bench-shim` writes -->"];

#[test]
fn what_a_container_costs() {
    let rounds: Option<usize> = std::env::var("PINNACE_BENCH").ok().map(|text| text.parse().unwrap());
    let ctr = Containerd::new();
    let works = |(_, flags): &&Contender| {
        ctr.sh(&format!("ctr run --rm --null-io {flags} {} try true", measure::IMAGE)).code == 0
    };
    let contenders: Vec<Contender> = CONTENDERS.iter().filter(works).copied().collect();
    assert!(contenders.iter().any(|(name, _)| *name == "pinnace"), "ours does not work");
    let bench = Bench::new(&ctr, contenders, rounds.unwrap_or(1));
    let mut figures = bench.lives();
    figures.extend(bench.execs());
    figures.extend(bench.many(if rounds.is_some() { 50 } else { 3 }));
    for figure in &figures {
        assert!(figure.values.iter().all(|value| *value > 0.0), "{figure:?}");
    }
    let table = table(&bench, &figures);
    println!("{table}");
    if rounds.is_some() {
        keep(&table);
    }
}

fn table(bench: &Bench<'_>, figures: &[Figure]) -> String {
    let names: Vec<&str> = bench.contenders.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "--:|".repeat(names.len()));
    for Figure { what, values } in figures {
        let ratio = values.last().filter(|_| values.len() > 1).map(|last| values[0] / last);
        let cells = values.iter().enumerate().map(|(index, value)| match ratio {
            Some(ratio) if index == 0 => format!("{value:.2} ({ratio:.2})"),
            _ => format!("{value:.2}"),
        });
        let _ = writeln!(table, "| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

/// Puts the table into the page, if that has a place for it.
fn keep(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).expect("a place for the table");
    let (_, after) = rest.split_once(MARKS[1]).expect("the end of the table's place");
    std::fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).unwrap();
}
