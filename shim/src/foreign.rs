//! Another runtime that a client has asked for (`BinaryName`): a program that speaks runc's command line, run once a verb
//! as containerd's own shim does. It reads the bundle's config.json itself, which wrappers rewrite on their way. Must
//! never keep a descriptor of the container's streams.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use pinnace::container::{Started, Stdio};
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::sys::fs::memfd;
use pinnace::sys::process::pidfd_open;
use pinnace::sys::spawn::{Program, spawn};
use pinnace::sys::wait::{End, end, expect};
use pinnace::wait;
use serde::Deserialize;
use tokio::net::UnixListener;

use crate::drive::drive;

/// How long the terminal may take to come once the process is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container of another runtime.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub program: String,
    pub root: PathBuf,
    pub bundle: PathBuf,
    pub id: String,
    pub systemd_cgroup: bool,
}

/// A process to make: by `create` or `exec`, with these words more.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    pub verb: &'static str,
    pub words: Vec<&'a str>,
    pub pid_file: PathBuf,
    pub terminal: bool,
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Born {
    pub pid: Pid,
    /// None: it is over already.
    pub pidfd: Option<OwnedFd>,
    /// The master of its terminal.
    pub console: Option<OwnedFd>,
}

impl From<Started> for Born {
    fn from(Started { pid, pidfd, console }: Started) -> Self {
        Self { pid, pidfd: Some(pidfd), console }
    }
}

impl Foreign {
    /// Runs a verb for the container; what it printed.
    pub async fn run(&self, verb: &str, words: &[&str]) -> Result<String> {
        self.call(verb, words, &[], None).await
    }

    /// Makes a process.
    pub async fn bear(&self, birth: Birth<'_>, stdio: Option<Stdio>) -> Result<Born> {
        let _ = std::fs::remove_file(&birth.pid_file);
        let console = birth.terminal.then(|| Console::listen(&self.bundle)).transpose()?;
        let pid_file = birth.pid_file.to_string_lossy().into_owned();
        let mut words = vec!["--pid-file", &pid_file];
        if let Some(console) = &console {
            words.extend(["--console-socket", &console.path]);
        }
        words.extend(&birth.words);
        self.call(birth.verb, &words, &[], stdio).await?;
        let what = || format!("read {pid_file}");
        let text = std::fs::read_to_string(&birth.pid_file).or_fail("open", what)?;
        let pid = text.trim().parse().map_err(|_| Error::new(Kind::Host, format!("{}: no pid", what())))?;
        let pid = Pid::from_raw(pid);
        // One that is over already was reaped as an orphan.
        let pidfd = pidfd_open(pid).ok();
        let console = match console {
            Some(console) => Some(console.take().await?),
            None => None,
        };
        Ok(Born { pid, pidfd, console })
    }

    async fn call(&self, verb: &str, words: &[&str], after: &[&str], stdio: Option<Stdio>) -> Result<String> {
        let what = || format!("{} {verb}", self.program);
        let log = self.bundle.join("log.json");
        let _ = std::fs::remove_file(&log);
        let (root, log_path) = (self.root.to_string_lossy(), log.to_string_lossy());
        let mut line = vec![&*self.program, "--root", &root, "--log", &log_path, "--log-format", "json"];
        if self.systemd_cgroup {
            line.push("--systemd-cgroup");
        }
        line.push(verb);
        line.extend(words);
        line.push(&self.id);
        line.extend(after);
        let output = memfd("output").or_fail("memfd_create", what)?;
        let null: OwnedFd = File::open("/dev/null").or_fail("open", what)?.into();
        let (pid, pidfd) = {
            let c_string = |word: &str| {
                CString::new(word).map_err(|_| Error::invalid(format!("{}: nul in a word", what())))
            };
            let args = line.iter().map(|word| c_string(word)).collect::<Result<Vec<_>>>()?;
            let fds = match &stdio {
                Some(fds) => fds.each_ref().map(AsFd::as_fd),
                None => [null.as_fd(), output.as_fd(), output.as_fd()],
            };
            let path = c_string(&find(&self.program))?;
            spawn(&Program { path: &path, args: &args, env: &env(), dir: None, stdio: fds, more: &[] })
                .map_err(|errno| Error::os("execve", errno, format!("start runtime {}", self.program)))?
        };
        expect(pid);
        drop((stdio, null));
        let status = drive(wait::ended(pid, &pidfd)).await.or_fail("waitpid", what)?;
        let mut said = String::new();
        let mut output = File::from(output);
        let _ = output.rewind().and_then(|()| output.read_to_string(&mut said));
        if end(status) == End::Code(0) {
            return Ok(said);
        }
        let text = last_error(&log).unwrap_or_else(|| said.trim().to_owned());
        let kind = match text.as_str() {
            text if text.contains("does not exist") => Kind::NotFound,
            text if text.contains("not running") || text.contains("already finished") => Kind::NotRunning,
            _ => Kind::Host,
        };
        Err(Error::new(kind, if text.is_empty() { format!("{}: {:?}", what(), end(status)) } else { text }))
    }

    /// Sends a signal.
    pub async fn kill(&self, signal: i32, all: bool) -> Result<()> {
        let words: &[&str] = if all { &["--all"] } else { &[] };
        self.call("kill", words, &[&signal.to_string()], None).await.map(drop)
    }

    /// The pids of its processes.
    pub async fn processes(&self) -> Result<Vec<i32>> {
        let text = self.call("ps", &["--format", "json"], &[], None).await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Where a program is: as containerd's PATH says.
fn find(program: &str) -> String {
    if program.contains('/') {
        return program.to_owned();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').map(|dir| Path::new(dir).join(program));
    let found = places.find(|place| place.is_file());
    found.map_or_else(|| program.to_owned(), |place| place.to_string_lossy().into_owned())
}

fn env() -> Vec<CString> {
    let pair = |(name, value): (OsString, OsString)| {
        CString::new([name.into_vec(), b"=".to_vec(), value.into_vec()].concat()).ok()
    };
    std::env::vars_os().filter_map(pair).collect()
}

/// The last error in a runtime's log, a JSON object a line.
fn last_error(log: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.rev().find(|line| line.level == "error").map(|line| line.msg)
}

/// A socket that takes a terminal. Its path is short however deep the bundle lies: it leads through a descriptor of ours.
struct Console {
    path: String,
    listener: UnixListener,
    _bundle: OwnedFd,
}

impl Console {
    fn listen(bundle: &Path) -> Result<Self> {
        let what = || format!("make a socket for the terminal in {}", bundle.display());
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(bundle, flags, Mode::empty()).or_fail("open", what)?;
        let path = format!("/proc/{}/fd/{}/pty.sock", std::process::id(), dir.as_raw_fd());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).or_fail("bind", what)?;
        Ok(Self { path, listener, _bundle: dir })
    }

    async fn take(self) -> Result<OwnedFd> {
        let what = || "take the process's terminal";
        let received = async {
            let (stream, _) = self.listener.accept().await.or_fail("accept", what)?;
            stream.readable().await.or_fail("epoll_wait", what)?;
            let (_, fd) = pinnace::sys::socket::recv(&stream, &mut [0; 4096]).or_fail("recvmsg", what)?;
            fd.ok_or_else(|| Error::new(Kind::Host, format!("{}: there was none", what())))
        };
        let late = |_| Error::new(Kind::Host, format!("{}: it did not come", what()));
        let outcome = tokio::time::timeout(PATIENCE, received).await.map_err(late)?;
        let _ = std::fs::remove_file(&self.path);
        outcome
    }
}
