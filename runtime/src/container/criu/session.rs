//! One run of CRIU: started as `criu swrk FD` and spoken to over a socket pair, one packet a message. Never leaves a
//! CRIU to go on by itself: one that is dropped finds its socket closed.
//!
//! ```text
//!   runtime                        CRIU
//!   VERSION, FEATURE_CHECK   -->
//!                            <--   what it is, what it can do
//!   DUMP | PRE_DUMP | RESTORE -->
//!                            <--   NOTIFY, at each of its steps (orphan-pts-master: with the terminal's master)
//!   NOTIFY, whether it is to go on -->
//!                            <--   the end, or the first error
//! ```

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::{AccessFlags, Pid, access};

use super::Directories;
use super::message::{Fields, Message};
use super::request::{self, FEATURE_CHECK, Feature, Kind, NOTIFY, PRE_DUMP, VERSION, request};
use crate::cgroup::Entry;
use crate::container::Stdio;
use crate::error::{Error, Kind as ErrorKind, OrFail, Result};
use crate::hook::own_env;
use crate::init;
use crate::init::criu::Stage;
use crate::launch;
use crate::plan::namespaces::{MOUNT, Namespaces, Route};
use crate::sys::process::pidfd_signal;
use crate::sys::socket;
use crate::sys::wait::{End, end, release};
use crate::wait;
use crate::wire::Word;

/// The oldest CRIU that knows everything that is asked of it here: time namespaces, the status-ready notification,
/// external pid namespaces, another LSM profile. Of July 2021.
const OLDEST: [i32; 2] = [3, 16];

/// Longest message of CRIU's.
const LONGEST: usize = 64 * 1024;

/// What CRIU tells on its way.
#[derive(Debug)]
pub struct Notice {
    /// Which of its steps it has come to.
    pub step: String,
    /// The tree's first process, if there is one.
    pub pid: Option<Pid>,
    /// What came along.
    pub fd: Option<OwnedFd>,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// It has come to a step, and waits for an answer.
    Notice(Notice),
    /// It has done all of it.
    Done,
}

/// A CRIU that runs. Dropped before its end, it finds its socket closed, and takes back what it has begun.
#[derive(Debug)]
pub struct Criu {
    /// Its process.
    pub pid: Pid,
    /// Its descriptor of the directory of the images.
    pub images: i32,
    /// Its descriptor of the directory of everything else.
    pub work: i32,
    pidfd: OwnedFd,
    socket: OwnedFd,
    ended: bool,
}

/// How CRIU is started.
#[derive(Debug)]
pub struct Start<'a> {
    /// Where it works.
    pub directories: &'a Directories,
    /// The program, if not the one in $PATH.
    pub program: Option<&'a Path>,
    /// Descriptors that it is to have, by the numbers that they have here.
    pub inherited: &'a [OwnedFd],
    /// Its standard input, output and error; none: the caller's.
    pub stdio: Option<&'a Stdio>,
    /// The cgroups that it and what it restores are in.
    pub entry: Entry,
    /// What it finds in a mount namespace of its own; none: it has the caller's.
    pub stage: Option<Stage<'a>>,
}

impl Criu {
    /// Starts it and sees that it is new enough.
    pub async fn start(how: &Start<'_>) -> Result<Self> {
        let program = find(how.program)?;
        let (meeting, theirs) = socket::packet_pair().or_fail("socketpair", || "make the socket to criu")?;
        let route = Route { clone: if how.stage.is_some() { MOUNT } else { 0 }, ..Route::default() };
        let born = launch::launch(&Namespaces::default(), route, &how.entry, |wire| {
            init::criu::run(&init::criu::Criu {
                program: &program,
                env: &own_env(),
                directories: how.directories.paths(),
                meeting: &theirs,
                inherited: how.inherited,
                stdio: how.stdio,
                entry: &how.entry,
                stage: how.stage.as_ref(),
                wire,
            })
        })?;
        drop(theirs);
        let heard = match born.wire.hear().await {
            // The wire closes when the program takes over.
            Ok(Word::End) => meet(&meeting),
            Ok(Word::Fail(error)) => Err(error.within("start criu")),
            Ok(word) => Err(Error::new(ErrorKind::Host, format!("start criu: it said {word:?}"))),
            Err(error) => Err(error),
        };
        let (socket, [images, work]) = match heard {
            Ok(met) => met,
            Err(error) => {
                let _ = pidfd_signal(&born.pidfd, libc::SIGKILL);
                let _ = wait::ended(born.pid, &born.pidfd).await;
                return Err(error);
            }
        };
        let criu = Self { pid: born.pid, images, work, pidfd: born.pidfd, socket, ended: false };
        criu.check_version().await?;
        Ok(criu)
    }

    async fn check_version(&self) -> Result<()> {
        self.send(&request(VERSION, None, true))?;
        let version = self.hear(VERSION).await?.0.message(10);
        let found = [1, 2].map(|field| version.number(field).unwrap_or_default());
        log::debug!("criu {}.{}", found[0], found[1]);
        if found < OLDEST {
            let [[major, minor], [least_major, least_minor]] = [found, OLDEST];
            return Err(Error::new(ErrorKind::Host, format!("use criu {major}.{minor}: it is too old"))
                .hint(format!("install {least_major}.{least_minor} or newer")));
        }
        Ok(())
    }

