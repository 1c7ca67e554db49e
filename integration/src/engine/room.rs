//! The room that an engine lives in, as its test program sees it: a directory, a cgroup, and namespaces that commands
//! enter. Its keeper (integration/keeper) clears it when this process has ended; nothing here must need a `Drop`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use nix::sched::{CloneFlags, setns};

use crate::host_process::Process;

/// Where engines and what they call are found; Debian's iptables is in /usr/sbin.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Other engines than the host's: a directory with their `usr/bin` and `usr/sbin`.
const ENGINES: &str = "PINNACE_ENGINES";

/// Where engines and what they call are found, those of `PINNACE_ENGINES` first.
pub(super) static SEARCH: LazyLock<String> = LazyLock::new(|| match std::env::var(ENGINES) {
    Ok(root) => format!("{root}/usr/sbin:{root}/usr/bin:{PATH}"),
    Err(_) => PATH.to_owned(),
});

/// Where a program of the engines is, one that a script in the room has the name of.
pub(super) fn program(name: &str) -> String {
    let paths = SEARCH.split(':').map(|directory| format!("{directory}/{name}"));
    // Of Debian, where there is also another.
    let mut paths = paths.filter(|path| !path.starts_with("/usr/local/"));
    paths.find(|path| Path::new(path).exists()).unwrap_or_else(|| name.to_owned())
}

/// A room; each engine has its own.
#[derive(Debug)]
pub struct Room {
    directory: PathBuf,
    cgroup: String,
    pid: i32,
    namespaces: [OwnedFd; 2],
    keeper: Mutex<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    lines: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Room {
    /// Makes a room whose names begin with the name of the engine.
    pub fn new(engine: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pinnace-{engine}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        for part in ["log", "calls", "bin"] {
            fs::create_dir_all(directory.join(part)).expect("make the room's directory");
        }
        let cgroup = format!("/{name}");
        let mut command = Command::new(built_beside("engine-keeper"));
        command
            .arg(&directory)
            .arg(&cgroup)
            .env("PATH", &*SEARCH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let child = process.child();
        let lines = child.stdin.take().expect("invariant: piped above");
        let answers = BufReader::new(child.stdout.take().expect("invariant: piped above"));
        let pid = process.pid();
        // It ends by itself, after its work; a drop would kill it before.
        std::mem::forget(process);
        let mut keeper = Keeper { lines, answers };
        let answer = keeper.answer();
        assert_eq!(answer, "ready", "the keeper of the room could not begin");
        let namespaces = ["mnt", "net"]
            .map(|name| File::open(format!("/proc/{pid}/ns/{name}")).expect("open a namespace").into());
        Self { directory, cgroup, pid, namespaces, keeper: Mutex::new(keeper) }
    }

    /// The directory of everything that the engine keeps; it is removed at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path in the directory, as text.
    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().expect("invariant: the temporary directory is UTF-8").to_owned()
    }

    /// The cgroup below which the engine puts its containers, the same path in every hierarchy.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Starts a service; its pid. It ends with the room.
    pub fn start(&self, words: &[&str]) -> i32 {
        let line = serde_json::to_string(words).expect("invariant: words are JSON");
        let mut keeper = self.keeper.lock().expect("the keeper's lock");
        writeln!(keeper.lines, "{line}").expect("ask the keeper");
        let answer = keeper.answer();
        answer.parse().unwrap_or_else(|_| panic!("{}: {answer}", words.join(" ")))
    }

    /// Makes a command run in the room's mount and network namespaces.
    pub fn enter(&self, command: &mut Command) {
        let fds = self.namespaces.each_ref().map(|fd| fd.try_clone().expect("duplicate a descriptor"));
        // SAFETY: between fork and exec only setns is called, on descriptors that the closure owns.
        unsafe {
            command.pre_exec(move || {
                for fd in &fds {
                    setns(fd, CloneFlags::empty())?;
                }
                Ok(())
            });
        }
    }

    /// A connection to an address of the room's network, as `host:port`.
    pub fn connect(&self, address: &str) -> TcpStream {
        let network = &self.namespaces[1];
        // A thread of its own enters, and the socket stays of that network.
        let socket = std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(network, CloneFlags::CLONE_NEWNET).expect("enter the room's network");
                TcpStream::connect(address)
            });
            entered.join().expect("the thread in the room")
        });
        socket.unwrap_or_else(|e| panic!("connect to {address}: {e}\n{}", self.logs()))
    }

    /// The process that holds the room's namespaces.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The last lines that the services wrote, for the message of a failed test.
    pub fn logs(&self) -> String {
        let mut paths: Vec<_> =
            fs::read_dir(self.directory.join("log")).into_iter().flatten().flatten().collect();
        paths.sort_by_key(fs::DirEntry::file_name);
        let last = |path: PathBuf| {
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines = text.lines().filter(|line| !line.contains("level=info"));
            let lines: Vec<_> = lines.rev().take(8).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            format!("--- {}\n{}\n", path.display(), lines.join("\n"))
        };
        paths.into_iter().map(|entry| last(entry.path())).collect()
    }
}

impl Keeper {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("read the keeper's answer");
        line.trim_end().to_owned()
    }
}

/// A program of this crate, which Cargo builds beside the test programs' directory.
pub(super) fn built_beside(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let path = program.ancestors().nth(2).expect("invariant: a target directory").join(name);
    assert!(path.is_file(), "no {}: run the tests with cargo test", path.display());
    path
}
