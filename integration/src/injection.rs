//! Calls of the runtime in which one system call goes wrong: where there are calls, and what happens when the process
//! dies in one or it answers with an error. It must never leave anything stopped.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use pinnace::seccomp::{Arch, call_names, call_number};

use crate::bundle::built;
use crate::{Outcome, Runtime, runtime_binary};

/// Of how many points `make test` tries one; `make faults` tries all.
const EVERY: usize = 12;

/// How long a call may take in which something went wrong; the runtime itself waits 10 s for a process to die.
const PATIENCE: Duration = Duration::from_secs(30);

/// One system call of one process of a call of the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// 0: the runtime's process; 1 and up: those that are born of it, in order.
    pub who: usize,
    /// Which of its calls, from 0.
    pub nth: usize,
    /// The call's name.
    pub call: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} at call {}, {}", self.who, self.nth, self.call)
    }
}

/// How a call with a fault in it went.
#[derive(Debug)]
pub struct Struck {
    /// What it said in the end.
    pub outcome: Outcome,
    /// The call that was struck; none if there were not that many this time.
    pub point: Option<Point>,
}

impl Runtime {
    /// All system calls that `args` makes, of all its processes.
    #[track_caller]
    pub fn survey(&self, args: &[&str]) -> Vec<Point> {
        self.survey_to(0, args)
    }

    /// The same of a call that ends with another exit code.
    #[track_caller]
    pub fn survey_to(&self, code: i32, args: &[&str]) -> Vec<Point> {
        let (outcome, points) = self.under_injector(["0", "0", "count"], args);
        assert_eq!(outcome.code, code, "{outcome}");
        points
    }

    /// Calls the runtime; at that point `action` happens: `kill`, `term`, or the name of an errno.
    #[track_caller]
    pub fn strike(&self, point: &Point, action: &str, args: &[&str]) -> Struck {
        let (who, nth) = (point.who.to_string(), point.nth.to_string());
        let (outcome, mut points) = self.under_injector([&who, &nth, action], args);
        Struck { outcome, point: points.pop() }
    }

    #[track_caller]
    fn under_injector(&self, aim: [&str; 3], args: &[&str]) -> (Outcome, Vec<Point>) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let report = self.calls().join(format!("{}.report", COUNT.fetch_add(1, Ordering::Relaxed)));
        let call = self.command(args);
        let mut command = std::process::Command::new(built("injector"));
        command
            .arg(&report)
            .args(aim)
            .arg(runtime_binary())
            .args(call.get_args())
            .stdin(std::process::Stdio::null());
        let call = format!("{aim:?} {args:?}");
        let outcome = self
            .begin(command)
            .finish_within(PATIENCE)
            .unwrap_or_else(|| panic!("{call}: still runs after {PATIENCE:?}"));
        let told =
            fs::read_to_string(&report).unwrap_or_else(|e| panic!("{}: {e}: {outcome}", report.display()));
        let _ = fs::remove_file(report);
        (outcome, told.lines().map(point).collect())
    }
}

fn point(line: &str) -> Point {
    let mut words = line.split(' ').map(|word| word.parse().expect("a number in the injector's report"));
    let mut next = || words.next().expect("three numbers in a line of the injector's report");
    let (who, nth, number) = (next(), next(), next());
    Point { who, nth, call: name(number) }
}

fn name(number: usize) -> String {
    let arch = Arch::native().expect("an architecture that the runtime knows");
    let called =
        call_names().find(|name| call_number(name, arch).is_some_and(|n| usize::try_from(n) == Ok(number)));
    called.unwrap_or_else(|| number.to_string())
}

/// Strikes at each of the points that are tried this time, and hands `then` what was done and how it ended. A point that
/// fails does not hide the next. Prints how many there were.
#[track_caller]
pub fn strike_each(
    runtime: &Runtime,
    what: &str,
    points: Vec<(Point, &str)>,
    args: &[&str],
    mut then: impl FnMut(&str, &Outcome),
) {
    let all = points.len();
    let chosen = sample(points);
    let (mut struck, mut succeeded, mut failures) = (0, 0, Vec::new());
    for (point, action) in &chosen {
        let when = format!("{what}: {action} for {point}");
        let done = catch_unwind(AssertUnwindSafe(|| {
            let outcome = runtime.strike(point, action, args);
            struck += usize::from(outcome.point.is_some());
            succeeded += usize::from(outcome.outcome.code == 0);
            then(&when, &outcome.outcome);
        }));
        failures.extend(done.is_err().then_some(when));
    }
    let tried = chosen.len();
    println!(
        "{what}: {struck} of {all} points struck ({tried} tried), {succeeded} times it succeeded all the same"
    );
    assert!(failures.is_empty(), "{} of {tried} fail:\n{}", failures.len(), failures.join("\n"));
    // A call more or less from one time to the next is nothing, and close is none that can fail.
    assert!(struck * 2 >= tried, "{what}: only {struck} of {tried} points were reached");
}

/// Those of many points that are tried this time: each one in `make faults` (`PINNACE_FAULTS=all`), else every few of
/// them, other ones from one second to the next.
fn sample<T>(points: Vec<T>) -> Vec<T> {
    if std::env::var_os("PINNACE_FAULTS").is_some_and(|word| word == "all") {
        return points;
    }
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let turn = usize::try_from(seconds).unwrap_or_default() % EVERY;
    points.into_iter().skip(turn).step_by(EVERY).collect()
}
