//! `--trace`: a timeline of both sides of a birth. What it says of time is not asked.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use integration::{Bundle, stand_in_lacks};
use serde_json::Value;

/// Names of the spans, of the runtime (1) and of the container (2).
fn spans(file: &str) -> [BTreeSet<String>; 2] {
    let json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let events: Vec<&Value> =
        json["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X").collect();
    assert!(events.iter().all(|e| e["ts"].is_f64() && e["dur"].is_f64()), "{json}");
    [1, 2].map(|side| {
        let of_side = events.iter().filter(|e| e["pid"] == side);
        of_side.map(|e| e["name"].as_str().unwrap().to_owned()).collect()
    })
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn of_both_sides() {
    if stand_in_lacks("there is no --trace") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let (trace, path) = (bundle.beside("trace.json").display().to_string(), bundle.path());
    bundle.write();
    runtime.call(&["--trace", &trace, "run", "--bundle", &path, bundle.id()]).ok();
    let [parent, child] = spans(&trace);
    let asked =
        names(&["load", "decide", "cgroup", "clone", "attend", "record", "gate opens", "end of cgroup"]);
    assert!(parent.is_superset(&asked), "{parent:?}");
    let asked = names(&["join", "session", "rootfs", "hide", "pivot", "identity", "ready", "gate"]);
    assert!(child.is_superset(&asked), "{child:?}");

    bundle.probe(&["sleep"]).write();
    runtime.start(&bundle);
    let id = bundle.id();
    runtime.call(&["--trace", &trace, "exec", id, "/bin/true"]).ok();
    let [parent, child] = spans(&trace);
    assert!(parent.contains("clone") && child.contains("enter"), "{parent:?} {child:?}");
    runtime
        .call(&["--trace", "/no/such/directory/x", "state", id])
        .fails(1, &["make the trace", "no such file"]);
}
