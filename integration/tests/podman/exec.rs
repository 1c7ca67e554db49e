//! `podman exec`: another process in a running container.

use crate::{PODMAN, asleep};

#[test]
fn exec_prints_both_outputs_and_passes_the_exit_code() {
    let name = asleep("exec-plain", "");
    let said = PODMAN.sh(&format!("podman exec {name} sh -c 'echo out; echo err >&2; exit 42'"));
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (42, "out\n", "err\n"), "{said}");
}

#[test]
fn exec_as_a_user_in_a_directory_with_an_environment() {
    let name = asleep("exec-user", "");
    PODMAN.prints(
        &format!("podman exec -u app -w /www -e COLOUR=red {name} sh -c 'id -u; pwd; echo $COLOUR'"),
        "1000\n/www\nred",
    );
}

#[test]
fn exec_of_a_missing_command_is_127_and_one_that_may_not_be_executed_126() {
    let name = asleep("exec-missing", "");
    PODMAN.fails(&format!("podman exec {name} nosuchbinary"), 127, &["executable file not found in $PATH"]);
    PODMAN.fails(&format!("podman exec {name} /not-executable"), 126, &["permission denied"]);
}

#[test]
fn exec_it_gives_a_second_shell() {
    let name = asleep("exec-terminal", "");
    let mut shell = PODMAN.terminal(&format!("podman exec -it {name} sh"), 33, 99);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '33 99' ]; do sleep 0.1; done; echo siz''ed\r");
    shell.sees("sized");
    shell.types("exit 9\r");
    assert_eq!(shell.ends(), 9);
}

#[test]
fn exec_detached_and_with_standard_input() {
    let name = asleep("exec-detached", "");
    PODMAN.output(&format!("podman exec -d {name} sh -c 'echo done > /tmp/file'"));
    PODMAN.comes_to(&format!("podman exec {name} cat /tmp/file"), "done");
    PODMAN.prints(&format!("seq 1 5000 | podman exec -i {name} wc -l"), "5000");
}

#[test]
fn a_health_check_turns_healthy() {
    let name = asleep("exec-health", "--health-cmd 'test -d /www' --health-interval disable");
    PODMAN.prints(&format!("podman healthcheck run {name}; echo $?"), "0");
    PODMAN.prints(&format!("podman inspect -f '{{{{.State.Health.Status}}}}' {name}"), "healthy");
}
