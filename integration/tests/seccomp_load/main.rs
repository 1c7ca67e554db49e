//! Does the kernel do what a compiled filter says? Each test loads filters into forked children, which make the calls.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod child;
mod programs;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigHandler, Signal, signal};
use pinnace::seccomp::known;
use pinnace::sys::socket;
use serde_json::{Value, json};

use child::{End, allowing_but, errno_of, filter, under};

const NONE: [i64; 5] = [0; 5];

fn rule(name: &str, action: &str) -> Value {
    json!([{ "names": [name], "action": action }])
}

#[test]
fn errno_is_the_profiles() {
    let eperm = allowing_but(&rule("getppid", "SCMP_ACT_ERRNO"));
    assert_eq!(under(&eperm, |_| errno_of(libc::SYS_getppid, NONE)), End::Exit(libc::EPERM));
    assert_eq!(under(&eperm, |_| errno_of(libc::SYS_getpid, NONE)), End::Exit(0));
    let other = json!([{ "names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 100 }]);
    let other = allowing_but(&other);
    assert_eq!(under(&other, |_| errno_of(libc::SYS_getppid, NONE)), End::Exit(100));
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let profile = json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5,
        "syscalls": [{ "names": ["exit_group", "openat2"], "action": "SCMP_ACT_ALLOW" }] });
    let filter = filter(profile);
    assert_eq!(under(&filter, |_| errno_of(libc::SYS_getppid, NONE)), End::Exit(5));
    assert_eq!(under(&filter, |_| errno_of(libc::SYS_openat2, NONE)), End::Exit(libc::EINVAL));
    for number in [libc::SYS_faccessat2, libc::SYS_mseal, 10_000] {
        assert_eq!(under(&filter, |_| errno_of(number, NONE)), End::Exit(libc::ENOSYS), "{number}");
    }
}

#[test]
fn killing_is_by_sigsys() {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"] {
        let filter = allowing_but(&rule("getppid", action));
        assert_eq!(
            under(&filter, |_| errno_of(libc::SYS_getppid, NONE)),
            End::Signal(Signal::SIGSYS),
            "{action}"
        );
    }
}

#[test]
fn a_trap_can_be_caught() {
    static CAUGHT: AtomicI32 = AtomicI32::new(0);
    extern "C" fn catch(signal: i32) {
        CAUGHT.store(signal, Ordering::SeqCst);
    }
    let filter = allowing_but(&rule("getppid", "SCMP_ACT_TRAP"));
    let end = under(&filter, |_| {
        // SAFETY: the handler only stores a number.
        let set = unsafe { signal(Signal::SIGSYS, SigHandler::Handler(catch)) };
        if set.is_err() {
            return 1;
        }
        errno_of(libc::SYS_getppid, NONE);
        CAUGHT.load(Ordering::SeqCst)
    });
    assert_eq!(end, End::Exit(libc::SIGSYS));
}

#[test]
fn logging_lets_pass_and_tracing_needs_a_tracer() {
    let log = allowing_but(&rule("getppid", "SCMP_ACT_LOG"));
    assert_eq!(under(&log, |_| errno_of(libc::SYS_getppid, NONE)), End::Exit(0));
    let trace = allowing_but(&rule("getppid", "SCMP_ACT_TRACE"));
    assert_eq!(under(&trace, |_| errno_of(libc::SYS_getppid, NONE)), End::Exit(libc::ENOSYS));
}

/// The values are compared in the kernel's 64 bits, not in the caller's int.
#[test]
fn arguments_are_whole() {
    let rule = json!([{ "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
        "args": [{ "index": 0, "op": "SCMP_CMP_NE", "value": 0xffff_ffff_u64 }] }]);
    let filter = allowing_but(&rule);
    assert_eq!(under(&filter, |_| errno_of(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0])), End::Exit(0));
    for value in [0x1_ffff_ffff, -1, 0] {
        let end = under(&filter, |_| errno_of(libc::SYS_personality, [value, 0, 0, 0, 0]));
        assert_eq!(end, End::Exit(33), "{value:#x}");
    }
}

/// i386's getpid, by its own door, for a process of x86_64.
#[cfg(target_arch = "x86_64")]
fn getpid_by_int80() -> i32 {
    let result: i32;
    // SAFETY: getpid takes nothing and touches no memory.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    result
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_doors_into_the_kernel_are_shut_unless_named() {
    let native = allowing_but(&rule("getppid", "SCMP_ACT_ERRNO"));
    let x32 = || errno_of(0x4000_0000 | libc::SYS_getpid, NONE);
    assert_eq!(under(&native, |_| x32()), End::Signal(Signal::SIGSYS));
    let all = filter(json!({ "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7 }] }));
    assert_eq!(under(&all, |_| x32()), End::Exit(7));
    assert_eq!(under(&all, |_| errno_of(libc::SYS_getpid, NONE)), End::Exit(7));

    let open = filter(json!({ "defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X86"] }));
    if under(&open, |_| i32::from(getpid_by_int80() <= 0)) != End::Exit(0) {
        return integration::skip("this kernel has no calls of i386");
    }
    assert_eq!(under(&native, |_| getpid_by_int80()), End::Signal(Signal::SIGSYS));
    assert_eq!(under(&all, |_| -getpid_by_int80()), End::Exit(7));
}

#[test]
fn the_agent_answers_for_the_kernel() {
    let rules = json!([{ "names": ["getppid"], "action": "SCMP_ACT_NOTIFY" }]);
    for flags in [json!([]), json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])] {
        let filter = filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "syscalls": rules }));
        assert!(filter.needs_listener());
        let (ours, theirs) = socket::packet_pair().unwrap();
        let agent = std::thread::spawn(move || {
            let mut byte = [0];
            let (_, listener) = socket::recv(&ours, &mut byte).unwrap();
            answer(&listener.unwrap(), 4242)
        });
        let end = under(&filter, |listener| {
            let listener = listener.unwrap();
            if socket::send(&theirs, b"x", Some(std::os::fd::AsFd::as_fd(&listener))).is_err() {
                return 1;
            }
            // SAFETY: no arguments.
            i32::from(unsafe { libc::syscall(libc::SYS_getppid) } != 4242)
        });
        assert_eq!(end, End::Exit(0));
        assert_eq!(i64::from(agent.join().unwrap()), libc::SYS_getppid);
    }
}

/// Answers one notification with `value`; the call that it was about.
fn answer(listener: &OwnedFd, value: i64) -> i32 {
    // SAFETY: both structs are plain numbers, and the kernel wants the first one zeroed.
    let (mut asked, mut answer): (libc::seccomp_notif, libc::seccomp_notif_resp) =
        unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills a live struct of its own size.
    let received =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) };
    assert_eq!(received, 0, "{}", std::io::Error::last_os_error());
    answer.id = asked.id;
    answer.val = value;
    // SAFETY: the kernel reads a live struct of its own size.
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    asked.data.nr
}

#[test]
fn every_flag_that_is_reported_loads() {
    let supported = known::supported_flags();
    assert!(supported.contains(&"SECCOMP_FILTER_FLAG_TSYNC"));
    for flag in supported {
        let filter = filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": [flag],
            "syscalls": [{ "names": ["getppid"], "action": "SCMP_ACT_NOTIFY" }] }));
        assert_eq!(under(&filter, |listener| i32::from(listener.is_none())), End::Exit(0), "{flag}");
    }
}
