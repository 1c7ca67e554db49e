//! What becomes of a container whose orphans nobody reaps, as under a first process that does not.

use std::process::Stdio;

use integration::Bundle;
use pinnace::sys::process::set_subreaper;

use super::Case;

pub const CASES: &[Case] =
    &[("orphans::delete_does_not_wait_for_who_reaps_an_exec", delete_does_not_wait_for_who_reaps_an_exec)];

/// The init of a pid namespace ends when all in it are reaped, and this process reaps nobody.
fn delete_does_not_wait_for_who_reaps_an_exec() {
    set_subreaper(true).unwrap();
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    bundle.write();
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    let status = |args: &[&str]| {
        let mut command = runtime.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap()
    };
    assert!(status(&["exec", "--detach", bundle.id(), "/probe", "sleep"]).success());
    assert!(status(&["delete", "--force", bundle.id()]).success());
    assert!(!runtime.root().join(bundle.id()).exists());
    // Now that it is reaped, whoever looks for it finds nothing.
    while nix::sys::wait::wait().is_ok() {}
}
