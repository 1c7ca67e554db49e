//! `start`: lets the process of a created container go.

use nix::unistd::Pid;

use super::Call;
use crate::container::notify::Notify;
use crate::error::Result;

/// Starts the process.
pub(crate) fn start(call: &Call) -> Result<u8> {
    let container = call.container()?;
    let notify = Notify::listen(&call.runtime.root.join(container.state.id.as_str()))?;
    container.start()?;
    if let (Some(notify), Some(pidfd)) = (notify, container.state.init.pidfd()?) {
        notify.wait(Pid::from_raw(container.state.init.pid), pidfd)?;
    }
    Ok(0)
}
