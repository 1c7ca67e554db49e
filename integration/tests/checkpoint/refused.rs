//! What is refused, with which words, and that nothing is left of it.

use std::path::Path;

use serde_json::json;

use super::{COUNTER, Room};

#[test]
fn what_does_not_run_is_not_dumped() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.create(&room.bundle);
    room.checkpoint(&[]).refuses(&["container cannot be checkpointed in created state"]);
    room.runtime.call(&["start", room.id()]).ok();
    room.runtime.call(&["kill", room.id(), "KILL"]).ok();
    room.runtime.wait_for(room.id(), "stopped");
    room.checkpoint(&[]).refuses(&["container cannot be checkpointed in stopped state"]);
    assert!(!Path::new(&room.images).exists());
    room.runtime.call(&["delete", room.id()]).ok();
    room.checkpoint(&[]).refuses(&["container does not exist"]);
}

#[test]
fn without_criu_nothing_happens() {
    let Some(room) = Room::new(COUNTER) else { return };
    let pid = room.runtime.start(&room.bundle);
    let words = ["checkpoint", "--image-path", &room.images, room.id()];
    let mut command = room.runtime.command(&words);
    command.env("PATH", "/nonexistent");
    room.runtime.finish(command).refuses(&["find criu in $PATH", "install CRIU"]);
    room.runtime
        .call(&["--criu", "/nonexistent/criu", "checkpoint", "--image-path", &room.images, room.id()])
        .refuses(&["find criu: /nonexistent/criu is no program"]);
    // A program that is none of CRIU's.
    room.runtime
        .call(&["--criu", "/bin/true", "checkpoint", "--image-path", &room.images, room.id()])
        .refuses(&["criu"]);
    assert_eq!((room.runtime.status(room.id()).as_str(), room.runtime.pid(room.id())), ("running", pid));
}

#[test]
fn a_failed_dump_leaves_the_container_and_names_the_log() {
    // A file of the host's, as a container without a terminal often has it.
    let script =
        "echo 0 > /count; i=0; while :; do i=$((i+1)); echo $i > /new; mv /new /count; sleep 0.02; done";
    let Some(room) = Room::new(script) else { return };
    room.runtime.start(&room.bundle);
    let log = Path::new(&room.images).join("dump.log");
    let outcome = room.checkpoint(&[]);
    outcome.refuses(&["criu failed: type dump", "Error (criu/", log.to_str().unwrap()]);
    assert_eq!(room.runtime.status(room.id()), "running");
    room.counts_on(room.count());
}

#[test]
fn a_failed_restore_leaves_nothing() {
    // Writes only when it is asked: what a restore that fails late has changed in files stays changed.
    let script = "exec </dev/null >/dev/null 2>&1; echo 0 > /count; i=0; \
        while :; do i=$((i+1)); if [ -e /ask ]; then echo $i > /count; fi; sleep 0.02; done";
    let Some(mut room) = Room::new(script) else { return };
    room.bundle.write();
    room.restore(&[]).refuses(&["images", "no such file or directory"]);
    room.is_gone();
    // There, and not a checkpoint.
    std::fs::create_dir(&room.images).unwrap();
    room.restore(&[]).refuses(&["descriptors.json", "no such file or directory"]);
    room.is_gone();

    room.runtime.start(&room.bundle);
    room.count();
    room.checkpoint(&[]).ok();
    // Late: the processes stand already when the hook fails, and are taken back.
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]);
    room.bundle.set("/hooks/createRuntime", hook);
    room.bundle.write();
    room.restore(&[]).refuses(&["error running createRuntime hook #0: exit status 3"]);
    room.is_gone();
    room.bundle.remove("/hooks");
    room.bundle.write();
    let count = room.count();
    // Later still: they run.
    let nowhere = room.bundle.beside("nowhere/pid").display().to_string();
    room.restore(&["--pid-file", &nowhere]).refuses(&["nowhere/pid"]);
    room.is_gone();
    // An image that is damaged.
    let pages = Path::new(&room.images).join("pagemap-1.img");
    let kept = std::fs::read(&pages).unwrap();
    std::fs::write(&pages, b"damaged").unwrap();
    let log = Path::new(&room.images).join("restore.log");
    room.restore(&[]).refuses(&["criu failed: type restore", log.to_str().unwrap()]);
    room.is_gone();
    // After all that the checkpoint is as good as it was.
    std::fs::write(&pages, kept).unwrap();
    room.restore(&[]).ok();
    std::fs::write(room.file("ask"), "").unwrap();
    room.counts_on(count);
}

#[test]
fn an_id_that_is_taken_is_not_restored_over() {
    let Some(room) = Room::new(COUNTER) else { return };
    let pid = room.runtime.start(&room.bundle);
    room.checkpoint(&["--leave-running"]).ok();
    room.restore(&[]).refuses(&["container with given ID already exists"]);
    assert_eq!((room.runtime.status(room.id()).as_str(), room.runtime.pid(room.id())), ("running", pid));
    room.counts_on(room.count());
}

#[test]
fn a_terminal_needs_somebody_who_takes_it() {
    let Some(mut room) = Room::new("while read line; do :; done") else { return };
    room.bundle.set("/process/terminal", json!(true));
    let socket = integration::host_terminal::FdSocket::new(&room.bundle.beside("console"));
    room.runtime.run_with(&room.bundle, &["--detach", "--console-socket", socket.path()]).ok();
    let master = socket.receive(integration::host::LIMIT).expect("a terminal");
    room.checkpoint(&[]).ok();
    drop(master);
    room.restore(&[]).refuses(&["cannot allocate tty if runc will detach without setting console socket"]);
    room.is_gone();
}

#[test]
fn wrong_words_are_told() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    for (words, error) in [
        (&["--parent-path", "/absolute"][..], "--parent-path must be relative"),
        (&["--parent-path", "./missing"], "invalid --parent-path"),
        (&["--manage-cgroups-mode", "hard"], "invalid manage-cgroups-mode value"),
        (&["--empty-ns", "pid"], "is not supported"),
        (&["--page-server", "nowhere"], "Use --page-server ADDRESS:PORT"),
        (&["--status-fd", "77"], "invalid --status-fd argument 77"),
    ] {
        room.checkpoint(words).refuses(&[error]);
    }
    assert_eq!(room.runtime.status(room.id()), "running");
}
