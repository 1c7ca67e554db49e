//! Which file `args[0]` is, with which environment it runs, and why it can't be run. Works in the container's root as
//! the final user; it never looks at the caller's environment.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::refusal;
use crate::error::{Error, Kind, Result, errno_text};
use crate::plan::creds::Uid;

/// Where `args[0]` is looked for when the environment has no PATH. It is not added to the environment.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As much of /etc/passwd is read as any real one has.
const LONGEST_PASSWD: u64 = 16 * 1024 * 1024;

/// The process's environment: of a name that is there twice the last one counts, the order stays, and HOME is added
/// from the container's /etc/passwd if it is missing or empty.
pub fn environment(env: &[String], uid: Uid) -> Result<Vec<String>> {
    environment_in(env, || home(Path::new("/etc/passwd"), uid))
}

fn environment_in(env: &[String], home: impl FnOnce() -> Option<String>) -> Result<Vec<String>> {
    let mut last = std::collections::BTreeMap::new();
    for (index, pair) in env.iter().enumerate() {
        last.insert(name_of(pair)?, index);
    }
    let is_last = |(index, pair): &(usize, &String)| name_of(pair).is_ok_and(|name| last[name] == *index);
    let kept = env.iter().enumerate().filter(is_last).map(|(_, pair)| pair).filter(|pair| *pair != "HOME=");
    let mut kept: Vec<String> = kept.cloned().collect();
    if value(&kept, "HOME").is_none() {
        kept.push(format!("HOME={}", home().as_deref().unwrap_or("/")));
    }
    Ok(kept)
}

fn name_of(pair: &str) -> Result<&str> {
    let invalid = |why| Err(Error::invalid(format!("invalid environment variable {pair:?}: {why}")));
    match pair.split_once('=') {
        None => invalid("missing '='"),
        Some(("", _)) => invalid("name cannot be empty"),
        Some(_) if pair.contains('\0') => invalid("contains nul byte (\\x00)"),
        Some((name, _)) => Ok(name),
    }
}

/// The value of a variable.
pub fn value<'env>(env: &'env [String], name: &str) -> Option<&'env str> {
    env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The home directory of the first user with that id. Not a regular file, unreadable, not there: nothing.
fn home(passwd: &Path, uid: Uid) -> Option<String> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(passwd).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut lines = BufReader::new(file.take(LONGEST_PASSWD));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).ok()? != 0 {
        if let Some(home) = std::str::from_utf8(&line).ok().and_then(|line| home_in(line, uid)) {
            return Some(home.to_owned());
        }
        line.clear();
    }
    None
}

/// `name:password:uid:gid:comment:home:shell`
fn home_in(line: &str, uid: Uid) -> Option<&str> {
    let mut fields = line.trim().split(':');
    let listed: Uid = fields.nth(2)?.parse().ok()?;
    let home = fields.nth(2)?;
    (listed == uid && home.starts_with('/') && !home.contains('\0')).then_some(home)
}

/// The file that `name` is: itself if it has a slash (relative to the working directory), else the first executable
/// of that name in PATH. The errors are those of runc, which engines turn into exit statuses 126 and 127.
pub fn find(name: &str, env: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        return executable(Path::new(name)).map(|()| name.into()).map_err(|why| why.of(name));
    }
    let path = value(env, "PATH").unwrap_or(DEFAULT_PATH);
    if !matches!(name, "" | "." | "..") && !path.is_empty() {
        for dir in path.split(':') {
            let candidate = Path::new(if dir.is_empty() { "." } else { dir }).join(name);
            if executable(&candidate).is_err() {
                continue;
            }
            if candidate.is_relative() {
                return Err(Error::invalid(format!(
                    "exec: {name:?}: cannot run executable found relative to current directory"
                ))
                .hint("use absolute directories in PATH, or a path with a slash"));
            }
            return Ok(candidate);
        }
    }
    Err(Error::invalid(format!("exec: {name:?}: executable file not found in $PATH"))
        .hint(if path.is_empty() { "PATH is empty".to_owned() } else { format!("PATH is {path}") }))
}

/// Why a file can't be executed, as far as can be seen without trying.
enum Why {
    Stat(Errno),
    Directory,
    Access(Errno, Option<String>),
}

impl Why {
    fn of(self, name: &str) -> Error {
        match self {
            Self::Stat(errno) => {
                Error::invalid(format!("exec: {name:?}: stat {name}: {}", errno_text(errno)))
            }
            // runc's words, and execve(2)'s, by which engines choose the exit code 126.
            Self::Directory => Error::invalid(format!("exec: {name:?}: is a directory: permission denied")),
            Self::Access(errno, hint) => {
                let error = Error::invalid(format!("exec: {name:?}: {}", errno_text(errno)));
                match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
        }
    }
}

fn executable(path: &Path) -> Result<(), Why> {
    let errno = |error: &std::io::Error| error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
    let metadata = std::fs::metadata(path).map_err(|error| Why::Stat(errno(&error)))?;
    if metadata.is_dir() {
        return Err(Why::Directory);
    }
    match faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        // A seccomp profile that does not know faccessat2(2); the question never has EPERM for an answer. The older
        // call leaves capabilities out, and is right for everybody who needs none.
        Err(Errno::EPERM | Errno::ENOSYS) => faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::empty()),
        answer => answer,
    }
    .map_err(|errno| Why::Access(errno, refusal::of_access(path)))
}

/// Becomes the program. Returns only if the kernel refuses, with the kernel's reason and what can be found out
/// about it.
pub fn execute(path: &Path, args: &[String], env: &[String]) -> Error {
    let run = || -> Result<Infallible> {
        let file = c_string(path.as_os_str())?;
        let args: Vec<CString> = args.iter().map(c_string).collect::<Result<_>>()?;
        let env: Vec<CString> = env.iter().map(c_string).collect::<Result<_>>()?;
        nix::unistd::execve(&file, &args, &env).map_err(|errno| failed(path, errno))
    };
    match run() {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn failed(path: &Path, errno: Errno) -> Error {
    let error = Error::new(Kind::Program, format!("exec {}: {}", path.display(), errno_text(errno)));
    match refusal::of_exec(path, errno) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_bytes())
        .map_err(|_| Error::invalid(format!("exec {}: a string with a nul byte (\\x00)", text.display())))
}

/// Reads the first bytes of a file, as many as there are.
pub(super) fn head(file: &File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], u64::try_from(length).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
#[path = "program_test.rs"]
mod tests;
