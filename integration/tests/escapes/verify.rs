//! A kernel that acknowledges what it does not do: strace answers in its place that all is well. Whatever a runtime relies
//! on for the container's confinement it must see with its own eyes, or not go on.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use integration::{Bundle, Outcome, Runtime, stand_in_lacks};
use serde_json::json;

/// A call of the runtime by a caller with groups, a umask, and a signal that is blocked, where `call` does nothing and
/// answers 0, from the `first` on.
fn believe(runtime: &Runtime, call: &str, first: u32, args: &[&str]) -> Outcome {
    let plain = runtime.command(args);
    let mut command = Command::new("/usr/bin/strace");
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:retval=0:when={first}+")]);
    command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    // SAFETY: between fork and exec only system calls are made, on memory that was made before.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o077);
            let groups = [0, 27, 4242];
            libc::setgroups(3, groups.as_ptr());
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            Ok(())
        });
    }
    runtime.finish(command)
}

fn bundle() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000, "umask": 0o22}));
    let none = json!([]);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": none, "effective": none, "permitted": none, "inheritable": none, "ambient": none}),
    );
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_ERRNO"}]});
    bundle.set("/linux/seccomp", filter).set("/root/readonly", json!(true));
    bundle.probe(&["sleep"]);
    bundle
}

/// CVE-2022-29162, CVE-2024-21626, CVE-2023-25809 and what comes after them: their causes were found one by one; that a
/// container has more than it should have can be seen without knowing why.
#[test]
fn nothing_that_confines_is_believed_unseen() {
    if stand_in_lacks("runc believes the kernel") {
        return;
    }
    let mut bundle = bundle();
    let runtime = bundle.runtime();
    bundle.write();
    let path = bundle.path();
    // Each process counts its own calls. The first mounts of init's are the root and the six that config.json asks for,
    // the first attributes those of the runtime's executable and of the root.
    for (call, first, word) in [
        ("setgroups", 1, "groups"),
        ("setresgid", 1, "gids"),
        ("setresuid", 1, "uids"),
        ("capset", 1, "Cap"),
        ("seccomp", 1, "Seccomp"),
        ("umask", 1, "Umask"),
        ("rt_sigprocmask", 1, "SigBlk"),
        ("close_range", 1, "descriptor"),
        ("move_mount", 8, "masked"),
        ("mount_setattr", 2, "writable"),
        // Without no_new_privs the kernel would refuse a filter, too.
        ("prctl", 1, "Cap"),
    ] {
        if call == "prctl" {
            bundle.remove("/linux/seccomp").write();
        }
        let outcome = believe(&runtime, call, first, &["create", "--bundle", &path, bundle.id()]);
        println!("{call}: {}", outcome.stderr);
        assert_eq!(outcome.code, 1, "a kernel that does no {call}: {outcome}");
        assert!(outcome.stderr.contains("verify: "), "{call}: {outcome}");
        assert!(outcome.stderr.contains(word), "{call}: {outcome}");
        runtime.leaves_nothing(bundle.id());
    }
}

/// The same of an exec.
#[test]
fn nothing_that_confines_an_exec_is_believed_unseen() {
    if stand_in_lacks("runc believes the kernel") {
        return;
    }
    let bundle = bundle();
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    for (call, word) in [
        ("setgroups", "groups"),
        ("setresgid", "gids"),
        ("setresuid", "uids"),
        ("capset", "Cap"),
        ("seccomp", "Seccomp"),
        ("umask", "Umask"),
        ("rt_sigprocmask", "SigBlk"),
        ("close_range", "descriptor"),
    ] {
        let outcome = believe(&runtime, call, 1, &["exec", bundle.id(), "/probe", "say", "through"]);
        assert_eq!(outcome.code, 255, "a kernel that does no {call}: {outcome}");
        assert!(outcome.stderr.contains("verify: ") && outcome.stderr.contains(word), "{call}: {outcome}");
    }
}
