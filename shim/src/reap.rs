//! Signals as the loop sees them, by one descriptor: children that have ended, and what is asked of the shim itself.
//!
//! Every child is reaped here, the containers' own as well as orphans that the kernel has given us. That takes no
//! status from anybody: the library waits for its hooks before it returns to the loop.

use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use pinnace::error::{OrFail, Result};
use pinnace::sys::wait::reap_any;

use crate::polled::readable;
use crate::shim::Shim;

/// The signals that come by descriptor. Children are born with none of them blocked (the library sees to it).
pub(crate) fn block() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1] {
        set.add(signal);
    }
    set.thread_block().or_fail("rt_sigprocmask", || "block signals")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(&set, flags).or_fail("signalfd", || "watch signals")
}

/// Takes signals for ever.
pub(crate) async fn run(signals: SignalFd, shim: Arc<Shim>) -> std::io::Result<()> {
    let signals = readable(signals)?;
    loop {
        let mut ready = signals.readable().await?;
        match signals.get_ref().read_signal() {
            Ok(Some(info)) => {
                let signal = i32::try_from(info.ssi_signo).unwrap_or_default();
                match Signal::try_from(signal) {
                    Ok(Signal::SIGCHLD) => reap(&shim),
                    Ok(Signal::SIGUSR1) => shim.dump(),
                    Ok(signal) => {
                        log::info!("ended by {signal}");
                        shim.end();
                    }
                    Err(_) => {}
                }
            }
            Ok(None) | Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Takes every status that is there. One SIGCHLD can stand for many children.
fn reap(shim: &Arc<Shim>) {
    while let Ok(Some((pid, end))) = reap_any() {
        shim.ended(pid.as_raw(), u32::from(end.status()));
    }
}
