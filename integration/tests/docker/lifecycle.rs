//! A container's life in order: states, restart, wait, removal, and what is left on the host.

use crate::{DOCKER, asleep, scripted};

#[test]
fn restart_runs_the_same_container_anew() {
    let name = asleep("life-restart", "");
    DOCKER.output(&format!("docker exec {name} touch /kept"));
    let pid = || DOCKER.output(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}"));
    let before = pid();
    DOCKER.output(&format!("docker restart -t 0 {name}"));
    assert_ne!(before, pid());
    DOCKER.prints(&format!("docker exec {name} ls /kept"), "/kept");
}

#[test]
fn wait_returns_the_exit_code_when_it_ends() {
    let name = scripted("life-wait", "", "echo ready; until [ -e /go ]; do sleep 0.1; done; exit 23");
    let wait = DOCKER.begin(&format!("docker wait {name}"));
    DOCKER.output(&format!("docker exec {name} touch /go"));
    let said = wait.finish();
    assert_eq!((said.code, said.stdout.as_str()), (0, "23\n"), "{said}");
}

#[test]
fn rm_refuses_a_running_container_and_force_removes_it() {
    let name = asleep("life-rm", "");
    let said = DOCKER.sh(&format!("docker rm {name}"));
    assert!(said.code == 1 && said.stderr.contains("running"), "{said}");
    DOCKER.output(&format!("docker rm -f {name}"));
    DOCKER.fails(&format!("docker inspect {name}"), 1, &["No such object"]);
}

#[test]
fn removal_leaves_no_cgroup_mount_process_or_state() {
    let name = asleep("life-clean", "-m 64m --tmpfs /x -v life-clean:/data");
    let id = DOCKER.output(&format!("docker inspect -f '{{{{.Id}}}}' {name}"));
    DOCKER.prints(&format!("[ $(find /sys/fs/cgroup -name {id} | wc -l) -gt 0 ] && echo some"), "some");
    DOCKER.output(&format!("docker rm -f {name}; docker volume rm life-clean"));
    DOCKER.comes_to(&format!("find /sys/fs/cgroup -name {id}; grep {id} /proc/self/mountinfo || true"), "");
    DOCKER.comes_to(&format!("find $ROOM /run -name '{id}*' -not -path '*/log/*'"), "");
}

#[test]
fn a_restart_policy_brings_a_failed_container_back() {
    let name = DOCKER.named("life-policy");
    DOCKER.output(&format!(
        "docker run -d --name {name} --restart on-failure:2 busybox sh -c 'echo try; exit 1'"
    ));
    DOCKER.comes_to(
        &format!("docker inspect -f '{{{{.RestartCount}}}} {{{{.State.Status}}}}' {name}"),
        "2 exited",
    );
    DOCKER.prints(&format!("docker logs {name}"), "try\ntry\ntry");
}

#[test]
fn a_failed_start_leaves_the_container_created_and_nothing_running() {
    let name = DOCKER.named("life-failed");
    let said = DOCKER.sh(&format!("docker run --name {name} busybox nosuchbinary"));
    assert_eq!(said.code, 127, "{said}");
    DOCKER.prints(
        &format!("docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {name}"),
        "created 127",
    );
    let id = DOCKER.output(&format!("docker inspect -f '{{{{.Id}}}}' {name}"));
    DOCKER.comes_to(&format!("find /sys/fs/cgroup -name {id}"), "");
}

#[test]
fn a_container_outlives_the_client_and_its_children_end_with_it() {
    let name = scripted("life-children", "", "sleep 7654 & sleep 7654 & echo ready; wait");
    DOCKER.prints("ps -eo args | grep -cx 'sleep 7654'", "2");
    DOCKER.output(&format!("docker rm -f {name}"));
    DOCKER.comes_to("ps -eo args | grep -cx 'sleep 7654' || true", "0");
}

#[test]
fn rename_and_ps_show_the_container() {
    let name = asleep("life-ps", "--label made=here");
    DOCKER.prints(
        "docker ps --filter label=made=here --format '{{.Names}} {{.Image}} {{.Command}}'",
        &format!("{name} busybox \"sleep 600\""),
    );
}
