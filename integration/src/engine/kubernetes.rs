//! How containerd is told to serve Kubernetes in a room: our shim as a runtime handler, a network for pods, a sandbox
//! image. It must never use the host's CNI configuration, nor leave addresses allocated there.

use std::fs;

use serde_json::json;

use super::room::Room;

/// The image that holds a pod's namespaces.
pub(super) const PAUSE: &str = "localhost/pause:1";

/// The lines of containerd's configuration; writes the network's beside.
pub(super) fn config(room: &Room) -> String {
    let networks = room.directory().join("cni");
    fs::create_dir_all(&networks).expect("make a directory for networks");
    let pods = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local", "dataDir": room.path("addresses"),
                    "ranges": [[{ "subnet": "10.88.0.0/16" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
        ],
    });
    fs::write(networks.join("10-pods.conflist"), pods.to_string())
        .expect("write the network's configuration");
    // Lowering oom_score_adj needs CAP_SYS_RESOURCE, which not every host of tests has.
    format!(
        r#"[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{}"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "pinnace"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.pinnace]
runtime_type = "io.containerd.pinnace.v2"
"#,
        networks.display()
    )
}
