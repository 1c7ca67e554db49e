//! What a container still has after checkpoint and restore.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use integration::host::{LIMIT, cgroup_mount, eventually, namespace};
use integration::host_process::{self, Process};
use integration::host_terminal::{FdSocket, read_until};
use integration::skip;
use serde_json::json;

use super::{COUNTER, Room};

#[test]
fn memory_pid_and_files_go_on_twice() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    for _ in 0..2 {
        room.counts_on(5);
        room.checkpoint(&[]).ok();
        let count = room.count();
        room.is_gone();
        assert_eq!(room.count(), count, "it goes on after its checkpoint");
        std::fs::remove_file(room.file("count")).unwrap();
        let pid_file = room.bundle.beside("pid").display().to_string();
        room.restore(&["--pid-file", &pid_file]).ok();
        assert_eq!(room.runtime.status(room.id()), "running");
        assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), room.runtime.pid(room.id()).to_string());
        room.counts_on(count);
        // The processes of the container have the pids that they had.
        room.runtime.call(&["exec", room.id(), "/bin/sh", "-c", "kill -0 1"]).ok();
    }
    room.runtime.call(&["kill", room.id(), "KILL"]).ok();
    room.runtime.wait_for(room.id(), "stopped");
}

#[test]
fn it_goes_on_with_leave_running() {
    let Some(room) = Room::new(COUNTER) else { return };
    let pid = room.runtime.start(&room.bundle);
    room.checkpoint(&["--leave-running"]).ok();
    assert_eq!((room.runtime.status(room.id()).as_str(), room.runtime.pid(room.id())), ("running", pid));
    room.counts_on(room.count());
}

#[test]
fn a_paused_container_stays_paused_with_leave_running() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    room.count();
    room.runtime.call(&["pause", room.id()]).ok();
    room.checkpoint(&["--leave-running"]).ok();
    assert_eq!(room.runtime.status(room.id()), "paused");
    room.runtime.call(&["resume", room.id()]).ok();
    room.counts_on(room.count());
}

#[test]
fn limits_are_there_again() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    room.bundle.set("/linux/resources/pids", json!({"limit": 77}));
    room.bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    room.runtime.start(&room.bundle);
    room.checkpoint(&[]).ok();
    room.restore(&[]).ok();
    let Some(mount) = cgroup_mount("pids") else {
        skip("no cgroup v1 hierarchy of pids");
        return;
    };
    let cgroup = mount.join(room.id());
    assert_eq!(std::fs::read_to_string(cgroup.join("pids.max")).unwrap().trim(), "77");
    let members = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
    let pid = room.runtime.pid(room.id()).to_string();
    assert!(members.lines().any(|line| line == pid), "{pid} is not in {members:?}");
    // And CRIU, which was there too, is not any more.
    let strangers: Vec<_> = members
        .lines()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok())
        .filter(|comm| comm.contains("criu") || comm.contains("ld-linux"))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn what_was_hidden_is_hidden_again() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    let look = || {
        let script = "cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware; touch /proc/sysrq-trigger 2>&1; \
            busybox cut -d' ' -f4- /proc/self/mountinfo | busybox sort";
        room.runtime.call(&["exec", room.id(), "/bin/sh", "-c", script]).ok().stdout
    };
    let before = look();
    room.checkpoint(&[]).ok();
    room.restore(&[]).ok();
    assert_eq!(look(), before);
}

#[test]
fn a_terminal_is_handed_over() {
    let script = "while read line; do echo got $line; done";
    let Some(mut room) = Room::new(script) else { return };
    room.bundle.set("/process/terminal", json!(true));
    let socket = FdSocket::new(&room.bundle.beside("console"));
    room.runtime.run_with(&room.bundle, &["--detach", "--console-socket", socket.path()]).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    says(&master, "one");
    room.checkpoint(&[]).ok();
    drop(master);
    room.restore(&["--console-socket", socket.path()]).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    says(&master, "two");
}

fn says(master: &OwnedFd, word: &str) {
    use std::io::Write;
    std::fs::File::from(master.try_clone().unwrap()).write_all(format!("{word}\r").as_bytes()).unwrap();
    let expected = format!("got {word}");
    let text = read_until(master, LIMIT, |text| text.contains(&expected));
    assert!(text.contains(&expected), "{text:?}");
}

