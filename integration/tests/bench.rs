//! The bench still measures every case: a run of it with the least effort. It must never judge a figure.

use std::fs;
use std::process::{Command, Stdio};

use integration::{bundle, host_process};

const MARKS: &str = "# head\n<!-- begin of what `make bench` writes -->\nold\n<!-- end of what `make bench` writes -->\ntail\n";

/// Case and unit, of which each must have a figure; with true also one of the floor.
const FIGURES: [(&str, &str, bool); 27] = [
    ("run (a)", "CPU, ms", true),
    ("run (a)", "clock, ms", true),
    ("run (a)", "clock after 50 ms of rest, ms", true),
    ("run (b)", "CPU, ms", true),
    ("run (b)", "clock, ms", true),
    ("run (b)", "clock after 50 ms of rest, ms", true),
    ("create (b)", "CPU, ms", false),
    ("state", "CPU, ms", false),
    ("list", "CPU, ms", false),
    ("start (b)", "CPU, ms", false),
    ("exec (b)", "CPU, ms", true),
    ("exec (b)", "clock, ms", true),
    ("kill", "CPU, ms", false),
    ("delete (b)", "CPU, ms", false),
    ("delete (b)", "clock, ms", false),
    ("binary", "KiB", true),
    ("peak RSS of run (b)", "KiB", true),
    ("least memory limit of (b)", "KiB", false),
    ("least pids limit of (b)", "tasks", false),
    ("2 × run (b) at once", "clock, ms", false),
    ("2 × run (b) at once, each", "CPU, ms", false),
    ("run (a), 50 binds more", "CPU, ms", false),
    ("run (a), 200 binds more", "CPU, ms", false),
    ("run (a), 1000 mounts on the host", "CPU, ms", false),
    ("list of 1 containers", "CPU, ms", false),
    ("run (a) beside 1 containers", "CPU, ms", false),
    ("list of 100 containers", "CPU, ms", false),
];

#[test]
fn every_case_has_a_figure() {
    let docs = std::env::temp_dir().join(format!("pinnace-bench-{}", std::process::id()));
    fs::create_dir_all(&docs).unwrap();
    fs::write(docs.join("performance.md"), MARKS).unwrap();
    let bench = bundle::probe().with_file_name("bench");
    let mut command = Command::new(bench);
    command.args(["--rounds", "1", "--parallel", "2", "--containers", "100", "--docs"]).arg(&docs);
    // Without the peers: whether they can do it on this host is not asked here.
    command.env("PATH", "/nonexistent").env_remove("BENCH_ALSO").stdin(Stdio::null());
    let output = host_process::without_forks(|| command.output()).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));

    let page = fs::read_to_string(docs.join("performance.md")).unwrap();
    let plot = fs::read_to_string(docs.join("performance.svg")).unwrap();
    for (case, unit, floor) in FIGURES {
        for contender in ["pinnace", "floor"].iter().take(if floor { 2 } else { 1 }) {
            let begin = format!("{case}\t{unit}\t{contender}\t");
            let value = said.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or("nothing");
            assert!(value.parse::<f64>().is_ok_and(|value| value > 0.0), "{begin}: {value} in\n{said}");
        }
        assert!(page.contains(&format!("\n| {case} | {unit} | ")), "no row of {case}, {unit} in\n{page}");
    }
    assert!(page.starts_with("# head\n") && page.ends_with("\ntail\n") && !page.contains("old"), "{page}");
    assert!(plot.contains(">exec (b)</text>") && plot.ends_with("</svg>\n"), "{plot}");
    fs::remove_dir_all(docs).unwrap();
}
