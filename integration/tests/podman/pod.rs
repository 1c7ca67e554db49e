//! A pod: containers that share namespaces which another one holds.

use crate::PODMAN;

/// A pod that is removed with its containers.
struct Pod(&'static str);

impl Pod {
    fn new(name: &'static str, flags: &str) -> Self {
        PODMAN.output(&format!("podman pod create --name {name} {flags}"));
        Self(name)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        PODMAN.sh(&format!("podman pod rm -f -t 0 {}", self.0));
    }
}

#[test]
fn two_containers_of_a_pod_share_the_network() {
    let _pod = Pod::new("pod-net", "");
    PODMAN.output("podman run -d --pod pod-net --name pod-web busybox httpd -f -p 80 -h /www");
    PODMAN.comes_to("podman run --rm --pod pod-net busybox wget -qO- http://127.0.0.1/", "a page");
    PODMAN.output("podman run -d --pod pod-net --name pod-second busybox sleep 600");
    for (kind, shared) in [("net", true), ("ipc", true), ("uts", true), ("mnt", false), ("pid", false)] {
        let see = |name: &str| PODMAN.output(&format!("podman exec {name} readlink /proc/self/ns/{kind}"));
        assert_eq!(see("pod-web") == see("pod-second"), shared, "{kind}");
    }
}

#[test]
fn a_pod_that_shares_processes() {
    let _pod = Pod::new("pod-pid", "--share pid,net");
    PODMAN.output("podman run -d --pod pod-pid busybox sleep 9876");
    PODMAN.prints(
        "podman run --rm --pod pod-pid busybox sh -c 'ps -o args | grep -x \"sleep 9876\"'",
        "sleep 9876",
    );
}

#[test]
fn a_pod_is_stopped_started_and_removed() {
    let _pod = Pod::new("pod-life", "");
    PODMAN.output("podman run -d --pod pod-life --name pod-member busybox sleep 600");
    PODMAN.output("podman pod stop -t 0 pod-life");
    PODMAN.prints("podman pod inspect -f '{{.State}}' pod-life", "Exited");
    PODMAN.output("podman pod start pod-life");
    PODMAN.prints("podman exec pod-member echo up", "up");
    PODMAN.output("podman pod rm -f -t 0 pod-life");
    PODMAN.prints("podman ps -a --filter name=pod-member -q", "");
}