#[test]
fn pipes_of_standard_output_are_those_of_restore() {
    let script = "exec </dev/null 2>/dev/null; i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";
    let Some(room) = Room::new(script) else { return };
    room.bundle.write();
    let bundle = room.bundle.path();
    let mut run = room.runtime.command(&["run", "--detach", "--bundle", &bundle, room.id()]);
    let mut run = Process::start(run.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut lines = BufReader::new(run.child().stdout.take().unwrap()).lines();
    assert!(run.wait(LIMIT).unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    room.checkpoint(&[]).ok();
    let last: u64 = lines.map(Result::unwrap).last().unwrap().parse().unwrap();

    let mut restore = room.command("restore", &["--detach", "--bundle", &bundle]);
    let mut restore = Process::start(restore.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut lines = BufReader::new(restore.child().stdout.take().unwrap()).lines();
    assert!(restore.wait(LIMIT).unwrap().success());
    // The end of the old pipe is in the images, and so is what was in it.
    assert_eq!(lines.next().unwrap().unwrap().parse::<u64>().unwrap(), last + 1);
}

#[test]
fn restore_in_the_foreground_gives_the_exit_code() {
    let script =
        "exec </dev/null >/dev/null 2>&1; echo up > /up; while [ ! -e /go ]; do sleep 0.02; done; exit 7";
    let Some(room) = Room::new(script) else { return };
    room.runtime.start(&room.bundle);
    room.read("up");
    room.checkpoint(&[]).ok();
    let bundle = room.bundle.path();
    let restore = room.runtime.begin(room.command("restore", &["--bundle", &bundle]));
    let runs = || room.runtime.call(&["state", room.id()]).stdout.contains("running").then_some(());
    assert!(eventually(LIMIT, runs).is_some());
    std::fs::write(room.file("go"), "").unwrap();
    assert_eq!(restore.finish().code, 7);
    room.is_gone();
}

#[test]
fn sockets_listen_and_loopback_is_up() {
    let script =
        "exec </dev/null >/dev/null 2>&1; while :; do busybox nc -l -p 4000 > /got; mv /got /word; done";
    let Some(room) = Room::new(script) else { return };
    room.runtime.start(&room.bundle);
    let say = |word: &str| {
        let script = format!("echo {word} | busybox nc -w 1 127.0.0.1 4000");
        let heard = eventually(LIMIT, || {
            room.runtime.call(&["exec", room.id(), "/bin/sh", "-c", &script]);
            let text = std::fs::read_to_string(room.file("word")).unwrap_or_default();
            (text.trim() == word).then_some(())
        });
        assert!(heard.is_some(), "{word} was not heard");
    };
    say("one");
    room.checkpoint(&["--tcp-established"]).ok();
    room.restore(&["--tcp-established"]).ok();
    say("two");
}

#[test]
fn a_joined_network_namespace_is_joined_again() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    let mut holder = Process::start(std::process::Command::new("unshare").args(["--net", "sleep", "1000"]));
    let own = namespace(i32::try_from(std::process::id()).unwrap(), "net");
    let path = format!("/proc/{}/ns/net", holder.pid());
    let unshared = || namespace(holder.pid(), "net").filter(|inode| Some(*inode) != own);
    let inode = eventually(LIMIT, unshared).unwrap();
    room.bundle.join("network", &path);
    room.runtime.start(&room.bundle);
    room.checkpoint(&[]).ok();
    room.restore(&[]).ok();
    assert_eq!(namespace(room.runtime.pid(room.id()), "net"), Some(inode));
    holder.child().kill().unwrap();
}

#[test]
fn an_exec_has_the_clocks_of_the_restored() {
    let Some(room) = Room::new(COUNTER) else { return };
    room.runtime.start(&room.bundle);
    room.checkpoint(&[]).ok();
    room.restore(&[]).ok();
    let script = "busybox readlink /proc/self/ns/time; busybox readlink /proc/1/ns/time";
    let same = room.runtime.call(&["exec", room.id(), "/bin/sh", "-c", script]).ok().stdout;
    let links: Vec<_> = same.lines().collect();
    assert_eq!(links.len(), 2);
    assert_eq!(links[0], links[1]);
}

#[test]
fn hooks_run_as_when_it_was_made() {
    let Some(mut room) = Room::new(COUNTER) else { return };
    let told = room.bundle.beside("told").display().to_string();
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        let script = format!("echo {kind} $(jq -r '.status, (.pid // 0 | . > 0)' 2>&1) >> {told}");
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
        room.bundle.set(&format!("/hooks/{kind}"), hook);
    }
    room.runtime.start(&room.bundle);
    let heard = || std::fs::read_to_string(&told).unwrap();
    let made = "prestart creating true\ncreateRuntime creating true\n";
    assert_eq!(heard(), format!("{made}poststart running true\n"));
    std::fs::write(&told, "").unwrap();
    room.checkpoint(&[]).ok();
    assert_eq!(heard(), "poststop stopped false\n");
    room.restore(&[]).ok();
    // Its process was started long ago: nothing is started now.
    assert_eq!(heard(), format!("poststop stopped false\n{made}"));
    host_process::reap_orphans();
}
