//! The end of init: told ready, parked at the gate, then the program. In the created state the process holds one
//! descriptor beside its own: the gate, a FIFO in the state directory that `start` writes one byte to. What goes wrong
//! behind the gate goes back the same way.

use std::os::fd::{AsRawFd, IntoRawFd};

use nix::errno::Errno;

use super::Init;
use crate::error::{Error, Kind, OrFail, Result};
use crate::hook::{HookKind, Setting, Status, run_all};
use crate::sys::process::{close, set_parent_death_signal};
use crate::wait;
use crate::wire::kind_byte;

/// Tells the runtime that everything is set up and dropped.
pub fn ready(init: &mut Init<'_>) -> Result<()> {
    // From here on the container outlives the runtime.
    set_parent_death_signal(0).or_fail("prctl", || "untie init from the runtime")?;
    // The wording is runc's: scripts look for it.
    log::debug!("init: closing the pipe to signal completion");
    init.who.wire.ready()?;
    init.who.wire.take_voice();
    // The wire is of no more use; only the gate stays, and a seccomp listener until the runtime has taken its copy and
    // the program takes over. The filter is loaded by now: only what every profile allows may be called.
    if let Some(proc) = init.made.proc.take() {
        close(proc.into_raw_fd());
    }
    if !mutant!("gate") {
        close(init.who.wire.fd().as_raw_fd());
    }
    Ok(())
}

/// Waits for `start`.
pub fn wait(init: &mut Init<'_>) -> Result<()> {
    let mut byte = [0];
    loop {
        match nix::unistd::read(init.gate, &mut byte) {
            Ok(1) => return Ok(()),
            Err(Errno::EINTR) => {}
            Ok(_) => return Err(Error::new(Kind::Host, "wait for start: the gate is gone")),
            Err(errno) => return Err(Error::os("read", errno, "wait for start")),
        }
    }
}

/// startContainer hooks, then the program. Comes back only if that fails.
pub fn exec(init: &mut Init<'_>) -> Result<()> {
    let plan = init.plan;
    if let Some(hooks) = plan.spec.hooks.as_ref().and_then(|h| h.start_container().as_deref()) {
        let state = (init.hook_state)(Status::Created, init.made.pid)?;
        let default_env =
            Some(init.made.program.as_ref().map_or(&plan.process.env[..], |program| &program.env));
        let setting = Setting { state: &state, default_env, dir: None, files: Some(init.hook_files) };
        wait::block(run_all(HookKind::StartContainer, hooks, setting))?;
    }
    match &init.made.program {
        Some(program) => Err(init.who.execute(program)),
        None => Err(Error::invalid(super::TOO_EARLY)),
    }
}

/// Tells whoever waits that a step has failed: the runtime before the gate, `start` behind it.
pub fn report(init: &Init<'_>, error: &Error) {
    // After `ready` the wire is closed and this fails, which is all right.
    init.who.wire.fail(error);
    let mut answer = vec![kind_byte(error.kind())];
    answer.extend(error.to_string().bytes().take(4000));
    let _ = nix::unistd::write(init.gate, &answer);
    if error.kind() == Kind::Program {
        // As runc: what the engine shows of the container is what its program would have said.
        let _ = nix::unistd::write(std::io::stderr(), format!("{}\n", error.text()).as_bytes());
    }
}
