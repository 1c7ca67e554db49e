//! A container's life with podman: states, signals, removal, looking at it from outside.

use crate::{PODMAN, asleep, scripted};

#[track_caller]
fn status(name: &str) -> String {
    PODMAN.output(&format!("podman inspect -f '{{{{.State.Status}}}}' {name}"))
}

#[test]
fn create_start_and_wait() {
    let name = PODMAN.named("life-created");
    PODMAN.output(&format!("podman create --name {name} busybox sh -c 'echo started; exit 3'"));
    assert_eq!(status("life-created"), "created");
    let said = PODMAN.sh(&format!("podman start -a {name}"));
    assert_eq!((said.code, said.stdout.as_str()), (3, "started\n"), "{said}");
    PODMAN.prints(&format!("podman wait {name}"), "3");
}

#[test]
fn init_then_start() {
    let name = PODMAN.named("life-init");
    PODMAN.output(&format!("podman create --name {name} busybox sleep 600 && podman init {name}"));
    assert_eq!(status("life-init"), "initialized");
    PODMAN.output(&format!("podman start {name}"));
    assert_eq!(status("life-init"), "running");
}

#[test]
fn pause_and_unpause() {
    let name = asleep("life-pause", "");
    PODMAN.output(&format!("podman pause {name}"));
    assert_eq!(status("life-pause"), "paused");
    PODMAN.output(&format!("podman unpause {name}"));
    PODMAN.prints(&format!("podman exec {name} echo awake"), "awake");
}

#[test]
fn stop_sends_term_and_kill_the_signal_that_is_asked_for() {
    let script =
        "trap \"echo term; exit 5\" TERM; trap \"echo hup\" HUP; echo ready; while :; do sleep 0.1; done";
    let name = scripted("life-stop", "", script);
    PODMAN.output(&format!("podman kill -s HUP {name}"));
    PODMAN.comes_to(&format!("podman logs {name}"), "ready\nhup");
    PODMAN.output(&format!("podman stop {name}"));
    PODMAN.prints(&format!("podman wait {name}"), "5");
}

#[test]
fn a_killed_container_is_137_and_restarts() {
    let name = asleep("life-kill", "");
    PODMAN.output(&format!("podman kill {name}"));
    PODMAN.prints(&format!("podman wait {name}"), "137");
    PODMAN.output(&format!("podman restart {name}"));
    PODMAN.prints(&format!("podman exec {name} echo again"), "again");
}

#[test]
fn removal_leaves_no_cgroup_and_no_process() {
    let name = scripted("life-remove", "-m 64m", "sleep 8765 & echo ready; wait");
    let id = PODMAN.output(&format!("podman inspect -f '{{{{.Id}}}}' {name}"));
    PODMAN.prints(&format!("[ $(find /sys/fs/cgroup -name '*{id}*' | wc -l) -gt 0 ] && echo some"), "some");
    PODMAN.output(&format!("podman rm -f -t 0 {name}"));
    PODMAN.comes_to(
        &format!("find /sys/fs/cgroup -name '*{id}*'; ps -eo args | grep -x 'sleep 8765' || true"),
        "",
    );
}

#[test]
fn running_out_of_memory_is_137() {
    let name = PODMAN.named("life-oom");
    let said =
        PODMAN.sh(&format!("podman run --name {name} -m 16m --memory-swap 16m busybox tail /dev/zero"));
    assert_eq!(said.code, 137, "{said}");
}

#[test]
fn top_stats_and_ps() {
    let name = scripted("life-top", "-m 64m", "sleep 5432 & echo ready; exec sleep 5433");
    PODMAN.prints(
        &format!("podman top {name} args | tail -n +2 | sed 's/ *$//' | sort"),
        "sleep 5432\nsleep 5433",
    );
    let stats =
        PODMAN.output(&format!("podman stats --no-stream --format '{{{{.PIDs}}}} {{{{.MemUsage}}}}' {name}"));
    assert!(stats.starts_with("2 ") && !stats.contains(" 0B"), "{stats}");
    PODMAN.prints(
        &format!(
            "podman ps --filter name={name} --format '{{{{.Names}}}} {{{{.Status}}}}' | cut -d' ' -f1,2"
        ),
        "life-top Up",
    );
}

#[test]
fn commit_cp_and_diff() {
    let name = asleep("life-files", "");
    PODMAN.output(&format!("podman exec {name} sh -c 'echo kept > /kept'"));
    PODMAN.prints(&format!("podman diff {name} | grep kept"), "A /kept");
    PODMAN.output(&format!("podman commit {name} committed"));
    PODMAN.prints("podman run --rm committed cat /kept", "kept");
    PODMAN.prints(&format!("podman cp {name}:/kept - | tar -xO"), "kept");
}

#[test]
fn attach_sees_what_comes() {
    let name =
        scripted("life-attach", "", "echo ready; until [ -e /go ]; do sleep 0.1; done; echo seen; exit 6");
    let attached = PODMAN.begin(&format!("podman attach {name}"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    PODMAN.output(&format!("podman exec {name} touch /go"));
    let said = attached.finish();
    assert!(said.stdout.contains("seen\n"), "{said}");
    PODMAN.prints(&format!("podman wait {name}"), "6");
}
