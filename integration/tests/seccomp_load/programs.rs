//! Do ordinary programs run under the default profile, and does it refuse what it says it refuses?

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use pinnace::seccomp::{self, Filter, compile};
use pinnace::spec::oci::LinuxSeccomp;
use seccomp_profiles::{Profile, default_profile};

use crate::child::{End, errno_of, under};

/// What Docker gives a container.
const CAPABILITIES: [&str; 3] = ["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE"];

fn default_filter(capabilities: &[&str]) -> Filter {
    compile(&default_profile(capabilities)).unwrap().unwrap()
}

/// Runs a script of busybox' shell under `filter`.
fn shell(filter: &Filter, script: &str) -> Output {
    let filter = filter.clone();
    let mut command = Command::new("/bin/busybox");
    command.args(["sh", "-c", script]);
    // SAFETY: between fork and exec, one system call.
    unsafe { command.pre_exec(move || filter.load().map(drop).map_err(Into::into)) };
    command.output().unwrap()
}

#[test]
fn the_default_profile_decides_about_every_call() {
    let profile = Profile::default_for_containers();
    let rules = profile.rules.iter().flat_map(|rule| &rule.names);
    let mut named: Vec<&String> =
        rules.chain(profile.refused.iter().flat_map(|refused| &refused.names)).collect();
    named.sort_unstable();
    named.dedup();
    let all: Vec<String> = seccomp::call_names().collect();
    assert_eq!(named, all.iter().collect::<Vec<_>>());
}

#[test]
fn the_default_profile_refuses_what_reaches_out() {
    let filter = default_filter(&CAPABILITIES);
    let new_user = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    for (name, number, args, errno) in [
        ("keyctl", libc::SYS_keyctl, [0; 5], libc::EPERM),
        ("add_key", libc::SYS_add_key, [0; 5], libc::EPERM),
        ("bpf", libc::SYS_bpf, [0; 5], libc::EPERM),
        ("mount", libc::SYS_mount, [0; 5], libc::EPERM),
        ("fsopen", libc::SYS_fsopen, [0; 5], libc::EPERM),
        ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0], libc::EPERM),
        ("unshare", libc::SYS_unshare, [i64::from(libc::CLONE_NEWNS), 0, 0, 0, 0], libc::EPERM),
        ("clone", libc::SYS_clone, [new_user, 0, 0, 0, 0], libc::EPERM),
        ("clone3", libc::SYS_clone3, [0; 5], libc::ENOSYS),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 5], libc::EPERM),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 5], libc::EPERM),
        ("userfaultfd", libc::SYS_userfaultfd, [0; 5], libc::EPERM),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5], libc::EPERM),
        ("kexec_load", libc::SYS_kexec_load, [0; 5], libc::EPERM),
        ("init_module", libc::SYS_init_module, [0; 5], libc::EPERM),
        ("AF_VSOCK", libc::SYS_socket, [40, 1, 0, 0, 0], libc::EPERM),
        ("ADDR_NO_RANDOMIZE", libc::SYS_personality, [0x4_0000, 0, 0, 0, 0], libc::EPERM),
        ("AF_UNIX", libc::SYS_socket, [1, 1, 0, 0, 0], 0),
        ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0], 0),
        ("no such call", 10_000, [0; 5], libc::ENOSYS),
    ] {
        assert_eq!(under(&filter, |_| errno_of(number, args)), End::Exit(errno), "{name}");
    }
}

#[test]
fn a_capability_opens_the_default_profile() {
    let filter = default_filter(&["CAP_SYS_ADMIN"]);
    let unshare = || errno_of(libc::SYS_unshare, [i64::from(libc::CLONE_NEWNS), 0, 0, 0, 0]);
    assert_ne!(under(&filter, |_| unshare()), End::Exit(libc::EPERM));
    assert_eq!(under(&filter, |_| errno_of(libc::SYS_keyctl, [0; 5])), End::Exit(libc::EPERM));
}

#[test]
fn a_shell_and_common_programs_run() {
    let docker: LinuxSeccomp = serde_json::from_str(include_str!("../../data/docker-seccomp.json")).unwrap();
    for filter in [default_filter(&CAPABILITIES), compile(&docker).unwrap().unwrap()] {
        let output = shell(
            &filter,
            "set -e
            dir=$(mktemp -d); cd \"$dir\"
            mkdir -p a/b; echo hello > a/b/c; ln -s b/c a/link; cp -a a z; mv z y; chmod 600 y/b/c; touch -d 2001-01-01 y/b/c
            test \"$(cat a/link)\" = hello
            find . -type f | sort | xargs grep -l hello | wc -l
            tar cf - a | tar tf - | awk 'END { print NR }'
            printf '3\\n1\\n2\\n' | sort -n | head -n 1
            (sleep 0.01 & wait); kill -0 $$; id -u >/dev/null; date +%Y >/dev/null; ps >/dev/null; df / >/dev/null
            dd if=/dev/zero of=big bs=64k count=4 2>/dev/null; sha256sum big | cut -c1-8; sync
            mkfifo fifo; echo through > fifo & cat fifo; wait
            nice -n 5 true; timeout 5 true; env -i /bin/busybox true; unlink big
            cd /; rm -rf \"$dir\"",
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text} {errors}", output.status);
        assert_eq!(text, "2\n4\n1\n8a39d2ab\nthrough\n", "{errors}");
    }
}

/// Nothing here would change the host if it succeeded.
#[test]
fn a_shell_cannot_mount_or_leave() {
    let filter = default_filter(&CAPABILITIES);
    for script in [
        "mount -t tmpfs none /nonexistent",
        "unshare -m true",
        "nsenter -t $$ -m true",
        "hostname \"$(hostname)\"",
        "swapoff /nonexistent",
    ] {
        let output = shell(&filter, script);
        let errors = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(!output.status.success(), "{script}");
        assert!(
            errors.contains("not permitted") || errors.contains("permission denied"),
            "{script}: {errors}"
        );
    }
}

/// Programs of the host's C library with threads, subprocesses and sockets, where the host has them.
#[test]
fn larger_programs_run() {
    let filter = default_filter(&CAPABILITIES);
    let mut ran = 0;
    for (program, args) in [
        ("/bin/bash", &["-c", "echo $((1+1)) | { read -r x; [ \"$x\" = 2 ]; }"][..]),
        ("/usr/bin/perl", &["-e", "exit(42 != fork_and_wait()); sub fork_and_wait { my $p = fork // die; exit 42 unless $p; waitpid $p, 0; $? >> 8 }"]),
        ("/usr/bin/python3", &["-c", "import threading, subprocess, socket, tempfile, mmap, select, multiprocessing
t = [threading.Thread(target=lambda: subprocess.run(['/bin/true'], check=True)) for _ in range(4)]
[x.start() for x in t]; [x.join() for x in t]
a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'
s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); s.accept()
e = select.epoll(); e.register(s); e.poll(0)
with tempfile.TemporaryFile() as f: f.write(b'y' * 4096); f.flush(); assert mmap.mmap(f.fileno(), 4096)[0] == 121"]),
    ] {
        if !std::path::Path::new(program).exists() {
            continue;
        }
        let filter = filter.clone();
        let mut command = Command::new(program);
        command.args(args);
        // SAFETY: between fork and exec, one system call.
        unsafe { command.pre_exec(move || filter.load().map(drop).map_err(Into::into)) };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{program}: {} {}", output.status, String::from_utf8_lossy(&output.stderr));
        ran += 1;
    }
    if ran == 0 {
        integration::skip("no program of the C library to run");
    }
}
