//! A kubelet's half of the CRI, as small as the tests need it: pods and containers that are removed when dropped. It
//! must never decide what is right; that stands in the tests.

use std::collections::HashMap;
use std::time::Duration;

use integration::engine::Containerd;
use integration::host::{LIMIT, eventually};
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, ExecSyncResponse, ImageSpec, LinuxContainerConfig,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, PodSandboxConfig, PodSandboxMetadata, RemovePodSandboxRequest, RunPodSandboxRequest,
    StartContainerRequest, StatusRequest, StopContainerRequest, StopPodSandboxRequest,
};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// The name of the runtime handler that is our shim.
pub const HANDLER: &str = "pinnace";
/// The image of the tests' containers.
pub const IMAGE: &str = "docker.io/library/busybox:latest";
/// The longest that a call may take.
const CALL: Duration = Duration::from_secs(120);

/// A connection to containerd's CRI; each test has its own.
pub struct Cri<'a> {
    pub engine: &'a Containerd,
    runtime: Runtime,
    client: RuntimeServiceClient<Channel>,
}

impl<'a> Cri<'a> {
    /// Connects, and waits until the service is up.
    pub fn new(engine: &'a Containerd) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("start an event loop");
        let endpoint = Endpoint::try_from(format!("unix:{}", engine.socket()));
        let endpoint = endpoint.expect("invariant: a path of the room is an address").timeout(CALL);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        let cri = Self { engine, runtime, client: RuntimeServiceClient::new(channel) };
        let up = eventually(LIMIT, || {
            cri.call(async |mut client| client.status(StatusRequest::default()).await).ok()
        });
        assert!(up.is_some(), "the CRI does not answer\n{}", engine.room().logs());
        cri
    }

    /// Makes one call.
    pub fn call<T>(
        &self,
        call: impl AsyncFnOnce(RuntimeServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        self.runtime.block_on(call(self.client.clone())).map(Response::into_inner)
    }

    /// Makes one call that must succeed.
    #[track_caller]
    pub fn ask<T>(
        &self,
        call: impl AsyncFnOnce(RuntimeServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> T {
        let answer = self.call(call);
        answer.unwrap_or_else(|status| panic!("{status}\n{}", self.engine.room().logs()))
    }

    /// A pod with a network of its own, whose containers share what those of Kubernetes share.
    pub fn pod(&self, name: &str) -> Pod<'_> {
        self.pod_with(name, NamespaceMode::Container, |_| ())
    }

    /// A pod with that pid namespace and what else the test wants.
    #[track_caller]
    pub fn pod_with(
        &self,
        name: &str,
        pid: NamespaceMode,
        change: impl FnOnce(&mut PodSandboxConfig),
    ) -> Pod<'_> {
        let shared = NamespaceOption { pid: pid.into(), ..NamespaceOption::default() };
        let security = LinuxSandboxSecurityContext {
            namespace_options: Some(shared.clone()),
            ..LinuxSandboxSecurityContext::default()
        };
        let room = self.engine.room();
        let mut config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.to_owned(),
                uid: format!("uid-{name}"),
                namespace: "tests".to_owned(),
                attempt: 0,
            }),
            hostname: name.to_owned(),
            log_directory: room.path(&format!("pods/{name}")),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("{}/{name}", room.cgroup()),
                security_context: Some(security),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        };
        std::fs::create_dir_all(&config.log_directory).expect("make a directory for logs");
        change(&mut config);
        let request =
            RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: HANDLER.to_owned() };
        let id = self.ask(async |mut client| client.run_pod_sandbox(request).await).pod_sandbox_id;
        Pod { cri: self, id, config, shared }
    }

    /// What the CRI says of a container.
    #[track_caller]
    pub fn status(&self, id: &str) -> ContainerStatus {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        self.ask(async |mut client| client.container_status(request).await)
            .status
            .expect("an answer with a status")
    }

    /// Waits until a container has ended; its last status.
    #[track_caller]
    pub fn ended(&self, id: &str) -> ContainerStatus {
        let ended = eventually(LIMIT, || {
            let status = self.status(id);
            (status.state() == ContainerState::ContainerExited).then_some(status)
        });
        ended.unwrap_or_else(|| panic!("{id} does not end\n{}", self.engine.room().logs()))
    }
}

/// A pod; dropping it stops and removes it with its containers.
pub struct Pod<'a> {
    pub cri: &'a Cri<'a>,
    pub id: String,
    pub config: PodSandboxConfig,
    shared: NamespaceOption,
}

impl Pod<'_> {
    /// Creates a container that runs this shell line; its id.
    #[track_caller]
    pub fn create(&self, name: &str, line: &str, change: impl FnOnce(&mut ContainerConfig)) -> String {
        let security = LinuxContainerSecurityContext {
            namespace_options: Some(self.shared.clone()),
            ..LinuxContainerSecurityContext::default()
        };
        let mut config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(ImageSpec { image: IMAGE.to_owned(), ..ImageSpec::default() }),
            command: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
            log_path: format!("{name}.log"),
            annotations: HashMap::new(),
            linux: Some(LinuxContainerConfig {
                security_context: Some(security),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        };
        change(&mut config);
        let request = CreateContainerRequest {
            pod_sandbox_id: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        self.cri.ask(async |mut client| client.create_container(request).await).container_id
    }

    /// Creates and starts a container that runs this shell line; its id.
    #[track_caller]
    pub fn run_with(&self, name: &str, line: &str, change: impl FnOnce(&mut ContainerConfig)) -> String {
        let id = self.create(name, line, change);
        self.start(&id);
        id
    }

    /// Creates and starts a container that runs this shell line; its id.
    #[track_caller]
    pub fn run(&self, name: &str, line: &str) -> String {
        self.run_with(name, line, |_| ())
    }

    /// Starts a container.
    #[track_caller]
    pub fn start(&self, id: &str) {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.cri.ask(async |mut client| client.start_container(request).await);
    }

    /// Runs a shell line in a container, as a probe does.
    #[track_caller]
    pub fn exec(&self, id: &str, line: &str) -> ExecSyncResponse {
        let cmd = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: 60 };
        self.cri.ask(async |mut client| client.exec_sync(request).await)
    }

    /// Runs a shell line that must succeed; its output without the last line's end.
    #[track_caller]
    pub fn output(&self, id: &str, line: &str) -> String {
        let answer = self.exec(id, line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert_eq!(answer.exit_code, 0, "{line}: {}", text(&answer.stderr));
        text(&answer.stdout)
    }

    /// Stops a container, with so many seconds to end by itself.
    #[track_caller]
    pub fn stop(&self, id: &str, seconds: i64) {
        let request = StopContainerRequest { container_id: id.to_owned(), timeout: seconds };
        self.cri.ask(async |mut client| client.stop_container(request).await);
    }

    /// What stands in a container's log.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(format!("{}/{name}.log", self.config.log_directory)).unwrap_or_default()
    }

    /// Stops and removes the pod with its containers.
    pub fn remove(&self) -> Result<(), Status> {
        let stop = StopPodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.call(async |mut client| client.stop_pod_sandbox(stop).await)?;
        let remove = RemovePodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.call(async |mut client| client.remove_pod_sandbox(remove).await).map(|_| ())
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}
