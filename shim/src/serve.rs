//! The process that serves: one thread, one socket, both versions of the task service. Must never be talked to by
//! another user.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use containerd_shim_protos::shim_async::create_task;
use futures_core::Stream;
use nix::sys::socket::UnixAddr;
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::launch;
use pinnace::sys::process::{close_all_but, set_subreaper};
use pinnace::trace;
use tokio::net::{UnixListener, UnixStream};
use ttrpc::r#async::{Server, Service};
use ttrpc::asynchronous::transport::Listener;

use crate::events::Events;
use crate::flags::Flags;
use crate::shim::Shim;
use crate::task::Tasks;
use crate::{logger, reap, socket};

/// The names under which containerd asks: 1.6 to 2.2, and later. Both are the same messages.
const NAMES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// How long the last replies may take to leave.
const FLUSH: Duration = Duration::from_millis(100);

/// Serves until it is told to end.
pub(crate) fn serve(flags: Flags) -> Result<()> {
    // What containers reach as our executable can't be written.
    launch::seal()?;
    // What containerd was started with is not for us, nor for containers.
    close_all_but(3, &mut Vec::new()).or_fail("close_range", || "close inherited descriptors")?;
    let listener = inherited()?;
    let path = bound_to(&listener);
    logger::install(Path::new("log"), flags.debug);
    if let Some(file) = std::env::var_os("PINNACE_TRACE") {
        trace::begin(Path::new(&file))?;
    }
    let outcome = run(flags, listener);
    trace::finish();
    if let Some(path) = path {
        socket::remove(&path);
    }
    let _ = std::fs::remove_file("address");
    outcome
}

fn run(flags: Flags, listener: StdListener) -> Result<()> {
    let _ = nix::sys::prctl::set_name(c"containerd-shim");
    set_subreaper(true).or_fail("prctl", || "become a reaper of orphans")?;
    raise_oom_score();
    let signals = reap::block()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail("epoll_create1", || "start the loop")?;
    runtime.block_on(async {
        let events =
            Events::start(&flags.namespace, std::env::var("TTRPC_ADDRESS").ok().filter(|a| !a.is_empty()));
        let shim = Arc::new(Shim::new(flags.namespace, events));
        let failed = |error: ttrpc::Error| Error::new(Kind::Host, format!("serve: {error}"));
        let listener = UnixListener::from_std(listener).or_fail("epoll_ctl", || "listen")?;
        let own = Own { listener, shim: Arc::clone(&shim) };
        let mut server = Server::new().register_service(services(&shim)).add_listener(Listener::new(own));
        server.start().await.map_err(failed)?;
        let reaper = tokio::spawn(reap::run(signals, Arc::clone(&shim)));
        tokio::select! {
            () = shim.over() => {}
            ended = reaper => log::error!("signals can't be watched any more: {ended:?}"),
        }
        let _ = tokio::time::timeout(FLUSH, server.shutdown()).await;
        Ok(())
    })
}

/// The task service under both of its names.
fn services(shim: &Arc<Shim>) -> HashMap<String, Service> {
    let service = || create_task(Arc::new(Tasks(Arc::clone(shim)))).into_values();
    NAMES.iter().flat_map(|name| service().map(|service| ((*name).to_owned(), service))).collect()
}

/// The socket that `start` has made, which came as standard input.
fn inherited() -> Result<StdListener> {
    let what = || "take the socket from standard input";
    let fd: OwnedFd = io::stdin().as_fd().try_clone_to_owned().or_fail("fcntl", what)?;
    let null = std::fs::File::open("/dev/null").or_fail("open", || "open /dev/null")?;
    nix::unistd::dup2_stdin(null).or_fail("dup2", what)?;
    let listener = StdListener::from(fd);
    listener.set_nonblocking(true).or_fail("ioctl", what)?;
    Ok(listener)
}

fn bound_to(listener: &StdListener) -> Option<PathBuf> {
    let address: UnixAddr = nix::sys::socket::getsockname(std::os::fd::AsRawFd::as_raw_fd(listener)).ok()?;
    address.path().map(Path::to_owned)
}

/// One more than containerd's: should memory run out, a shim goes before containerd.
fn raise_oom_score() {
    let path = "/proc/self/oom_score_adj";
    let score = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let raised = score.map(|score| score.saturating_add(1).min(1000).to_string());
    if let Some(Err(error)) = raised.map(|score| std::fs::write(path, score)) {
        log::debug!("raise the own OOM score: {error}");
    }
}

/// Connections of our own user.
struct Own {
    listener: UnixListener,
    shim: Arc<Shim>,
}

impl Stream for Own {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stream = match self.listener.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Ok((stream, _))) => stream,
            };
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == nix::unistd::geteuid().as_raw() => {
                    self.shim.visit();
                    return Poll::Ready(Some(Ok(stream)));
                }
                Ok(peer) => log::warn!("a connection of uid {} is refused", peer.uid()),
                Err(error) => log::warn!("a connection of nobody known is refused: {error}"),
            }
        }
    }
}
