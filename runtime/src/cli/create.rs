//! `create` and `run`: from a bundle to a container that waits, and on to one that runs.

use std::path::{Path, PathBuf};

use super::foreground::Foreground;
use super::grammar::Matches;
use super::root::absolute;
use super::{Call, bundle, logger, print};
use crate::container::id::Id;
use crate::container::notify::Notify;
use crate::container::state::Container;
use crate::container::{self, CreateOptions, Started};
use crate::error::{Error, Kind, Result};
use crate::trace;

/// Makes a container that waits for `start`.
pub(crate) fn create(call: &Call) -> Result<u8> {
    let make = || {
        let id = Id::parse(call.matches.first())?;
        let options = options(call, bundle::named(call)?)?;
        let started = container::create(&call.runtime, &id, &options)?;
        refuse_terminal(call, &id, &started)
    };
    make().map_err(|error| error.within(format_args!("{} create failed", call.program)))?;
    Ok(0)
}

/// Makes a container, starts it, and without `--detach` waits for its end and deletes it.
pub(crate) fn run(call: &Call) -> Result<u8> {
    run_bundle(call).map_err(|error| error.within(format_args!("{} run failed", call.program)))
}

fn options(call: &Call, bundle: PathBuf) -> Result<CreateOptions> {
    let matches = &call.matches;
    Ok(CreateOptions {
        systemd_by_path: false,
        console_socket: bundle::beside(&bundle, matches.path("console-socket")),
        pidfd_socket: bundle::beside(&bundle, matches.path("pidfd-socket")),
        pid_file: bundle::pid_file(call)?,
        config: matches.path("config").map(|path| absolute(Path::new(path))).transpose()?,
        no_pivot: matches.on("no-pivot"),
        no_new_keyring: matches.on("no-new-keyring"),
        preserve_fds: preserve_fds(matches)?,
        bundle,
    })
}

/// The flag `--preserve-fds`.
pub(crate) fn preserve_fds(matches: &Matches) -> Result<u32> {
    let count = matches.number("preserve-fds").unwrap_or(0);
    u32::try_from(count)
        .map_err(|_| Error::invalid(format!("preserve-fds must be a positive number: {count}")))
}

fn run_bundle(call: &Call) -> Result<u8> {
    let operand = call.matches.first();
    let direct = match call.matches.path("bundle") {
        None => bundle::run_directly(operand)?,
        Some(_) => None,
    };
    let (detach, keep) = (call.matches.on("detach"), call.matches.on("keep"));
    let tell_name = direct.is_some() && (detach || keep);
    let (bundle, id) = match direct {
        Some(direct) => direct,
        None => (bundle::named(call)?, Id::parse(operand)?),
    };
    let options = options(call, bundle)?;
    if options.console_socket.is_some() && !detach {
        return Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty"));
    }
    let mut foreground =
        if detach { None } else { Some(Foreground::prepare(!call.matches.on("no-subreaper"))?) };
    let mut started = container::create(&call.runtime, &id, &options)?;
    if detach {
        refuse_terminal(call, &id, &started)?;
    }
    let mut launch = || {
        if let Some(foreground) = &mut foreground {
            foreground.attach(&mut started)?;
        }
        let notify = Notify::listen(&call.runtime.root.join(id.as_str()))?;
        match Container::load(&call.runtime, &id)?.start() {
            // The container has said it on its standard error, which is ours, and ends with its own exit code.
            Err(error) if error.kind() == Kind::Program && foreground.is_some() => logger::beside(&error),
            other => other?,
        }
        Ok(notify)
    };
    let notify = match launch() {
        Ok(notify) => notify,
        Err(error) => {
            if !keep {
                remove(call, &id);
            }
            return Err(error);
        }
    };
    // The container runs: that nobody can read its name does not change that.
    if tell_name && let Err(error) = print(&format!("{id}\n")) {
        log::warn!("{error}");
    }
    let Some(foreground) = foreground else {
        if let Some(notify) = notify {
            notify.wait(started.pid, &started.pidfd)?;
        }
        return Ok(0);
    };
    let span = trace::span("foreground");
    let status = foreground.wait(&started, notify);
    drop(span);
    if !keep {
        remove(call, &id);
    }
    status
}

/// A terminal needs somebody who has its other end, and this program will be gone. Only now it is known that there is
/// one: to read config.json beforehand would cost every other container a second reading.
pub(crate) fn refuse_terminal(call: &Call, id: &Id, started: &Started) -> Result<()> {
    if started.console.is_none() {
        return Ok(());
    }
    remove(call, id);
    Err(Error::invalid("cannot allocate tty if runc will detach without setting console socket"))
}

/// The container has ended, or will with this: what can't be cleaned is told, beside the result that counts.
pub(crate) fn remove(call: &Call, id: &Id) {
    if let Err(error) = container::delete_forced(&call.runtime, id) {
        log::warn!("{error}");
    }
}
