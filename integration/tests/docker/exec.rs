//! `docker exec`: another process in a running container.

use crate::{DOCKER, asleep};

#[test]
fn exec_prints_both_outputs_and_passes_the_exit_code() {
    let name = asleep("exec-plain", "");
    let said = DOCKER.sh(&format!("docker exec {name} sh -c 'echo out; echo err >&2; exit 42'"));
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (42, "out\n", "err\n"), "{said}");
}

#[test]
fn exec_is_inside_the_container() {
    let name = asleep("exec-inside", "-h inner -m 64m");
    DOCKER.prints(&format!("docker exec {name} hostname"), "inner");
    DOCKER.prints(&format!("docker exec {name} cat /proc/1/comm"), "sleep");
    for kind in ["mnt", "pid", "net", "uts", "ipc"] {
        DOCKER.prints(
            &format!("docker exec {name} sh -c '[ $(readlink /proc/self/ns/{kind}) = $(readlink /proc/1/ns/{kind}) ] && echo same'"),
            "same",
        );
    }
    DOCKER.prints(
        &format!("docker exec {name} sh -c 'cmp /proc/1/cgroup /proc/self/cgroup && echo same'"),
        "same",
    );
}

#[test]
fn exec_as_a_user_in_a_directory_with_an_environment() {
    let name = asleep("exec-user", "-e FROM_RUN=1 -w /tmp");
    DOCKER.prints(&format!("docker exec -u app {name} sh -c 'id -u; id -g'"), "1000\n1000");
    DOCKER.prints(&format!("docker exec -u 5:6 {name} id -u"), "5");
    DOCKER.prints(&format!("docker exec -w /www {name} pwd"), "/www");
    DOCKER.prints(&format!("docker exec {name} pwd"), "/tmp");
    DOCKER.prints(&format!("docker exec -e MORE=2 {name} sh -c 'echo $FROM_RUN$MORE'"), "12");
}

#[test]
fn exec_of_a_missing_command_says_so() {
    let name = asleep("exec-missing", "");
    let said = DOCKER.sh(&format!("docker exec {name} nosuchbinary"));
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("executable file not found in $PATH"), "{said}");
    // Docker before 23 says 126 for both.
    assert!([126, 127].contains(&said.code), "{said}");
    let said = DOCKER.sh(&format!("docker exec {name} /not-executable"));
    assert!(format!("{}{}", said.stdout, said.stderr).contains("permission denied"), "{said}");
    assert_eq!(said.code, 126, "{said}");
}

#[test]
fn exec_detached_goes_on_alone() {
    let name = asleep("exec-detached", "");
    DOCKER.prints(&format!("docker exec -d {name} sh -c 'sleep 0.3; echo done > /tmp/file'"), "");
    DOCKER.comes_to(&format!("docker exec {name} cat /tmp/file"), "done");
}

#[test]
fn exec_takes_standard_input() {
    let name = asleep("exec-stdin", "");
    DOCKER.prints(&format!("seq 1 5000 | docker exec -i {name} wc -l"), "5000");
}

#[test]
fn exec_privileged_has_more_than_the_container() {
    if integration::stand_in_lacks("asks for capabilities that the host itself lacks") {
        return;
    }
    let name = asleep("exec-privileged", "");
    let caps =
        |flags: &str| DOCKER.output(&format!("docker exec {flags} {name} grep CapEff /proc/self/status"));
    assert!(caps("--privileged") > caps(""), "{} {}", caps("--privileged"), caps(""));
}

#[test]
fn exec_into_a_stopped_or_paused_container_is_refused() {
    let name = asleep("exec-refused", "");
    DOCKER.output(&format!("docker pause {name}"));
    DOCKER.fails(&format!("docker exec {name} true"), 1, &["paused"]);
    DOCKER.output(&format!("docker unpause {name}"));
    DOCKER.output(&format!("docker kill {name}"));
    DOCKER.fails(&format!("docker exec {name} true"), 1, &["not running"]);
}

#[test]
fn ten_execs_at_once_and_then_thirty_in_a_row() {
    let name = asleep("exec-many", "");
    let said =
        DOCKER.output(&format!("for n in 0 1 2 3 4 5 6 7 8 9; do docker exec {name} echo $n & done; wait"));
    let mut numbers: Vec<_> = said.lines().collect();
    numbers.sort_unstable();
    assert_eq!(numbers.concat(), "0123456789");
    DOCKER.prints(&format!("for n in $(seq 30); do docker exec {name} true || echo failed; done"), "");
    DOCKER.comes_to(&format!("docker exec {name} ps -o pid | wc -l"), "3");
}

#[test]
fn exec_processes_die_with_the_container() {
    let name = asleep("exec-dies", "");
    let exec = DOCKER.begin(&format!("docker exec {name} sh -c 'echo in; sleep 600'"));
    exec.says("in");
    DOCKER.output(&format!("docker kill {name}"));
    assert_eq!(exec.finish().code, 137);
}
