//! Hooks of a parent with one thread, waited for by it and by an event loop.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use pinnace::hook::{HookKind, Setting, run_all, run_each};
use pinnace::spec::oci::Hook;
use pinnace::sys::poll::poll;
use pinnace::sys::wait::reap_any;
use pinnace::wait::{self, Want};
use serde_json::{Value, json};

use super::{Case, warnings};

pub const CASES: &[Case] = &[
    ("hooks::a_large_state_arrives_whole", a_large_state_arrives_whole),
    ("hooks::one_that_does_not_want_its_input", one_that_does_not_want_its_input),
    ("hooks::much_output_is_read_and_its_end_shown", much_output_is_read_and_its_end_shown),
    ("hooks::it_inherits_nothing_but_what_it_is_given", it_inherits_nothing_but_what_it_is_given),
    ("hooks::environment_arguments_and_directory", environment_arguments_and_directory),
    ("hooks::one_that_is_too_slow_is_killed_with_its_children", too_slow),
    ("hooks::one_that_leaves_a_child_behind_is_done", one_that_leaves_a_child_behind_is_done),
    ("hooks::an_event_loop_waits_for_several", an_event_loop_waits_for_several),
    ("hooks::failures_are_told_as_runc_tells_them", failures_are_told_as_runc_tells_them),
    ("hooks::poststop_goes_on_after_a_failure", poststop_goes_on_after_a_failure),
];

fn hook(value: Value) -> Hook {
    serde_json::from_value(value).unwrap()
}

fn script(text: &str) -> Hook {
    hook(json!({ "path": "/bin/sh", "args": ["sh", "-c", text], "env": ["PATH=/usr/bin:/bin"] }))
}

fn run(hooks: &[Hook], setting: Setting<'_>) -> Result<(), String> {
    wait::block(run_all(HookKind::CreateRuntime, hooks, setting)).map_err(|error| error.to_string())
}

