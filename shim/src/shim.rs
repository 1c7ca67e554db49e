//! All that the shim knows: its containers, which pid belongs to which process, and the way to containerd. Nothing here
//! waits, so that one lock for the tables is never held for longer than a look.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use containerd_shim_protos::events::task::{TaskExit, TaskOOM};
use nix::unistd::Pid;
use pinnace::error::{Error, Kind, Result};
use pinnace::sys::wait::{end, release};
use protobuf::MessageField;
use tokio::sync::Notify;

use crate::container::Container;
use crate::events::Events;
use crate::fifo::taken;
use crate::handle::Handle;
use crate::oom;
use crate::process::{Exit, Process};

/// How long a shim without containers waits for somebody who comes.
const LONELY: Duration = Duration::from_secs(10);

/// How many ends of children that nobody knows are kept.
const STRAYS: usize = 16;

/// The shim.
#[derive(Debug)]
pub(crate) struct Shim {
    pub namespace: String,
    pub events: Events,
    tables: Mutex<Tables>,
    over: Notify,
    /// When somebody came to the socket last.
    visited: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Tables {
    containers: BTreeMap<String, Arc<Container>>,
    /// Ids of containers that are being made.
    reserved: BTreeSet<String>,
    children: HashMap<i32, (Arc<Container>, Arc<Process>)>,
    /// The last ends of children that nobody knows.
    strays: VecDeque<(i32, u32)>,
}

impl Shim {
    pub fn new(namespace: String, events: Events) -> Self {
        Self {
            namespace,
            events,
            tables: Mutex::default(),
            over: Notify::new(),
            visited: Mutex::new(Instant::now()),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container that is there.
    pub fn container(&self, id: &str) -> Result<Arc<Container>> {
        let found = self.tables().containers.get(id).cloned();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("container {id} does not exist")))
    }

    /// Takes an id for a container that is going to be made. It is free again when the guard is dropped.
    pub fn reserve(self: &Arc<Self>, id: &str) -> Result<Reserved> {
        let mut tables = self.tables();
        if tables.containers.contains_key(id) || !tables.reserved.insert(id.to_owned()) {
            return Err(Error::new(Kind::Exists, format!("container {id} is there already")));
        }
        Ok(Reserved { shim: Arc::clone(self), id: id.to_owned() })
    }

    /// Knows a new container from now on.
    pub fn add(self: &Arc<Self>, container: Container) -> Arc<Container> {
        let container = Arc::new(container);
        self.tables().containers.insert(container.id.clone(), Arc::clone(&container));
        if let Some(watch) = &container.oom {
            let (shim, id) = (Arc::clone(self), container.id.clone());
            tokio::spawn(oom::follow(Arc::clone(watch), move || shim.tell_oom(&id)));
        }
        container
    }

    /// Waits for a process's end from now on. It may have ended already, which is told at once.
    pub fn adopt(self: &Arc<Self>, container: &Arc<Container>, process: &Arc<Process>) {
        let Ok(pid) = i32::try_from(process.pid()) else { return };
        self.tables().children.insert(pid, (Arc::clone(container), Arc::clone(process)));
        // Of another runtime's process the library knows nothing: it may have been reaped as an orphan.
        let foreign = matches!(container.handle(), Handle::Foreign(..));
        let stray =
            std::mem::take(&mut self.tables().strays).into_iter().find(|(stray, _)| foreign && *stray == pid);
        let ended = release(Pid::from_raw(pid)).map(|status| u32::from(end(status).status()));
        if let Some(status) = ended.or(stray.map(|(_, status)| status)) {
            self.ended(pid, status);
        }
    }

    /// Forgets a container. After the last one containerd asks the shim to end; one that was killed in between never
    /// does, so the shim ends by itself when nobody has come for a while.
    pub fn forget(self: &Arc<Self>, id: &str) {
        self.tables().containers.remove(id);
        self.visit();
        if self.is_empty() {
            let shim = Arc::clone(self);
            tokio::spawn(async move {
                while let Some(left) = LONELY.checked_sub(shim.last_visit().elapsed()) {
                    tokio::time::sleep(left.max(Duration::from_millis(1))).await;
                }
                if shim.is_empty() {
                    log::info!("ended: no container is left");
                    shim.end();
                }
            });
        }
    }

