//! The task service: each of containerd's calls as a function. A call that does not wait for a process to end is one
//! piece of the loop, so that none sees another's half; no lock is held across a wait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ProcessInfo, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse, Status, UpdateTaskRequest,
    WaitRequest, WaitResponse,
};
use containerd_shim_protos::events::task as event;
use containerd_shim_protos::shim::oci::ProcessDetails;
use containerd_shim_protos::shim_async::Task;
use pinnace::error::{Error, Kind};
use pinnace::spec;
use protobuf::well_known_types::any::Any;
use protobuf::well_known_types::timestamp::Timestamp;
use protobuf::{EnumOrUnknown, Message, MessageField};
use ttrpc::Code;
use ttrpc::r#async::TtrpcContext;

use crate::checkpoint;
use crate::container::{Container, Request, SIGKILL};
use crate::options::Settings;
use crate::process::Process;
use crate::shim::Shim;
use crate::stats;
use crate::status::{failed, refuse, within};
use crate::stdio::Streams;

/// How long a container that was never started may take to die when it is deleted.
const PATIENCE: Duration = Duration::from_secs(10);

/// The service.
pub(crate) struct Tasks(pub Arc<Shim>);

type Reply<T> = ttrpc::Result<T>;

impl Tasks {
    fn container(&self, id: &str) -> Reply<Arc<Container>> {
        self.0.container(id).map_err(|error| failed(&error))
    }

    fn process(&self, id: &str, exec_id: &str) -> Reply<(Arc<Container>, Arc<Process>)> {
        let container = self.container(id)?;
        let process = container.process(exec_id).map_err(|error| failed(&error))?;
        Ok((container, process))
    }

    /// Deletes a container that has stopped, or one that was never started.
    async fn delete_container(&self, container: &Arc<Container>) -> Reply<()> {
        let _turn = container.turn.lock().await;
        let init = &container.init;
        if init.is_started() && init.exit().is_none() {
            return Err(refuse(Code::FAILED_PRECONDITION, "cannot delete a running process"));
        }
        if init.exit().is_none() {
            let killed = container.handle().kill(SIGKILL, false).await;
            killed.or_else(gone).map_err(|error| failed(&error))?;
            if tokio::time::timeout(PATIENCE, init.wait()).await.is_err() {
                return Err(refuse(Code::UNKNOWN, format!("process {} does not die", init.pid())));
            }
        }
        init.drain().await;
        container.delete().await.map_err(|error| failed(&error))?;
        self.0.forget(&container.id);
        Ok(())
    }

    async fn delete_exec(container: &Container, process: &Process) -> Reply<()> {
        if process.is_alive() || process.is_starting() {
            return Err(refuse(Code::FAILED_PRECONDITION, "cannot delete a running process"));
        }
        process.drain().await;
        container.forget(&process.exec_id);
        Ok(())
    }
}

fn gone(error: Error) -> Result<(), Error> {
    if error.kind() == Kind::NotRunning { Ok(()) } else { Err(error) }
}

fn named<T: Message>(name: &str, message: &T) -> Any {
    let type_url = name.to_owned();
    Any { type_url, value: message.write_to_bytes().unwrap_or_default(), ..Any::default() }
}

/// Does all of the work, also when the client that has asked for it hangs up.
async fn whole<T: Send + 'static>(work: impl Future<Output = Reply<T>> + Send + 'static) -> Reply<T> {
    tokio::spawn(work).await.map_err(|error| refuse(Code::INTERNAL, error.to_string()))?
}

