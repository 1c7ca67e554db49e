//! Seccomp as a process in the container meets it: what each action does, conditions, and how it goes with the
//! privileges. Which program a profile becomes is asked elsewhere.

#![allow(clippy::needless_pass_by_value, reason = "json! makes its value where it is passed")]
#![allow(clippy::unwrap_used)]

use integration::{Bundle, stand_in_lacks};
use serde_json::{Value, json};

fn profile(default: &str, rules: Value) -> Value {
    json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules})
}

/// getpriority(2): harmless, and nothing else calls it.
const NUMBER: libc::c_long = libc::SYS_getpriority;

fn answer(bundle: &mut Bundle, arguments: &[&str]) -> Value {
    let number = NUMBER.to_string();
    bundle.probe(&[&["syscall", &number], arguments].concat());
    bundle.runtime().run(bundle).ok().json()
}

#[test]
fn an_error_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    for (rule, expected) in [
        (json!({"action": "SCMP_ACT_ERRNO"}), "EPERM"),
        (json!({"action": "SCMP_ACT_ERRNO", "errnoRet": 38}), "ENOSYS"),
        (json!({"action": "SCMP_ACT_ERRNO", "errnoRet": 107}), "ENOTCONN"),
    ] {
        let mut rule = rule;
        rule["names"] = json!(["getpriority", "no_such_call"]);
        bundle.set("/linux/seccomp", profile("SCMP_ACT_ALLOW", json!([rule])));
        assert_eq!(answer(&mut bundle, &["0", "0"])["errno"], expected);
    }
}

#[test]
fn the_filter_is_loaded_with_and_without_new_privileges() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
            bundle.set("/process/user", json!({"uid": uid, "gid": uid}));
            bundle.set(
                "/linux/seccomp",
                profile("SCMP_ACT_ALLOW", json!([{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}])),
            );
            bundle.probe(&["see"]);
            let seen = runtime.see(&bundle);
            assert_eq!(seen["seccomp"], 2);
            assert_eq!(seen["no_new_privs"], no_new_privileges);
            assert_eq!(answer(&mut bundle, &["0", "0"])["errno"], "EPERM");
        }
    }
    bundle.remove("/linux/seccomp").probe(&["see"]);
    assert_eq!(runtime.see(&bundle)["seccomp"], 0);
}

#[test]
fn a_condition_is_about_the_arguments() {
    let mut bundle = Bundle::new();
    let rule = |operator: &str, value: u64, second: u64| {
        json!([{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
                "args": [{"index": 1, "op": operator, "value": value, "valueTwo": second}]}])
    };
    for (operator, value, second, refused, passed) in [
        ("SCMP_CMP_EQ", 5, 0, "5", "6"),
        ("SCMP_CMP_NE", 5, 0, "6", "5"),
        ("SCMP_CMP_LT", 5, 0, "4", "5"),
        ("SCMP_CMP_LE", 5, 0, "5", "6"),
        ("SCMP_CMP_GT", 5, 0, "6", "5"),
        ("SCMP_CMP_GE", 5, 0, "5", "4"),
        ("SCMP_CMP_MASKED_EQ", 0xf0, 0x50, "95", "96"),
        ("SCMP_CMP_EQ", (1 << 40) + 5, 0, "1099511627781", "5"),
    ] {
        bundle.set("/linux/seccomp", profile("SCMP_ACT_ALLOW", rule(operator, value, second)));
        assert_eq!(
            answer(&mut bundle, &["9", refused])["errno"],
            "ENOSYS",
            "{operator} {value} with {refused}"
        );
        // 9 is no valid first argument: the kernel's own answer.
        assert_eq!(
            answer(&mut bundle, &["9", passed])["errno"],
            "EINVAL",
            "{operator} {value} with {passed}"
        );
    }
}

#[test]
fn a_kill_is_a_bad_system_call() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        bundle.set(
            "/linux/seccomp",
            profile("SCMP_ACT_ALLOW", json!([{"names": ["getpriority"], "action": action}])),
        );
        bundle.probe(&["syscall", &NUMBER.to_string(), "0", "0"]);
        let outcome = runtime.run(&bundle);
        assert_eq!(outcome.code, 128 + libc::SIGSYS, "{action}: {outcome}");
    }
}