    /// Refuses to go on without a feature.
    pub async fn require(&self, feature: Feature) -> Result<()> {
        self.send(&request::feature_check(feature))?;
        let (number, name) = feature;
        if self.hear(FEATURE_CHECK).await?.0.message(8).flag(number) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Host, format!("CRIU is missing features: no {name} here")))
    }

    /// Has it begin.
    pub fn begin(&self, kind: Kind, options: &Message) -> Result<()> {
        self.send(&request(kind, Some(options), false))
    }

    /// What it says next, of what it was asked to begin. After an error, or when it is done, it has ended.
    ///
    /// # Errors
    /// What CRIU could not do, and where its log is.
    pub async fn next(&mut self, kind: Kind, directories: &Directories) -> Result<Progress> {
        let outcome = match self.receive().await {
            Err(error) => Err(error),
            Ok((response, _)) if !response.flag(2) => Err(failure(kind, &response)),
            Ok((response, fd)) if response.number(1) == Some(NOTIFY.number) => {
                let notify = response.message(5);
                let step = notify.text(1).unwrap_or_default();
                log::debug!("criu: {step}");
                let pid = notify.number(2).map(Pid::from_raw);
                return Ok(Progress::Notice(Notice { step, pid, fd }));
            }
            Ok(_) => Ok(Progress::Done),
        };
        let status = self.end().await;
        match outcome {
            Err(error) => Err(directories.explain(error)),
            // After a single pre-dump CRIU waits for the next one, and is told by the end of its socket that there is
            // none.
            Ok(done) if kind == PRE_DUMP || status == Some(End::Code(0)) => Ok(done),
            Ok(_) => Err(directories.explain(Error::new(
                ErrorKind::Host,
                format!("criu failed to {} the container: it ended with {status:?}", kind.name),
            ))),
        }
    }

    /// Answers a notice: it goes on.
    pub fn go_on(&self) {
        // One that is gone is noticed at the next step.
        let _ = self.send(&request::notified(true));
    }

    /// Answers a notice: it takes back what it has begun, and ends.
    pub async fn give_up(mut self) {
        let _ = self.send(&request::notified(false));
        while self.receive().await.is_ok_and(|(response, _)| response.number(1) == Some(NOTIFY.number)) {}
        self.end().await;
    }

    /// Closes the socket and waits for the end.
    async fn end(&mut self) -> Option<End> {
        self.hang_up();
        self.ended = true;
        wait::ended(self.pid, &self.pidfd).await.ok().map(end)
    }

    fn hang_up(&self) {
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }

    fn send(&self, message: &Message) -> Result<()> {
        socket::send(&self.socket, message.as_bytes(), None).or_fail("sendmsg", || "speak to criu")
    }

    /// The answer to a question.
    async fn hear(&self, kind: Kind) -> Result<(Fields, Option<OwnedFd>)> {
        let (response, fd) = self.receive().await?;
        if response.flag(2) { Ok((response, fd)) } else { Err(failure(kind, &response)) }
    }

    async fn receive(&self) -> Result<(Fields, Option<OwnedFd>)> {
        wait::readable(self.socket.as_fd()).await;
        let mut buffer = vec![0; LONGEST];
        let (length, fd) = socket::recv(&self.socket, &mut buffer).or_fail("recvmsg", || "listen to criu")?;
        if length == 0 {
            return Err(Error::new(ErrorKind::Host, "criu ended without a word"));
        }
        let fields = buffer.get(..length).and_then(Fields::read);
        fields
            .map(|fields| (fields, fd))
            .ok_or_else(|| Error::new(ErrorKind::Host, "criu said something that is no message"))
    }
}

impl Drop for Criu {
    fn drop(&mut self) {
        if !self.ended {
            self.hang_up();
            release(self.pid);
        }
    }
}

/// What the child has sent before it became CRIU: our end of the socket, and the numbers of the directories.
fn meet(meeting: &OwnedFd) -> Result<(OwnedFd, [i32; 2])> {
    let mut told = [[0; 4]; 2];
    match socket::recv(meeting, told.as_flattened_mut()).or_fail("recvmsg", || "start criu")? {
        (8, Some(socket)) => Ok((socket, told.map(i32::from_le_bytes))),
        _ => Err(Error::new(ErrorKind::Host, "start criu: it was killed")),
    }
}

fn failure(kind: Kind, response: &Fields) -> Error {
    let errno = response.number(7).unwrap_or_default();
    Error::new(ErrorKind::Host, format!("criu failed: type {} errno {errno}", kind.name))
}

/// The program that is meant.
fn find(given: Option<&Path>) -> Result<PathBuf> {
    let runs = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if let Some(path) = given.filter(|path| path.components().count() > 1) {
        return if runs(path) {
            Ok(path.to_owned())
        } else {
            Err(Error::invalid(format!("find criu: {} is no program", path.display())))
        };
    }
    let name = given.unwrap_or(Path::new("criu"));
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| runs(path)).ok_or_else(|| {
        Error::new(ErrorKind::Host, "find criu in $PATH: it is not there")
            .hint("install CRIU 3.16 or newer: checkpoint and restore are done by it")
    })
}
