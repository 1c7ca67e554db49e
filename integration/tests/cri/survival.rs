//! Pods outlive containerd.

use integration::engine::Containerd;
use k8s_cri::v1::{ContainerState, PodSandboxState, PodSandboxStatusRequest};

use crate::client::Cri;

#[test]
fn pods_outlive_containerd_and_exits_are_told_late() {
    let mut engine = Containerd::for_kubernetes();
    let (id, stays, ends) = {
        let cri = Cri::new(&engine);
        let pod = cri.pod("outlives");
        let stays = pod.run("stays", "sleep 600");
        let ends = pod.run("ends", "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 9");
        let id = pod.id.clone();
        let started = pod.exec(&ends, "sh -c '(sleep 1; touch /tmp/go) >/dev/null 2>&1 &'");
        assert_eq!(started.exit_code, 0);
        // Removed below, by what is started again.
        std::mem::forget(pod);
        (id, stays, ends)
    };
    engine.kill();
    std::thread::sleep(std::time::Duration::from_secs(2));
    engine.start_again();
    let cri = Cri::new(&engine);
    let request = PodSandboxStatusRequest { pod_sandbox_id: id, verbose: false };
    let status = cri.ask(async |mut client| client.pod_sandbox_status(request).await).status.unwrap();
    assert_eq!(status.state(), PodSandboxState::SandboxReady);
    assert_eq!(cri.status(&stays).state(), ContainerState::ContainerRunning);
    assert_eq!(cri.ended(&ends).exit_code, 9);
}
