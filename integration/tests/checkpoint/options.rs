//! What single flags, annotations and mounts do.

use integration::host_process;
use integration::skip;
use serde_json::json;

use super::{COUNTER, Room};

#[test]
fn mounts_are_made_again_where_they_are_needed() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    let outer = room.bundle.make_beside("outer");
    let inner = room.bundle.make_beside("inner");
    std::fs::write(inner.join("file"), "inside").unwrap();
    std::fs::create_dir(room.file("real")).unwrap();
    std::os::unix::fs::symlink("/real/below", room.file("link")).unwrap();
    let (outer, inner) = (outer.display().to_string(), inner.display().to_string());
    room.bundle.mount("/mnt", "bind", &outer, &["bind"]);
    room.bundle.mount("/mnt/for/nested", "bind", &inner, &["bind", "ro"]);
    room.bundle.mount("/link", "bind", &inner, &["bind"]);
    room.bundle.mount("/dev/on-tmpfs", "bind", &inner, &["bind"]);
    room.runtime.start(&room.bundle);
    room.checkpoint(&[]).ok();
    // What was made to mount on is made once more.
    std::fs::remove_dir_all(format!("{outer}/for")).unwrap();
    std::fs::remove_dir_all(room.file("real/below")).unwrap();
    room.restore(&[]).ok();
    for path in ["/mnt/for/nested/file", "/real/below/file", "/dev/on-tmpfs/file"] {
        let seen = room.runtime.call(&["exec", room.id(), "/bin/cat", path]).ok();
        assert_eq!(seen.stdout, "inside", "{path}");
    }
    room.runtime
        .call(&["exec", room.id(), "/bin/touch", "/mnt/for/nested/new"])
        .fails(1, &["Read-only file system"]);
}

#[test]
fn another_cgroup_with_ignore() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    room.checkpoint(&["--manage-cgroups-mode", "ignore"]).ok();
    let other = format!("/{}other", room.id());
    room.bundle.set("/linux/cgroupsPath", json!(other));
    room.bundle.write();
    room.restore(&["--manage-cgroups-mode", "ignore"]).ok();
    let cgroups = std::fs::read_to_string(format!("/proc/{}/cgroup", room.runtime.pid(room.id()))).unwrap();
    assert!(cgroups.lines().any(|line| line.ends_with(&other)), "{cgroups}");
    room.runtime.call(&["delete", "--force", room.id()]).ok();
}

#[test]
fn logs_go_to_the_work_path_under_the_name_of_a_configuration() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    let config = room.bundle.beside("criu.conf");
    std::fs::write(&config, "log-file=named.log\n").unwrap();
    room.bundle.set("/annotations", json!({"org.criu.config": config.display().to_string()}));
    room.runtime.start(&room.bundle);
    let work = room.bundle.beside("work");
    room.checkpoint(&["--work-path", work.to_str().unwrap()]).ok();
    assert!(work.join("named.log").is_file() && !work.join("dump.log").exists());
    assert!(!std::path::Path::new(&room.images).join("dump.log").exists());
    std::fs::remove_file(work.join("named.log")).unwrap();
    room.bundle.set("/annotations", json!({"org.criu.config": ""}));
    room.bundle.write();
    room.restore(&["--work-path", work.to_str().unwrap()]).ok();
    assert!(work.join("restore.log").is_file() && !work.join("named.log").exists());
}

#[test]
fn memory_of_a_pre_dump_is_not_written_again() {
    let Some(room) = Room::new(COUNTER) else { return };
    let pid = room.runtime.start(&room.bundle);
    let first = room.bundle.beside("first").display().to_string();
    let criu = room.criu.display().to_string();
    let words = ["--criu", &criu, "checkpoint", "--pre-dump", "--image-path", &first, room.id()];
    let outcome = room.runtime.call(&words);
    assert_eq!((room.runtime.status(room.id()).as_str(), room.runtime.pid(room.id())), ("running", pid));
    if outcome.code != 0 {
        outcome.fails(1, &["CRIU is missing features", "tracking of changed memory"]);
        skip("the kernel does not track changed memory");
        return;
    }
    room.checkpoint(&["--parent-path", "../first"]).ok();
    let link = std::path::Path::new(&room.images).join("parent");
    assert!(link.is_symlink(), "no {}", link.display());
    let count = room.count();
    room.restore(&[]).ok();
    room.counts_on(count);
}

#[test]
fn users_of_a_user_namespace_come_back() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    room.bundle.map_users(100_000, 65_536);
    let pid = room.runtime.start(&room.bundle);
    room.count();
    let map = |pid| std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    let before = map(pid);
    room.checkpoint(&[]).ok();
    let count = room.count();
    // CRIU reads them inside, where the host's root is nobody.
    let mode = ["-R", "a+rX", &room.images];
    assert!(std::process::Command::new("chmod").args(mode).status().unwrap().success());
    room.restore(&[]).ok();
    assert_eq!(map(room.runtime.pid(room.id())), before);
    room.counts_on(count);
    host_process::reap_orphans();
}
