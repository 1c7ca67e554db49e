//! Namespaces that a container shares with the host or with another container.

use crate::{DOCKER, asleep, scripted};

#[track_caller]
fn namespace(container: &str, kind: &str) -> String {
    DOCKER.output(&format!("docker exec {container} readlink /proc/self/ns/{kind}"))
}

#[test]
fn a_container_has_namespaces_of_its_own() {
    let [first, second] = ["sharing-own", "sharing-own-too"].map(|name| asleep(name, ""));
    for kind in ["mnt", "pid", "net", "uts", "ipc"] {
        let host = DOCKER.output(&format!("readlink /proc/self/ns/{kind}"));
        let [first, second] = [&first, &second].map(|name| namespace(&name.to_string(), kind));
        assert!(first != host && second != host && first != second, "{kind}: {host} {first} {second}");
    }
}

#[test]
fn the_network_of_the_host() {
    let host = DOCKER.output("readlink /proc/self/ns/net");
    DOCKER.prints("docker run --rm --net host busybox readlink /proc/self/ns/net", &host);
}

#[test]
fn the_network_of_another_container() {
    let first = asleep("sharing-net", "");
    let second = asleep("sharing-net-too", &format!("--net container:{first}"));
    assert_eq!(namespace(&first.to_string(), "net"), namespace(&second.to_string(), "net"));
    let see = |name: &str| DOCKER.output(&format!("docker exec {name} cat /sys/class/net/eth0/address"));
    assert_eq!(see(&first.to_string()), see(&second.to_string()));
}

#[test]
fn the_processes_of_the_host() {
    DOCKER.prints(
        "docker run --rm --pid host busybox readlink /proc/self/ns/pid",
        &DOCKER.output("readlink /proc/self/ns/pid"),
    );
}

#[test]
fn without_a_pid_namespace_of_its_own_all_its_processes_end() {
    let name = DOCKER.named("sharing-pid-host");
    DOCKER.output(&format!("docker run -d --pid host --name {name} busybox sh -c 'sleep 6543 & sleep 6544'"));
    DOCKER.comes_to("ps -eo args | grep -cx 'sleep 654[34]'", "2");
    DOCKER.output(&format!("docker kill {name}"));
    DOCKER.comes_to("ps -eo args | grep -cx 'sleep 654[34]' || true", "0");
}

#[test]
fn the_processes_of_another_container() {
    let first = scripted("sharing-pid", "", "echo ready; exec sleep 777");
    DOCKER.prints(
        &format!(
            "docker run --rm --pid container:{first} busybox sh -c 'tr \"\\0\" \" \" < /proc/1/cmdline'"
        ),
        "sleep 777",
    );
}

#[test]
fn the_shared_memory_of_another_container() {
    let first = asleep("sharing-ipc", "--ipc shareable");
    DOCKER.output(&format!("docker exec {first} sh -c 'echo hello > /dev/shm/note'"));
    DOCKER.prints(&format!("docker run --rm --ipc container:{first} busybox cat /dev/shm/note"), "hello");
    DOCKER.prints(
        "docker run --rm --ipc host busybox readlink /proc/self/ns/ipc",
        &DOCKER.output("readlink /proc/self/ns/ipc"),
    );
}

#[test]
fn the_host_name_of_the_host() {
    DOCKER.prints("docker run --rm --uts host busybox hostname", &DOCKER.output("hostname"));
}

#[test]
fn a_cgroup_namespace_of_its_own_shows_the_root() {
    let paths = DOCKER.output("docker run --rm --cgroupns private busybox cut -d: -f3 /proc/self/cgroup");
    assert!(paths.lines().all(|path| path == "/"), "{paths}");
}
