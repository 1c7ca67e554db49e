//! Other settings of dockerd: another default runtime, containers that outlive the daemon, containers whose root is
//! nobody on the host. Each has a dockerd of its own.

use integration::engine::Docker;
use serde_json::json;

#[test]
fn beside_another_default_it_is_chosen_by_the_flag() {
    let docker = Docker::with(&json!({}), "true");
    docker.prints("docker info -f '{{.DefaultRuntime}}'", "runc");
    let name = docker.named("chosen");
    docker.output(&format!("docker run -d --runtime pinnace --name {name} busybox sleep 600"));
    docker.prints(&format!("docker inspect -f '{{{{.HostConfig.Runtime}}}}' {name}"), "pinnace");
    docker.prints(&format!("docker exec {name} echo inside"), "inside");
    docker.prints("docker run --rm busybox echo the other", "the other");
}

#[test]
fn containers_live_on_while_the_daemon_is_restarted() {
    let mut docker = Docker::with(&json!({ "default-runtime": "pinnace", "live-restore": true }), "true");
    docker.output("docker run -d --name lives busybox sleep 600");
    docker.output("docker run -d --name ends busybox sh -c 'until [ -e /go ]; do sleep 0.1; done; exit 17'");
    let pid = docker.output("docker inspect -f '{{.State.Pid}}' lives");
    let ends = docker.output("docker inspect -f '{{.State.Pid}}' ends");
    docker.stop();
    docker.prints(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"), "sleep 600");
    docker.output(&format!("touch /proc/{ends}/root/go"));
    docker.start();
    docker.prints("docker inspect -f '{{.State.Status}} {{.State.Pid}}' lives", &format!("running {pid}"));
    docker.prints("docker exec lives echo still here", "still here");
    docker.comes_to("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' ends", "exited 17");
    docker.output("docker rm -f lives ends");
}

#[test]
fn the_root_of_a_container_is_nobody_on_the_host() {
    let files =
        "for f in subuid subgid; do echo nobody:200000:65536 > $ROOM/$f; mount --bind $ROOM/$f /etc/$f; done";
    // Docker looks for a group of the user's name, which Debian calls otherwise.
    let group = "sed s/^nogroup:/nobody:/ /etc/group > $ROOM/group; mount --bind $ROOM/group /etc/group";
    let settings = json!({ "default-runtime": "pinnace", "userns-remap": "nobody" });
    let docker = Docker::with(&settings, &format!("{files}; {group}"));
    docker.prints(
        "docker run --rm busybox sh -c 'id -u; tr -s \" \" < /proc/self/uid_map'",
        "0\n 0 200000 65536",
    );
    let name = docker.named("mapped");
    docker.output(&format!("docker run -d --name {name} -v data:/data busybox sleep 600"));
    let pid = docker.output(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}"));
    docker.prints(&format!("stat -c %u /proc/{pid}"), "200000");
    docker.prints(
        &format!("docker exec {name} sh -c 'touch /data/file /file; stat -c %u /data/file /file'"),
        "0\n0",
    );
    docker.prints(&format!("docker exec -u app {name} id -u"), "1000");
    docker.fails(
        &format!("docker exec {name} sh -c 'echo 1 > /proc/sys/kernel/panic'"),
        1,
        &["Read-only file system"],
    );
    let mut shell = docker.terminal(&format!("docker exec -it {name} sh"), 24, 80);
    shell.sees("# ");
    shell.types("exit 3\r");
    assert_eq!(shell.ends(), 3);
    docker.output(&format!("docker pause {name} && docker unpause {name} && docker stop -t 0 {name}"));
}