async fn create(shim: &Arc<Shim>, req: CreateTaskRequest) -> Reply<u32> {
    let _reserved = shim.reserve(&req.id).map_err(|error| failed(&error))?;
    let settings = Settings::of(req.options.as_ref()).map_err(|error| failed(&error))?;
    let streams = Streams {
        terminal: req.terminal,
        stdin: req.stdin.clone(),
        stdout: req.stdout.clone(),
        stderr: req.stderr.clone(),
    };
    let made = Container::create(Request {
        namespace: shim.namespace.clone(),
        id: req.id.clone(),
        bundle: req.bundle.clone().into(),
        mounts: req.rootfs.clone(),
        streams,
        settings,
        checkpoint: checkpoint::source(&req.checkpoint, req.bundle.as_ref()),
    });
    let container = shim.add(made.await.map_err(within("create"))?);
    let pid = container.init.pid();
    let io = event::TaskIO {
        stdin: req.stdin,
        stdout: req.stdout,
        stderr: req.stderr,
        terminal: req.terminal,
        ..event::TaskIO::default()
    };
    shim.events.publish(
        "/tasks/create",
        &event::TaskCreate {
            container_id: req.id,
            bundle: req.bundle,
            rootfs: req.rootfs,
            io: MessageField::some(io),
            pid,
            ..event::TaskCreate::default()
        },
    );
    shim.adopt(&container, &container.init);
    Ok(pid)
}

async fn start(shim: &Arc<Shim>, container: &Arc<Container>, process: &Arc<Process>) -> Reply<u32> {
    let init = process.exec_id.is_empty();
    let _turn = if init { Some(container.turn.lock().await) } else { None };
    if !process.claim_start() {
        return Err(refuse(Code::FAILED_PRECONDITION, "the process is started already"));
    }
    let outcome = if init && container.restored {
        Ok(())
    } else if init {
        container.handle().start().await.map_err(within("start"))
    } else {
        container.exec(process).await.map_err(|error| match error.kind() {
            Kind::State => failed(&error),
            _ => within("exec")(error.within("exec failed")),
        })
    };
    if let Err(error) = outcome {
        match process.has_failed() {
            Some(exit) => shim.tell_end(container, process, exit),
            None => shim.settle(container),
        }
        return Err(error);
    }
    let (container_id, pid) = (container.id.clone(), process.pid());
    if init {
        shim.events
            .publish("/tasks/start", &event::TaskStart { container_id, pid, ..event::TaskStart::default() });
    } else {
        let exec_id = process.exec_id.clone();
        shim.events.publish(
            "/tasks/exec-started",
            &event::TaskExecStarted { container_id, exec_id, pid, ..event::TaskExecStarted::default() },
        );
    }
    if let Some(exit) = process.has_started() {
        shim.tell_end(container, process, exit);
    }
    if !init {
        shim.adopt(container, process);
    }
    Ok(pid)
}

#[async_trait]
impl Task for Tasks {
    async fn create(&self, _: &TtrpcContext, req: CreateTaskRequest) -> Reply<CreateTaskResponse> {
        let shim = Arc::clone(&self.0);
        let pid = whole(async move { create(&shim, req).await }).await?;
        Ok(CreateTaskResponse { pid, ..CreateTaskResponse::default() })
    }

    async fn start(&self, _: &TtrpcContext, req: StartRequest) -> Reply<StartResponse> {
        let (container, process) = self.process(&req.id, &req.exec_id)?;
        let pid = {
            let (shim, process) = (Arc::clone(&self.0), Arc::clone(&process));
            whole(async move { start(&shim, &container, &process).await }).await?
        };
        Ok(StartResponse { pid, ..StartResponse::default() })
    }

    async fn exec(&self, _: &TtrpcContext, req: ExecProcessRequest) -> Reply<Empty> {
        let container = self.container(&req.id)?;
        if req.exec_id.is_empty() {
            return Err(refuse(Code::INVALID_ARGUMENT, "an exec needs an id"));
        }
        let mut process = spec::parse_process(&req.spec.value).map_err(|error| failed(&error))?;
        process.terminal = req.terminal;
        let streams =
            Streams { terminal: req.terminal, stdin: req.stdin, stdout: req.stdout, stderr: req.stderr };
        let process = Process::new(req.exec_id.clone(), streams, Some(process));
        container.add(process).map_err(|error| failed(&error))?;
        let added = event::TaskExecAdded {
            container_id: req.id,
            exec_id: req.exec_id,
            ..event::TaskExecAdded::default()
        };
        self.0.events.publish("/tasks/exec-added", &added);
        Ok(Empty::default())
    }

