//! `docker stop`, `kill`, `pause` and what the container's process notices of them.

use crate::{DOCKER, asleep, scripted};

#[test]
fn stop_sends_term_and_the_process_may_end_itself() {
    let name = scripted(
        "signals-stop",
        "",
        "trap \"echo told; exit 5\" TERM; echo ready; while :; do sleep 0.1; done",
    );
    DOCKER.output(&format!("docker stop {name}"));
    DOCKER.prints(&format!("docker wait {name}"), "5");
    DOCKER.prints(&format!("docker logs {name}"), "ready\ntold");
}

#[test]
fn stop_kills_who_does_not_listen() {
    let name = asleep("signals-deaf", "");
    DOCKER.output(&format!("docker stop -t 1 {name}"));
    DOCKER.prints(
        &format!("docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {name}"),
        "exited 137",
    );
}

#[test]
fn stop_signal_of_the_flag() {
    let name = scripted(
        "signals-own",
        "--stop-signal USR1",
        "trap \"exit 11\" USR1; trap \"exit 12\" TERM; echo ready; while :; do sleep 0.1; done",
    );
    DOCKER.output(&format!("docker stop {name}"));
    DOCKER.prints(&format!("docker wait {name}"), "11");
}

#[test]
fn kill_by_name_and_by_number() {
    let script =
        "trap \"echo hup\" HUP; trap \"echo usr1; exit 6\" USR1; echo ready; while :; do sleep 0.1; done";
    let name = scripted("signals-kill", "", script);
    DOCKER.output(&format!("docker kill -s HUP {name}"));
    DOCKER.comes_to(&format!("docker logs {name}"), "ready\nhup");
    DOCKER.output(&format!("docker kill -s 10 {name}"));
    DOCKER.prints(&format!("docker wait {name}"), "6");
}

#[test]
fn kill_ends_with_137_and_not_twice() {
    let name = asleep("signals-twice", "");
    DOCKER.output(&format!("docker kill {name}"));
    DOCKER.prints(&format!("docker wait {name}"), "137");
    DOCKER.fails(&format!("docker kill {name}"), 1, &["not running"]);
}

#[test]
fn pause_stops_time_and_unpause_lets_it_go_on() {
    let name =
        scripted("signals-pause", "", "echo ready; n=0; while :; do n=$((n + 1)); echo $n > /tmp/n; done");
    let count = || DOCKER.output(&format!("docker cp {name}:/tmp/n - | tar -xO"));
    DOCKER.output(&format!("docker pause {name}"));
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "paused");
    let first = count();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(first, count());
    DOCKER.output(&format!("docker unpause {name}"));
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "running");
    DOCKER.comes_to(&format!("[ \"$(docker exec {name} cat /tmp/n)\" != '{first}' ] && echo moved"), "moved");
}

#[test]
fn a_paused_container_can_be_removed_by_force() {
    let name = asleep("signals-paused", "");
    DOCKER.output(&format!("docker pause {name}"));
    DOCKER.output(&format!("docker rm -f {name}"));
    DOCKER.prints(&format!("docker ps -aq --filter name={name}"), "");
}

#[test]
fn control_c_of_an_attached_run_reaches_the_command() {
    let script = "trap \"echo int; exit 8\" INT; echo ready; while :; do sleep 0.1; done";
    let mut shell = DOCKER.terminal(&format!("docker run --rm busybox sh -c '{script}'"), 24, 80);
    shell.sees("ready");
    shell.types("\x03");
    shell.sees("int");
    assert_eq!(shell.ends(), 8);
}
