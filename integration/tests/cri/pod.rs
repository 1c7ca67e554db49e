//! Pods: what their containers share, what holds them, and that nothing is left of them.

use k8s_cri::v1::{ListPodSandboxRequest, NamespaceMode, PodSandboxState, PodSandboxStatusRequest};

use crate::ENGINE;
use crate::client::{Cri, Pod};

/// A shell line for the room that prints a pod's shims.
fn shims(pod: &Pod) -> String {
    format!("pgrep -f '[c]ontainerd-shim-pinnace-v2 .*-id {} ' || true", pod.id)
}

fn namespaces(pod: &Pod, id: &str, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| pod.output(id, &format!("readlink /proc/self/ns/{name}"))).collect()
}

#[test]
fn two_containers_share_net_ipc_and_uts_but_no_more() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("shared");
    let web = pod.run("web", "httpd -f -p 8080 -h /www");
    let other = pod.run("other", "sleep 600");
    let shared = ["net", "ipc", "uts"];
    assert_eq!(namespaces(&pod, &web, &shared), namespaces(&pod, &other, &shared));
    for name in ["pid", "mnt"] {
        assert_ne!(namespaces(&pod, &web, &[name]), namespaces(&pod, &other, &[name]), "{name}");
    }
    assert_eq!(pod.output(&other, "hostname"), "shared");
    assert_eq!(pod.output(&other, "wget -qO- http://127.0.0.1:8080/index.html"), "a page");
    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: false };
    let status = cri.ask(async |mut client| client.pod_sandbox_status(request).await).status.unwrap();
    let address = status.network.unwrap().ip;
    assert_eq!(
        ENGINE.output(&format!(
            "wget -qO- http://{address}:8080/index.html || curl -s http://{address}:8080/index.html"
        )),
        "a page"
    );
}

#[test]
fn a_shared_pid_namespace_shows_each_container_the_others() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod_with("shared-pid", NamespaceMode::Pod, |_| ());
    pod.run("one", "exec sleep 7411");
    let two = pod.run("two", "exec sleep 7412");
    assert_eq!(pod.output(&two, "cat /proc/1/comm"), "pause");
    let seen = pod.output(&two, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert!(seen.contains("sleep 7411") && seen.contains("sleep 7412"), "{seen}");
    // An orphan becomes the child of pause, which reaps it.
    assert_eq!(
        pod.output(
            &two,
            "sh -c 'sleep 0.1 & exit 0'; sleep 1; grep -l '(sleep) Z' /proc/[0-9]*/stat | wc -l"
        ),
        "0"
    );
}

#[test]
fn one_shim_serves_a_whole_pod() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("one-shim");
    let ids = [pod.run("one", "sleep 600"), pod.run("two", "sleep 600")];
    let shim = ENGINE.output(&shims(&pod));
    assert_eq!(shim.lines().count(), 1, "shims of the pod: {shim:?}");
    for id in &ids {
        assert_eq!(
            ENGINE.output(&format!("pgrep -f '[c]ontainerd-shim-pinnace-v2 .*-id {id} ' || true")),
            ""
        );
    }
    assert_eq!(ENGINE.output(&format!("ls /proc/{shim}/task | wc -l")), "1");
}

#[test]
fn nothing_is_left_of_a_removed_pod() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("removed");
    let id = pod.run("main", "sleep 600");
    pod.remove().unwrap();
    ENGINE.comes_to(&shims(&pod), "");
    for id in [&pod.id, &id] {
        ENGINE.comes_to(&format!("grep -c {id} /proc/mounts || true"), "0");
        ENGINE.comes_to(
            &format!("find /run/containerd -name '*{id}*'; find /sys/fs/cgroup -name '*{id}*'"),
            "",
        );
    }
    let listed = cri.ask(async |mut client| client.list_pod_sandbox(ListPodSandboxRequest::default()).await);
    assert!(listed.items.iter().all(|item| item.id != pod.id));
}

#[test]
fn a_pod_without_its_pause_is_not_ready_and_starts_no_container() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("no-pause");
    ENGINE.output(&format!("kill -9 $(ctr task ls | grep '^{} ' | tr -s ' ' | cut -d' ' -f2)", pod.id));
    let request = || PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: false };
    let state = integration::host::eventually(integration::host::LIMIT, || {
        let status = cri.ask(async |mut client| client.pod_sandbox_status(request()).await).status.unwrap();
        (status.state() == PodSandboxState::SandboxNotready).then_some(())
    });
    assert!(state.is_some(), "the pod stays ready without pause");
}

#[test]
fn a_pod_of_the_host_network_is_in_the_network_of_containerd() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod_with("host-net", NamespaceMode::Container, |config| {
        // As a kubelet does: a name of its own would need a uts namespace.
        config.hostname.clear();
        let security = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        security.namespace_options.as_mut().unwrap().network = NamespaceMode::Node.into();
    });
    let pause = ENGINE.output(&format!("ctr task ls | grep '^{} ' | tr -s ' ' | cut -d' ' -f2", pod.id));
    assert_eq!(
        ENGINE.output(&format!("readlink /proc/{pause}/ns/net")),
        ENGINE.output("readlink /proc/self/ns/net")
    );
}

#[test]
fn sysctls_of_a_pod_are_set_in_its_namespaces() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod_with("sysctls", NamespaceMode::Container, |config| {
        let sysctls = &mut config.linux.as_mut().unwrap().sysctls;
        sysctls.insert("kernel.shm_rmid_forced".to_owned(), "1".to_owned());
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "81".to_owned());
    });
    let id = pod.run("main", "sleep 600");
    assert_eq!(pod.output(&id, "cat /proc/sys/kernel/shm_rmid_forced"), "1");
    assert_eq!(pod.output(&id, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "81");
}
