//! Standard input, output and error of a process: from what containerd names (a FIFO, a file, nothing) to descriptors
//! for the process, and the copying between them. The container gets pipes, never what the host has behind them, so
//! that nothing it does, and nobody who is gone, breaks either side.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Weak};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown, pipe2};
use pinnace::container::Stdio;
use pinnace::error::{Error, Kind, OrFail, Result};
use tokio::io::unix::AsyncFd;

use crate::fifo::{Fifo, Route};
use crate::options::Settings;
use crate::polled::polled;
use crate::pump::{self, Sink};
use crate::recorder::{self, Recorder};

/// What a request says of a process's streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    pub terminal: bool,
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
}

/// The host's side of a process's streams.
#[derive(Debug, Default)]
pub(crate) struct Io {
    /// Our own writer of the stdin FIFO: input ends when this and every client's is closed.
    pub stdin: Option<OwnedFd>,
    /// The terminal.
    pub master: Option<Arc<AsyncFd<OwnedFd>>>,
    /// Copiers of output, which end when the last writer is gone.
    pub outputs: Vec<tokio::task::JoinHandle<()>>,
    /// Where output goes, for as long as there is any: a client waits for its end.
    pub fifos: Vec<Route>,
    /// The copier of input, which may wait for ever.
    pub input: Option<tokio::task::JoinHandle<()>>,
    /// The program that records the output.
    pub recorder: Option<Recorder>,
}

impl Drop for Io {
    fn drop(&mut self) {
        for copier in self.outputs.iter().chain(&self.input) {
            copier.abort();
        }
    }
}

/// Streams that are open, before there is a process.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What the process gets; with a terminal, nothing.
    pub child: Option<Stdio>,
    input: Option<Input>,
    outputs: Vec<(Option<OwnedFd>, Sink)>,
    recorder: Option<Recorder>,
}

#[derive(Debug)]
struct Input {
    fifo: OwnedFd,
    keeper: OwnedFd,
    /// The process's pipe; with a terminal, none.
    pipe: Option<OwnedFd>,
}

/// Whose streams they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// What a log program knows the process by.
    pub id: &'a str,
    pub namespace: &'a str,
    pub settings: &'a Settings,
}

/// Opens what the request names.
pub(crate) async fn open(streams: &Streams, owner: Owner<'_>) -> Result<Opened> {
    let Owner { settings, .. } = owner;
    let input = open_input(&streams.stdin)?;
    let mut opened = Opened { child: None, input, outputs: Vec::new(), recorder: None };
    let recorded = recorder::is_one(&streams.stdout);
    if streams.terminal {
        if recorded {
            let [stdout, _] = opened.record(&streams.stdout, owner).await?;
            nonblocking(&stdout)?;
            let pipe = polled(stdout).or_fail("epoll_ctl", || "watch a log program's pipe")?;
            opened.outputs.push((None, Sink::Polled(Arc::new(pipe))));
        } else if let Some(sink) = open_sink(&streams.stdout).await? {
            opened.outputs.push((None, sink));
        }
        return Ok(opened);
    }
    let own = |fd: &OwnedFd| {
        let (uid, gid) = (Uid::from_raw(settings.io_uid), Gid::from_raw(settings.io_gid));
        if uid.is_root() && gid.as_raw() == 0 { Ok(()) } else { fchown(fd, Some(uid), Some(gid)) }
    };
    let stdin = match &mut opened.input {
        None => null()?,
        Some(input) => {
            let (read, write) = pipe()?;
            own(&read).or_fail("fchown", || "give the process its standard input")?;
            nonblocking(&write)?;
            input.pipe = Some(write);
            read
        }
    };
    let give = |write: &OwnedFd| own(write).or_fail("fchown", || "give the process its output");
    if recorded {
        let [stdout, stderr] = opened.record(&streams.stdout, owner).await?;
        give(&stdout).and_then(|()| give(&stderr))?;
        opened.child = Some([stdin, stdout, stderr]);
        return Ok(opened);
    }
    let mut ends = Vec::with_capacity(2);
    for name in [&streams.stdout, &streams.stderr] {
        ends.push(match open_sink(name).await? {
            None => null()?,
            Some(sink) => {
                let (read, write) = pipe()?;
                give(&write)?;
                nonblocking(&read)?;
                opened.outputs.push((Some(read), sink));
                write
            }
        });
    }
    opened.child = ends.try_into().ok().map(|[stdout, stderr]: [OwnedFd; 2]| [stdin, stdout, stderr]);
    Ok(opened)
}