    /// Somebody has come to the socket.
    pub fn visit(&self) {
        *self.visited.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_visit(&self) -> Instant {
        *self.visited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No container is left, and none is being made.
    pub fn is_empty(&self) -> bool {
        let tables = self.tables();
        tables.containers.is_empty() && tables.reserved.is_empty()
    }

    fn tell_oom(&self, id: &str) {
        self.events.publish("/tasks/oom", &TaskOOM { container_id: id.to_owned(), ..TaskOOM::default() });
    }

    /// A child has ended: ours, or an orphan that we were given.
    pub fn ended(self: &Arc<Self>, pid: i32, status: u32) {
        let known = self.tables().children.remove(&pid);
        let Some((container, process)) = known else {
            let strays = &mut self.tables().strays;
            strays.truncate(STRAYS - 1);
            strays.push_front((pid, status));
            return;
        };
        let exit = Exit { status, at: SystemTime::now() };
        if !process.hold(exit) {
            self.tell_end(&container, &process, exit);
        }
    }

    /// Tells of the end of a process whose start has been told, once its output was taken.
    pub fn tell_end(self: &Arc<Self>, container: &Arc<Container>, process: &Arc<Process>, exit: Exit) {
        let fifos = process.fifos();
        if fifos.is_empty() {
            return self.tell_end_now(container, process, exit);
        }
        let (shim, container, process) = (Arc::clone(self), Arc::clone(container), Arc::clone(process));
        tokio::spawn(async move {
            taken(fifos).await;
            shim.tell_end_now(&container, &process, exit);
        });
    }

    fn tell_end_now(&self, container: &Arc<Container>, process: &Process, exit: Exit) {
        if process.exec_id.is_empty() {
            container.init_ended(exit);
        } else {
            process.end(exit);
            self.tell_exit(container, process, exit);
        }
        self.settle(container);
    }

    /// Tells of the end of a container's init if it is time. Of a container's ends it comes last, and after what had
    /// killed it.
    pub fn settle(&self, container: &Container) {
        if let Some(exit) = container.settled() {
            if container.oom.as_ref().and_then(|watch| watch.take()) == Some(true) {
                self.tell_oom(&container.id);
            }
            self.tell_exit(container, &container.init, exit);
        }
    }

    fn tell_exit(&self, container: &Container, process: &Process, exit: Exit) {
        let id = if process.exec_id.is_empty() { &container.id } else { &process.exec_id };
        let event = TaskExit {
            container_id: container.id.clone(),
            id: id.clone(),
            pid: process.pid(),
            exit_status: exit.status,
            exited_at: MessageField::some(exit.at.into()),
            ..TaskExit::default()
        };
        self.events.publish("/tasks/exit", &event);
    }

    /// Writes to the log what there is (SIGUSR1).
    pub fn dump(&self) {
        let tables = self.tables();
        log::info!(
            "{} containers, {} children, {} events wait",
            tables.containers.len(),
            tables.children.len(),
            self.events.waiting()
        );
        for container in tables.containers.values() {
            let init = &container.init;
            log::info!(
                "container {}: pid {} {:?} {:?}",
                container.id,
                init.pid(),
                init.status(),
                init.exit()
            );
            for (exec, pid) in container.living_execs() {
                log::info!("container {}: exec {exec}: pid {pid}", container.id);
            }
        }
    }

    /// Asks the shim to end.
    pub fn end(&self) {
        self.over.notify_one();
    }

    /// Waits until the shim was asked to end and everything was told.
    pub async fn over(&self) {
        self.over.notified().await;
        self.events.drain(Duration::from_secs(3)).await;
    }
}

/// An id that is taken; see [`Shim::reserve`].
#[derive(Debug)]
pub(crate) struct Reserved {
    shim: Arc<Shim>,
    id: String,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shim.tables().reserved.remove(&self.id);
    }
}
