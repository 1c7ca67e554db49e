//! What is released: no defence can be left out of it, and nobody gets rights by starting it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use integration::host_process::without_forks;
use integration::{Bundle, runtime_binary, stand_in_lacks};

/// A build whose defences can be left out says by which variable.
#[test]
fn no_defence_can_be_left_out() {
    if stand_in_lacks("another program") {
        return;
    }
    let program = fs::read(runtime_binary()).unwrap();
    let word = b"PINNACE_MUTANT";
    assert!(!program.windows(word.len()).any(|window| window == word), "a build for make mutants");
}

/// Whoever may start a container is root: a set-id file would make everybody that.
#[test]
fn a_set_id_file_starts_nothing() {
    if stand_in_lacks("runc goes on") {
        return;
    }
    let bundle = Bundle::new();
    let directory = bundle.make_beside("set-id");
    for mode in [0o4755, 0o2755] {
        let program = directory.join(format!("pinnace-{mode:o}"));
        without_forks(|| fs::copy(runtime_binary(), &program).unwrap());
        chown(&program, Some(0), Some(0)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let log = bundle.beside("log");
        let mut command = Command::new(&program);
        command.args(["--log", log.to_str().unwrap(), "list"]).uid(1000).gid(1000);
        let outcome = bundle.runtime().finish(command);
        let flags = nix::sys::statvfs::statvfs(&directory).unwrap().flags();
        if flags.contains(nix::sys::statvfs::FsFlags::ST_NOSUID) {
            return integration::skip("the temporary directory is mounted nosuid");
        }
        outcome.fails(1, &["set-user-id"]);
        assert!(!log.exists());
    }
}