impl Opened {
    /// Starts the log program; the ends that the process writes to.
    async fn record(&mut self, uri: &str, owner: Owner<'_>) -> Result<[OwnedFd; 2]> {
        let ((out, stdout), (err, stderr)) = (pipe()?, pipe()?);
        self.recorder = Some(Recorder::start(uri, owner.id, owner.namespace, [out, err]).await?);
        Ok([stdout, stderr])
    }

    /// Starts the copying. The process has its ends, or its terminal is `master`.
    pub fn attach(self, master: Option<OwnedFd>) -> Result<Io> {
        let failed = || "watch the process's streams";
        drop(self.child);
        let mut io = Io::default();
        io.recorder = self.recorder;
        if let Some(master) = master {
            nonblocking(&master)?;
            io.master = Some(Arc::new(polled(master).or_fail("epoll_ctl", failed)?));
        }
        if let Some(Input { fifo, keeper, pipe }) = self.input {
            let from = polled(fifo).or_fail("epoll_ctl", failed)?;
            io.stdin = Some(keeper);
            io.input = match (pipe, &io.master) {
                (Some(pipe), _) => {
                    let to = polled(pipe).or_fail("epoll_ctl", failed)?;
                    Some(tokio::spawn(async move { pump::input(&from, &to).await }))
                }
                (None, Some(master)) => {
                    let master = Arc::clone(master);
                    Some(tokio::spawn(async move { pump::copy(&from, &Sink::Polled(master)).await }))
                }
                (None, None) => None,
            };
        }
        for (pipe, sink) in self.outputs {
            match (pipe, &io.master) {
                (Some(pipe), _) => {
                    let from = Arc::new(polled(pipe).or_fail("epoll_ctl", failed)?);
                    if let Sink::Fifo(fifo) = &sink {
                        io.fifos.push(Route {
                            from: Arc::downgrade(&from),
                            to: Arc::downgrade(fifo),
                            path: fifo.path.clone(),
                        });
                    }
                    io.outputs.push(tokio::spawn(async move { pump::output(&from, sink).await }));
                }
                (None, Some(master)) => {
                    let master = Arc::clone(master);
                    if let Sink::Fifo(fifo) = &sink {
                        io.fifos.push(Route {
                            from: Weak::new(),
                            to: Arc::downgrade(fifo),
                            path: fifo.path.clone(),
                        });
                    }
                    io.outputs.push(tokio::spawn(async move { pump::output(&master, sink).await }));
                }
                (None, None) => {}
            }
        }
        Ok(io)
    }
}

/// A stdin FIFO, with a writer of our own so that it does not end before the first client came.
fn open_input(name: &str) -> Result<Option<Input>> {
    let path = name.strip_prefix("fifo://").unwrap_or(name);
    if path.is_empty() {
        return Ok(None);
    }
    let what = || format!("open standard input {path}");
    let open = |flags: OFlag| {
        nix::fcntl::open(path, flags | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
    };
    let fifo = open(OFlag::O_RDONLY).or_fail("open", what)?;
    let keeper = open(OFlag::O_WRONLY).or_fail("open", what)?;
    Ok(Some(Input { fifo, keeper, pipe: None }))
}

/// Where output goes; nothing for nothing.
async fn open_sink(name: &str) -> Result<Option<Sink>> {
    let what = || format!("open output {name}");
    let path = match name.split_once("://") {
        None => name,
        Some(("fifo", path)) => path,
        Some(("file", path)) => {
            if let Some(dir) = Path::new(path).parent() {
                DirBuilder::new().recursive(true).mode(0o755).create(dir).or_fail("mkdir", what)?;
            }
            return append(path).or_fail("open", what).map(|file| Some(Sink::File(file)));
        }
        Some((scheme, _)) => {
            return Err(Error::new(Kind::Invalid, format!("output {name}: no such scheme as {scheme}")));
        }
    };
    if path.is_empty() {
        return Ok(None);
    }
    let metadata = std::fs::metadata(path).or_fail("stat", what)?;
    if !metadata.file_type().is_fifo() {
        return append(path).or_fail("open", what).map(|file| Some(Sink::File(file)));
    }
    Ok(Some(Sink::Fifo(Arc::new(Fifo::open(Path::new(path)).await?))))
}

fn append(path: &str) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}

fn null() -> Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null");
    file.map(OwnedFd::from).or_fail("open", || "open /dev/null")
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).or_fail("pipe2", || "make a pipe for the process")
}

fn nonblocking(fd: impl AsFd) -> Result<()> {
    let set = |fd: std::os::fd::BorrowedFd<'_>| -> Result<(), Errno> {
        let flags = OFlag::from_bits_retain(nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL)?);
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
    };
    set(fd.as_fd()).or_fail("fcntl", || "make a descriptor non-blocking")
}
