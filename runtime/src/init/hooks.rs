//! The hooks between the mounts and the pivot: the runtime's own side runs prestart and createRuntime, this process
//! createContainer (runtime-spec, config.md#posix-platform-hooks).

use super::Init;
use crate::error::{OrFail, Result};
use crate::hook::{HookKind, Setting, Status, run_all};
use crate::wait;

/// Lets the runtime run its hooks if there are any, then runs those of the container's namespaces.
pub fn before_pivot(init: &mut Init<'_>) -> Result<()> {
    let plan = init.plan;
    let Some(hooks) = &plan.spec.hooks else { return Ok(()) };
    // The runtime also tells the pid that later hooks find in their state.
    init.made.pid = init.who.wire.hooks()?;
    let list = hooks.create_container().as_deref().unwrap_or_default();
    if list.is_empty() {
        return Ok(());
    }
    // Such hooks start in the container's root, as they do with runc; the pivot leaves for there anyway.
    nix::unistd::fchdir(init.root()?.fd()).or_fail("fchdir", || "enter the root file system for hooks")?;
    let state = (init.hook_state)(Status::Creating, init.made.pid)?;
    let files = Some(init.hook_files);
    let setting = Setting { state: &state, default_env: Some(&[]), dir: None, files };
    wait::block(run_all(HookKind::CreateContainer, list, setting))
}
