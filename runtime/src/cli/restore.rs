//! `restore`: a container from the files that `checkpoint` has written.

use super::checkpoint::criu_options;
use super::create::{refuse_terminal, remove};
use super::foreground::Foreground;
use super::{Call, bundle};
use crate::container::id::Id;
use crate::container::{self, CreateOptions, RestoreOptions};
use crate::error::{Error, Result};

/// Makes the container anew, and without `--detach` waits for its end and deletes it.
pub(crate) fn restore(call: &Call) -> Result<u8> {
    run(call).map_err(|error| error.within(format_args!("{} restore failed", call.program)))
}

fn run(call: &Call) -> Result<u8> {
    let matches = &call.matches;
    let id = Id::parse(matches.first())?;
    let bundle = bundle::named(call)?;
    let detach = matches.on("detach");
    let options = CreateOptions {
        console_socket: bundle::beside(&bundle, matches.path("console-socket")),
        pid_file: bundle::pid_file(call)?,
        no_pivot: matches.on("no-pivot"),
        bundle,
        ..CreateOptions::default()
    };
    if options.console_socket.is_some() && !detach {
        return Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty"));
    }
    let restore = RestoreOptions {
        criu: criu_options(matches)?,
        lsm_profile: matches.path("lsm-profile").map(str::to_owned),
        lsm_mount_context: matches.path("lsm-mount-context").map(str::to_owned),
    };
    let mut foreground = if detach { None } else { Some(Foreground::prepare(!matches.on("no-subreaper"))?) };
    let mut started = container::restore(&call.runtime, &id, &options, &restore)?;
    let Some(mut foreground) = foreground.take() else {
        refuse_terminal(call, &id, &started)?;
        return Ok(0);
    };
    let status = foreground.attach(&mut started).and_then(|()| foreground.wait(&started, None));
    remove(call, &id);
    status
}
