//! `exec`: another process in a container that runs.

use super::create::preserve_fds;
use super::foreground::Foreground;
use super::{Call, bundle, exec_process};
use crate::container::ExecOptions;
use crate::container::state::Container;
use crate::error::{Error, Result};
use crate::spec::Process;

/// Runs the process, and without `--detach` waits for it.
pub(crate) fn exec(call: &Call) -> Result<u8> {
    run(call).map_err(|error| error.within("exec failed"))
}

fn run(call: &Call) -> Result<u8> {
    let matches = &call.matches;
    let container = call.container()?;
    let process = match matches.path("process") {
        Some(file) => exec_process::from_file(file)?,
        None => exec_process::from_flags(matches, own_process(&container)?)?,
    };
    let detach = matches.on("detach");
    let socket = matches.path("console-socket");
    check_terminal(detach, process.terminal, socket.is_some())?;
    // The bundle is where runc has gone by the time it opens the sockets.
    let bundle = &container.state.bundle;
    let mut options = ExecOptions {
        process,
        console_socket: bundle::beside(bundle, socket),
        pidfd_socket: bundle::beside(bundle, matches.path("pidfd-socket")),
        pid_file: bundle::pid_file(call)?,
        preserve_fds: preserve_fds(matches)?,
        ignore_paused: matches.on("ignore-paused"),
        cgroups: matches.all("cgroup").map(str::to_owned).collect(),
        plain_newlines: !detach,
    };
    if detach {
        container.exec(&options)?;
        return Ok(0);
    }
    let mut foreground = Foreground::prepare(false)?;
    foreground.find_terminal(&mut options.process)?;
    let mut started = container.exec(&options)?;
    foreground.attach(&mut started)?;
    foreground.wait(&started, None)
}

fn own_process(container: &Container) -> Result<Process> {
    let own = container.config()?.process;
    own.ok_or_else(|| Error::invalid("process property must not be empty"))
}

/// A terminal needs somebody who has its other end: a relay in the foreground, or whoever listens on the socket.
fn check_terminal(detach: bool, terminal: bool, socket: bool) -> Result<()> {
    if detach && terminal && !socket {
        Err(Error::invalid("cannot allocate tty if runc will detach without setting console socket"))
    } else if socket && !(detach && terminal) {
        Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty"))
    } else {
        Ok(())
    }
}
