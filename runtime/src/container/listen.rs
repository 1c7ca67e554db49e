//! Descriptors that the caller passes on to the container: systemd's socket activation (LISTEN_FDS, man 3
//! sd_listen_fds) and `--preserve-fds`, which follow one another from 3 up. Reads the caller's environment, and
//! changes neither that nor a descriptor.

use std::path::Path;

use nix::errno::Errno;

use crate::error::{Error, Result, errno_text};

/// How many descriptors from 3 up a container gets: those of LISTEN_FDS, then `preserve_fds` more. All must be open.
pub fn preserved(preserve_fds: u32) -> Result<i32> {
    checked(activated(), preserve_fds)
}

/// The same for an exec, which gets none of LISTEN_FDS.
pub fn preserved_for_exec(preserve_fds: u32) -> Result<i32> {
    checked(0, preserve_fds)
}

/// Tells the container's process of the sockets it gets.
pub fn announce(env: &mut Vec<String>) {
    let count = activated();
    if count > 0 {
        env.push(format!("LISTEN_FDS={count}"));
        // Its own pid: a container's first process has 1.
        env.push("LISTEN_PID=1".to_owned());
    }
}

fn activated() -> u32 {
    let variable = |name| std::env::var(name).ok();
    counted(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref(), std::process::id())
}

/// LISTEN_FDS, if it is meant for this process.
fn counted(pid: Option<&str>, fds: Option<&str>, own: u32) -> u32 {
    match (pid.and_then(|pid| pid.parse::<u32>().ok()), fds.and_then(|fds| fds.parse::<u32>().ok())) {
        (Some(pid), Some(fds)) if pid == own => fds,
        _ => 0,
    }
}

fn checked(activated: u32, preserve_fds: u32) -> Result<i32> {
    let too_many =
        || Error::invalid(format!("--preserve-fds {preserve_fds} is more than a process can have"));
    let total =
        activated.checked_add(preserve_fds).and_then(|n| i32::try_from(n).ok()).ok_or_else(too_many)?;
    let first = i32::try_from(activated).map_err(|_| too_many())?;
    for index in 0..total {
        let number = index.checked_add(3).ok_or_else(too_many)?;
        // Of the caller itself, whose /proc it is: lstat, so that what it is open on is not touched.
        if Path::new(&format!("/proc/self/fd/{number}")).symlink_metadata().is_err() {
            let name = if index < first {
                "descriptor of LISTEN_FDS".to_owned()
            } else {
                format!("preserved-fd {} (of {preserve_fds})", index - first)
            };
            let text = format!("unable to stat {name}: {}", errno_text(Errno::EBADF));
            return Err(Error::invalid(text).hint(format!("open descriptor {number}")));
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_for_somebody_else_are_not_ours() {
        for (pid, fds, count) in [
            (Some("7"), Some("2"), 2),
            (Some("8"), Some("2"), 0),
            (None, Some("2"), 0),
            (Some("7"), None, 0),
            (Some("7"), Some("-1"), 0),
            (Some("7"), Some("x"), 0),
            (Some("self"), Some("2"), 0),
        ] {
            assert_eq!(counted(pid, fds, 7), count, "{pid:?} {fds:?}");
        }
    }

    #[test]
    fn every_descriptor_is_open() {
        assert_eq!(checked(0, 0).unwrap(), 0);
        let error = checked(0, 100_000).unwrap_err().to_string();
        assert!(
            error.starts_with("unable to stat preserved-fd ") && error.contains("(of 100000)"),
            "{error}"
        );
        assert!(checked(1, u32::MAX).is_err());
        assert!(checked(u32::MAX, 0).is_err());
    }
}