#[test]
fn a_logged_call_goes_on() {
    let mut bundle = Bundle::new();
    bundle.set(
        "/linux/seccomp",
        profile("SCMP_ACT_ALLOW", json!([{"names": ["getpriority"], "action": "SCMP_ACT_LOG"}])),
    );
    // The kernel returns 20 - nice.
    assert_eq!(answer(&mut bundle, &["0", "0"])["return"], 20);
}

/// runc's answer to programs that are newer than the profile: a call that it can't know does not exist.
#[test]
fn a_call_newer_than_the_profile_does_not_exist() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    // What a runtime and the probe need between the filter and the question.
    let allowed = "execve execveat exit_group exit write writev read brk mmap munmap mprotect arch_prctl set_tid_address set_robust_list \
                   rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack close fstat fstatfs statfs fcntl ioctl poll ppoll mremap madvise \
                   sched_getaffinity sched_yield getrandom futex rseq prlimit64 readlink readlinkat open openat newfstatat getdents64 close_range \
                   capset capget prctl chdir fchdir setuid setgid setgroups getppid getpid gettid epoll_create1 epoll_ctl epoll_pwait \
                   pipe2 nanosleep tgkill getuid getgid lseek pread64 stat lstat access faccessat faccessat2 clone clone3 uname mincore";
    let allowed: Vec<&str> = allowed.split_whitespace().collect();
    bundle.set(
        "/linux/seccomp",
        profile("SCMP_ACT_ERRNO", json!([{"names": allowed, "action": "SCMP_ACT_ALLOW"}])),
    );
    bundle.set("/process/noNewPrivileges", json!(true));
    let mut ask = |number: &str| {
        bundle.probe(&["syscall", number, "99", "99", "99"]);
        runtime.run(&bundle).ok().json()["errno"].clone()
    };
    // getpriority is older than faccessat2: the profile knew and left it out.
    assert_eq!(ask(&NUMBER.to_string()), "EPERM");
    // 4711 is newer than anything.
    assert_eq!(ask("4711"), "ENOSYS");
}

#[test]
fn an_exec_is_filtered_too() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set(
            "/linux/seccomp",
            profile("SCMP_ACT_ALLOW", json!([{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}])),
        )
        .probe(&["sleep"]);
    runtime.start(&bundle);
    let answer = runtime.exec(bundle.id(), &["syscall", &NUMBER.to_string(), "0", "0"]).ok().json();
    assert_eq!(answer["errno"], "EPERM");
    assert_eq!(runtime.exec(bundle.id(), &["see"]).ok().json()["seccomp"], 2);
}

#[test]
fn profiles_that_can_not_be_are_refused() {
    for (profile, word) in [
        (profile("SCMP_ACT_NO_SUCH", json!([])), "SCMP_ACT_NO_SUCH"),
        (
            profile("SCMP_ACT_ALLOW", json!([{"names": ["read"], "action": "SCMP_ACT_NO_SUCH"}])),
            "SCMP_ACT_NO_SUCH",
        ),
        (
            profile(
                "SCMP_ACT_ALLOW",
                json!([{"names": ["read"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_NO_SUCH"}]}]),
            ),
            "SCMP_CMP_NO_SUCH",
        ),
        (
            profile(
                "SCMP_ACT_ALLOW",
                json!([{"names": ["read"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]),
            ),
            "argument 6",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NO_SUCH"], "syscalls": []}),
            "SCMP_ARCH_NO_SUCH",
        ),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY", "syscalls": []}), "SCMP_ACT_NOTIFY"),
        (profile("SCMP_ACT_ALLOW", json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}])), "write"),
    ] {
        if word == "argument 6" && stand_in_lacks("runc 1.1.5 finds it only when it loads") {
            continue;
        }
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.set("/linux/seccomp", profile);
        runtime.run(&bundle).refuses(&[word]);
        runtime.leaves_nothing(bundle.id());
    }
}