/// A file of this test, not there yet.
fn fresh(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("forked-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn taken(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    fs::remove_file(path).unwrap();
    text
}

fn large() -> Vec<u8> {
    "0123456789abcdef".repeat(200 * 1024 / 16).into_bytes()
}

fn a_large_state_arrives_whole() {
    let state = large();
    let path = fresh("state");
    // Twice, and by name: some hooks open /dev/stdin.
    let text = format!("cat >{0}; cat /dev/stdin | cmp - {0}", path.display());
    run(
        &[script(&text), script(&format!("cmp - {}", path.display()))],
        Setting { state: &state, ..Setting::default() },
    )
    .unwrap();
    assert_eq!(taken(&path).as_bytes(), state);
}

fn one_that_does_not_want_its_input() {
    let state = large();
    // As the process that the container becomes has it: a write to a closed pipe would be death.
    // SAFETY: the default action runs no code.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
    let setting = Setting { state: &state, ..Setting::default() };
    run(&[script("exec 0<&-; exit 0"), script("head -c 1 >/dev/null"), script("true")], setting).unwrap();
}

fn much_output_is_read_and_its_end_shown() {
    let text = "head -c 2097152 /dev/zero | tr '\\0' x; echo the end; echo why >&2; exit 3";
    let error = run(&[script(text)], Setting::default()).unwrap_err();
    assert!(
        error.starts_with("error running createRuntime hook #0: exit status 3, stdout: ...xxx"),
        "{error:.200}"
    );
    assert!(
        error.ends_with("x\\nthe end, stderr: why") || error.ends_with("xthe end, stderr: why"),
        "{error:?}"
    );
    assert!(error.len() < 8 * 1024, "{}", error.len());
}

fn it_inherits_nothing_but_what_it_is_given() {
    let inheritable: OwnedFd = File::open("/etc").unwrap().into();
    fcntl(&inheritable, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    SigSet::all().thread_block().unwrap();
    // SAFETY: to ignore a signal runs no code.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.unwrap();
    let path = fresh("inherits");
    let text = format!(
        "exec >{}; ls /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o pgid= -p $$; echo $$",
        path.display()
    );
    run(&[script(&text)], Setting::default()).unwrap();
    let text = taken(&path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // 3 is the directory that ls reads.
    assert_eq!(lines[..4], ["0", "1", "2", "3"], "{text}");
    assert_eq!(lines[4..6], ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"], "{text}");
    assert_eq!(lines[6], lines[7], "it leads a process group: {text}");
}

fn environment_arguments_and_directory() {
    let path = fresh("env");
    let env = ["ONE=two".to_owned()];
    let setting = Setting { default_env: Some(&env), dir: Some(Path::new("/usr")), ..Setting::default() };
    let text = format!("(/usr/bin/env; pwd; echo $0 $1) >{}", path.display());
    let with_args = |env: Value| {
        hook(json!({ "path": "/bin/sh", "args": ["name", "-c", text, "zero", "one"], "env": env }))
    };
    run(&[with_args(json!([]))], setting).unwrap();
    assert_eq!(
        taken(&path).lines().filter(|line| !line.starts_with("PWD=")).collect::<Vec<_>>(),
        ["ONE=two", "/usr", "zero one"]
    );
    run(&[with_args(json!(["OWN=1"]))], setting).unwrap();
    let text = taken(&path);
    assert!(text.contains("OWN=1") && !text.contains("ONE=two"), "{text}");
    // Without args the path is the name; without an environment of its own it has the caller's.
    run(&[hook(json!({ "path": "/bin/true" }))], Setting::default()).unwrap();
    run(&[with_args(json!([]))], Setting::default()).unwrap();
    assert!(taken(&path).contains("CARGO_MANIFEST_DIR="), "cargo sets it for tests");
}

fn too_slow() {
    let path = fresh("slow");
    let text = format!("sleep 600 & echo $! >{}; sleep 600", path.display());
    let mut slow = script(&text);
    slow.set_timeout(Some(1));
    let error = run(&[slow, script("exit 9")], Setting::default()).unwrap_err();
    assert!(
        error.starts_with("error running createRuntime hook #0: hook ran past specified timeout of 1.0s"),
        "{error}"
    );
    let child: i32 = taken(&path).trim().parse().unwrap();
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    while !gone() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A daemon that keeps the hook's output open.
fn one_that_leaves_a_child_behind_is_done() {
    let path = fresh("daemon");
    run(&[script(&format!("sleep 600 & echo $! >{}", path.display()))], Setting::default()).unwrap();
    let daemon: i32 = taken(&path).trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
}

/// As in a shim: others are reaped meanwhile, which takes no hook's status.
fn an_event_loop_waits_for_several() {
    let mut slow = script("sleep 600");
    slow.set_timeout(Some(1));
    let hooks =
        [script("echo one; exit 1"), script("head -c 300000 /dev/zero; kill -9 $$"), slow].map(|hook| [hook]);
    let start = |hook| Box::pin(run_all(HookKind::CreateRuntime, hook, Setting::default()));
    let mut running = hooks.each_ref().map(|hook| Some((start(hook), Want::default())));
    let mut results = [const { String::new() }; 3];
    while running.iter().any(Option::is_some) {
        for (place, result) in running.iter_mut().zip(&mut results) {
            let Some((hook, want)) = place else { continue };
            if want.fds().next().is_some() && !want.is_there() {
                continue;
            }
            match hook.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => *want = wait::take(),
                Poll::Ready(outcome) => {
                    *result = outcome.unwrap_err().to_string();
                    *place = None;
                }
            }
        }
        let wants: Vec<Want> = running.iter().flatten().map(|(_, want)| *want).collect();
        let fds: Vec<_> = wants.iter().flat_map(|want| want.fds().collect::<Vec<_>>()).collect();
        if !fds.is_empty() {
            poll(&fds, wants.iter().filter_map(|want| want.until).min());
        }
        while let Ok(Some(_)) = reap_any() {}
    }
    let [one, two, three] = results.map(|text| text.replace("error running createRuntime hook #0: ", ""));
    assert_eq!(one, "exit status 1, stdout: one, stderr: ");
    assert!(two.starts_with("signal: killed, stdout: ...\\u{0}"), "{two:.80}");
    assert!(three.starts_with("hook ran past specified timeout of 1.0s"), "{three}");
}

fn failures_are_told_as_runc_tells_them() {
    let error = |value: Value| run(&[hook(value)], Setting::default()).unwrap_err();
    assert_eq!(
        error(json!({ "path": "/nonexistent/hook" })),
        "error running createRuntime hook #0: fork/exec /nonexistent/hook: no such file or directory"
    );
    assert_eq!(
        error(json!({ "path": "/etc/passwd" })),
        "error running createRuntime hook #0: fork/exec /etc/passwd: permission denied"
    );
    assert_eq!(
        run(&[script("true"), script("false")], Setting::default()).unwrap_err(),
        "error running createRuntime hook #1: exit status 1, stdout: , stderr: "
    );
    let setting = Setting { dir: Some(Path::new("/nonexistent")), ..Setting::default() };
    assert!(
        run(&[script("true")], setting)
            .unwrap_err()
            .ends_with("fork/exec /bin/sh: no such file or directory")
    );
    // No zombie of any of them is left.
    let nobody = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    assert_eq!(nobody, Err(nix::errno::Errno::ECHILD));
}

fn poststop_goes_on_after_a_failure() {
    let path = fresh("poststop");
    let hooks = [script("exit 4"), script(&format!("cat >{}", path.display()))];
    wait::block(run_each(HookKind::Poststop, &hooks, Setting { state: b"{}", ..Setting::default() }));
    let mut text = String::new();
    File::open(&path)
        .unwrap()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!((text.as_str(), taken(&path).as_str()), ("{}", "{}"));
    assert_eq!(warnings(), ["error running poststop hook #0: exit status 4, stdout: , stderr: "]);
}
