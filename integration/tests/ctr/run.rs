//! `ctr run`: the command, its surroundings and its end.

use crate::{CTR, IMAGE, RUN};

#[test]
fn run_shows_both_outputs_and_the_exit_code() {
    let said = CTR.sh(&format!("{RUN} --rm {IMAGE} run-plain sh -c 'echo out; echo err >&2; exit 7'"));
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (7, "out\n", "err\n"), "{said}");
    CTR.prints("ctr container ls -q | grep -x run-plain || true", "");
}

#[test]
fn the_image_gives_command_environment_and_directory() {
    CTR.prints(&format!("{RUN} --rm {IMAGE} run-image sh -c 'echo $FROM_IMAGE; pwd'"), "yes\n/www");
}

#[test]
fn environment_directory_host_name_and_limits_of_the_flags() {
    let flags = "--env COLOUR=red --cwd /tmp --memory-limit 67108864";
    let see = "sh -c 'echo $COLOUR; pwd; cd /sys/fs/cgroup; cat memory.max 2>/dev/null || cat memory/memory.limit_in_bytes'";
    // ctr mounts no cgroup file system unless a cgroup flag asks for it.
    let said = CTR.output(&format!("{RUN} --rm {flags} {IMAGE} run-flags {see} || true"));
    assert!(said.starts_with("red\n/tmp"), "{said}");
}

#[test]
fn read_only_root_and_mounts() {
    CTR.fails(&format!("{RUN} --rm --read-only {IMAGE} run-ro touch /file"), 1, &["Read-only file system"]);
    CTR.output("mkdir -p $ROOM/from-host && echo x > $ROOM/from-host/file");
    let mount = "--mount type=bind,src=$ROOM/from-host,dst=/mnt,options=rbind:ro";
    CTR.prints(&format!("{RUN} --rm {mount} {IMAGE} run-mount cat /mnt/file"), "x");
}

#[test]
fn capabilities_and_seccomp() {
    let status = "grep -E '^(CapEff|Seccomp):' /proc/self/status";
    let plain = CTR.output(&format!("{RUN} --rm {IMAGE} run-plain-caps {status}"));
    assert_eq!(plain, "CapEff:\t00000000a80425fb\nSeccomp:\t0");
    let more =
        CTR.output(&format!("{RUN} --rm --seccomp --cap-add CAP_NET_ADMIN {IMAGE} run-more-caps {status}"));
    assert_eq!(more, "CapEff:\t00000000a80435fb\nSeccomp:\t2");
}

#[test]
fn a_missing_command_says_so() {
    let said = CTR.sh(&format!("{RUN} --rm {IMAGE} run-missing nosuchbinary"));
    assert!(said.code != 0 && said.stderr.contains("executable file not found in $PATH"), "{said}");
}

#[test]
fn the_network_of_the_host() {
    CTR.prints(
        &format!("{RUN} --rm --net-host {IMAGE} run-net readlink /proc/self/ns/net"),
        &CTR.output("readlink /proc/self/ns/net"),
    );
}

#[test]
fn a_terminal_answers_and_has_the_size_of_the_window() {
    let mut shell = CTR.terminal(&format!("{RUN} --rm -t {IMAGE} run-terminal sh"), 40, 120);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo begin''s\r");
    shell.sees("begins");
    shell.types("exit 5\r");
    assert_eq!(shell.ends(), 5);
}

#[test]
fn standard_input_reaches_the_command() {
    // Not the end of it: where it ends early, ctr asks for the closing before there is a task, and waits for ever.
    CTR.prints(&format!("(seq 1 500; sleep 3) | {RUN} --rm {IMAGE} run-stdin sed 500q | tail -n 1"), "500");
}