    async fn delete(&self, _: &TtrpcContext, req: DeleteRequest) -> Reply<DeleteResponse> {
        let (container, process) = self.process(&req.id, &req.exec_id)?;
        if !process.claim() {
            return Err(refuse(Code::FAILED_PRECONDITION, "somebody else deletes it"));
        }
        let tasks = Self(Arc::clone(&self.0));
        let (owner, deleted) = (Arc::clone(&container), Arc::clone(&process));
        whole(async move {
            let outcome = if deleted.exec_id.is_empty() {
                tasks.delete_container(&owner).await
            } else {
                Self::delete_exec(&owner, &deleted).await
            };
            outcome.inspect_err(|_| deleted.unclaim())
        })
        .await?;
        let exit = process.exit();
        let (pid, exit_status) = (process.pid(), exit.map_or(0, |exit| exit.status));
        let exited_at: MessageField<Timestamp> = MessageField::from_option(exit.map(|exit| exit.at.into()));
        if req.exec_id.is_empty() {
            let deleted = event::TaskDelete {
                container_id: req.id,
                pid,
                exit_status,
                exited_at: exited_at.clone(),
                ..event::TaskDelete::default()
            };
            self.0.events.publish("/tasks/delete", &deleted);
        }
        Ok(DeleteResponse { pid, exit_status, exited_at, ..DeleteResponse::default() })
    }

    async fn state(&self, _: &TtrpcContext, req: StateRequest) -> Reply<StateResponse> {
        let (container, process) = self.process(&req.id, &req.exec_id)?;
        let status = match process.status() {
            Status::RUNNING if container.is_paused() => Status::PAUSED,
            other => other,
        };
        let exit = process.exit();
        Ok(StateResponse {
            id: req.id,
            exec_id: req.exec_id,
            bundle: container.bundle.to_string_lossy().into_owned(),
            pid: process.pid(),
            status: EnumOrUnknown::new(status),
            stdin: process.streams.stdin.clone(),
            stdout: process.streams.stdout.clone(),
            stderr: process.streams.stderr.clone(),
            terminal: process.streams.terminal,
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at: MessageField::from_option(exit.map(|exit| exit.at.into())),
            ..StateResponse::default()
        })
    }

    async fn wait(&self, _: &TtrpcContext, req: WaitRequest) -> Reply<WaitResponse> {
        let (_, process) = self.process(&req.id, &req.exec_id)?;
        let exit = process.wait().await;
        Ok(WaitResponse {
            exit_status: exit.status,
            exited_at: MessageField::some(exit.at.into()),
            ..WaitResponse::default()
        })
    }

    async fn kill(&self, _: &TtrpcContext, req: KillRequest) -> Reply<Empty> {
        let (container, process) = self.process(&req.id, &req.exec_id)?;
        let signal = i32::try_from(req.signal).ok().filter(|signal| (0..=64).contains(signal));
        let Some(signal) = signal else {
            return Err(refuse(Code::INVALID_ARGUMENT, format!("signal {} does not exist", req.signal)));
        };
        let outcome = if req.exec_id.is_empty() {
            whole(async move { Ok(container.handle().kill(signal, req.all).await) }).await?
        } else {
            process.signal(signal)
        };
        outcome.map_err(|error| match error.errno() {
            Some(nix::errno::Errno::ESRCH) => refuse(Code::NOT_FOUND, error.to_string()),
            _ => failed(&error),
        })?;
        Ok(Empty::default())
    }

    async fn pids(&self, _: &TtrpcContext, req: PidsRequest) -> Reply<PidsResponse> {
        let container = self.container(&req.id)?;
        let execs = container.living_execs();
        let mut pids = container.handle().processes().await.map_err(|error| failed(&error))?;
        // A containerd that comes back takes a shim without processes for a leaked one, and what it knows of its
        // container's end would be lost.
        if pids.is_empty() {
            pids.extend(i32::try_from(container.init.pid()));
        }
        let info = |pid: u32| {
            let (exec_id, _) = execs.iter().find(|(_, exec)| *exec == pid)?;
            let details = ProcessDetails { exec_id: exec_id.clone(), ..ProcessDetails::default() };
            Some(named("containerd.runc.v1.ProcessDetails", &details))
        };
        let pids = pids.into_iter().filter_map(|pid| u32::try_from(pid).ok());
        let processes = pids.map(|pid| ProcessInfo {
            pid,
            info: MessageField::from_option(info(pid)),
            ..ProcessInfo::default()
        });
        Ok(PidsResponse { processes: processes.collect(), ..PidsResponse::default() })
    }

    async fn pause(&self, _: &TtrpcContext, req: PauseRequest) -> Reply<Empty> {
        let container = self.container(&req.id)?;
        whole(async move {
            let _turn = container.turn.lock().await;
            container.handle().pause().await.map_err(|error| failed(&error))
        })
        .await?;
        let paused = event::TaskPaused { container_id: req.id, ..event::TaskPaused::default() };
        self.0.events.publish("/tasks/paused", &paused);
        Ok(Empty::default())
    }

    async fn resume(&self, _: &TtrpcContext, req: ResumeRequest) -> Reply<Empty> {
        let container = self.container(&req.id)?;
        let _turn = container.turn.lock().await;
        container.handle().resume().await.map_err(|error| failed(&error))?;
        let resumed = event::TaskResumed { container_id: req.id, ..event::TaskResumed::default() };
        self.0.events.publish("/tasks/resumed", &resumed);
        Ok(Empty::default())
    }

    async fn checkpoint(&self, _: &TtrpcContext, req: CheckpointTaskRequest) -> Reply<Empty> {
        let container = self.container(&req.id)?;
        whole(async move {
            let _turn = container.turn.lock().await;
            checkpoint::dump(&container, &req.path, req.options.as_ref()).await.map_err(within("checkpoint"))
        })
        .await?;
        Ok(Empty::default())
    }

    async fn update(&self, _: &TtrpcContext, req: UpdateTaskRequest) -> Reply<Empty> {
        let container = self.container(&req.id)?;
        whole(async move { Ok(container.handle().update(&req.resources.value).await) })
            .await?
            .map_err(|error| failed(&error))?;
        Ok(Empty::default())
    }

    async fn resize_pty(&self, _: &TtrpcContext, req: ResizePtyRequest) -> Reply<Empty> {
        let (_, process) = self.process(&req.id, &req.exec_id)?;
        let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        process.resize(side(req.height), side(req.width)).map_err(|error| failed(&error))?;
        Ok(Empty::default())
    }

    async fn close_io(&self, _: &TtrpcContext, req: CloseIORequest) -> Reply<Empty> {
        let (_, process) = self.process(&req.id, &req.exec_id)?;
        if req.stdin {
            process.close_input();
        }
        Ok(Empty::default())
    }

    async fn stats(&self, _: &TtrpcContext, req: StatsRequest) -> Reply<StatsResponse> {
        let container = self.container(&req.id)?;
        let stats = container.handle().known().and_then(stats::of).map_err(|error| failed(&error))?;
        Ok(StatsResponse { stats: MessageField::some(stats), ..StatsResponse::default() })
    }

    async fn connect(&self, _: &TtrpcContext, req: ConnectRequest) -> Reply<ConnectResponse> {
        let task_pid = self.0.container(&req.id).map_or(0, |container| container.init.pid());
        Ok(ConnectResponse { shim_pid: std::process::id(), task_pid, ..ConnectResponse::default() })
    }

    async fn shutdown(&self, _: &TtrpcContext, _: ShutdownRequest) -> Reply<Empty> {
        if self.0.is_empty() {
            self.0.end();
        }
        Ok(Empty::default())
    }
}
