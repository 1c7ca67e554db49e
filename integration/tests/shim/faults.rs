//! Somebody is killed, or speaks nonsense, in the middle of a call: what is there goes on, what is not goes away, and the
//! id can be used again.

use std::io::Write;

use integration::engine::{Containerd, Ttrpc};

use crate::loops::hooked_in;
use crate::{CTR, IMAGE, RUN, asleep, shim_of};

/// A hook that says that it runs, and ends when it is let go.
fn held(ctr: &Containerd) -> String {
    let room = ctr.room().path("");
    format!(
        "touch {room}/hook-runs; for i in $(seq 300); do [ ! -e {room}/go ] || exit 0; sleep 0.1; done; exit 1"
    )
}

/// Kills containerd while the hook runs, and starts it again when that is done.
fn kill_while_held(ctr: &mut Containerd) {
    ctr.comes_to("cat $ROOM/hook-runs && echo runs", "runs");
    ctr.kill();
    ctr.output("touch $ROOM/go; sleep 1");
    ctr.start_again();
}

/// Whatever has become of the container: it can be removed, nothing of it is left, and its id is free.
#[track_caller]
fn can_be_removed_and_made_again(ctr: &Containerd, name: &str) {
    let (cgroup, room) = (ctr.room().cgroup(), ctr.room().path(""));
    ctr.comes_to(
        &format!("ctr task rm --force {name} >/dev/null 2>&1; ctr container rm {name} >/dev/null 2>&1; ctr container ls -q; ctr task ls -q"),
        "",
    );
    ctr.comes_to(&format!("{} || true", shim_of(name)), "");
    ctr.comes_to(&format!("find /sys/fs/cgroup -path '*{cgroup}/{name}'"), "");
    ctr.comes_to(&format!("ls /run/containerd/pinnace{cgroup} | grep -x {name} || true"), "");
    ctr.comes_to(&format!("grep '{room}.*/{name}/' /proc/self/mountinfo || true"), "");
    ctr.prints(&format!("{RUN} --rm {IMAGE} {name} echo again"), "again");
}

#[test]
fn containerd_is_killed_in_the_middle_of_a_create() {
    let mut ctr = Containerd::new();
    let call = ctr.begin(&hooked_in(&ctr, "half-made", "half-made", "prestart", &held(&ctr)));
    kill_while_held(&mut ctr);
    assert_ne!(call.finish().code, 0);
    can_be_removed_and_made_again(&ctr, "half-made");
}

#[test]
fn containerd_is_killed_in_the_middle_of_a_delete() {
    let mut ctr = Containerd::new();
    ctr.output(&hooked_in(&ctr, "half-gone", "half-gone", "poststop", &held(&ctr)));
    ctr.output("ctr task kill -s KILL half-gone");
    ctr.comes_to("ctr task ls | grep '^half-gone ' | tr -s ' ' | cut -d' ' -f3", "STOPPED");
    let call = ctr.begin("ctr task rm half-gone");
    kill_while_held(&mut ctr);
    call.finish();
    can_be_removed_and_made_again(&ctr, "half-gone");
}

#[test]
fn containerd_is_killed_in_the_middle_of_an_exec() {
    let mut ctr = Containerd::new();
    ctr.output(&format!("{RUN} -d {IMAGE} has-exec sleep 600"));
    let script = "echo begins; until [ -e /tmp/go ]; do sleep 0.1; done; sleep 0.1";
    let call = ctr.begin(&format!("ctr task exec --exec-id one has-exec sh -c '{script}'"));
    call.says("begins");
    ctr.kill();
    ctr.start_again();
    call.finish();
    // The exec goes on, another works, and what it leaves is no hindrance.
    ctr.comes_to("ctr task ps has-exec | grep -c one", "1");
    ctr.prints("ctr task exec --exec-id two has-exec sh -c 'touch /tmp/go; echo two'", "two");
    ctr.comes_to("ctr task ps has-exec | grep -c one || true", "0");
    can_be_removed_and_made_again(&ctr, "has-exec");
}

#[test]
fn a_shim_that_is_killed_with_an_exec_leaves_nothing() {
    let _guard = CTR.named("killed-exec");
    CTR.output(&format!("{RUN} -d {IMAGE} killed-exec sleep 7532"));
    CTR.output("ctr task exec -d --exec-id one killed-exec sleep 7533");
    CTR.output(&format!("kill -9 $({})", shim_of("killed-exec")));
    CTR.comes_to("ctr task ls -q | grep -x killed-exec || true", "");
    CTR.comes_to("pgrep -fx 'sleep 753[23]' || true", "");
    CTR.output("ctr container rm killed-exec");
    CTR.prints(&format!("{RUN} --rm {IMAGE} killed-exec echo again"), "again");
}

/// A connection to a container's shim.
fn connect(name: &str) -> Ttrpc {
    Ttrpc::connect(&CTR, &CTR.output(&shim_of(name)))
}

#[test]
fn nonsense_on_its_socket_hurts_nobody_else() {
    let name = asleep("nonsense", "");
    let mut half = connect("nonsense");
    half.stream.write_all(&Ttrpc::request(1, "Connect", b"")[..7]).expect("half a frame");
    let mut long = connect("nonsense");
    long.stream.write_all(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0, b'x']).expect("a length of 4 GB");
    let mut odd = connect("nonsense");
    odd.stream.write_all(&[0xa5; 4096]).expect("noise");
    let mut deaf = connect("nonsense");
    deaf.stream.set_nonblocking(true).expect("set a flag");
    for stream in 0..5000_u32 {
        // Never reads an answer: it is sent as much as is taken.
        if deaf.stream.write_all(&Ttrpc::request(2 * stream + 1, "Connect", b"")).is_err() {
            break;
        }
    }
    CTR.prints(&format!("ctr task exec --exec-id one {name} echo served"), "served");
    let shim = CTR.output(&shim_of("nonsense"));
    CTR.prints(&format!("grep '^Threads' /proc/{shim}/status"), "Threads:\t1");
    let memory = CTR.output(&format!("grep '^VmRSS' /proc/{shim}/status | tr -dc 0-9"));
    assert!(memory.parse::<u32>().expect("a number") < 64 * 1024, "{memory} kB");
    drop((half, long, odd, deaf));
    CTR.prints(&format!("ctr task exec --exec-id two {name} echo still"), "still");
}

#[test]
fn clients_of_execs_that_are_gone_leave_nothing_that_hinders() {
    let name = asleep("gone-clients", "");
    let lines = (0..50).map(|number| {
        format!(
            "timeout -s KILL 0.$(( {number} % 8 + 1 )) ctr task exec --exec-id e{number} {name} sleep 2 &"
        )
    });
    CTR.sh(&format!("{} wait", lines.collect::<String>()));
    CTR.comes_to(&format!("ctr task ps {name} | tail -n +2 | wc -l"), "1");
    CTR.prints(&format!("ctr task exec --exec-id last {name} echo last"), "last");
    CTR.output(&format!("ctr task rm --force {name}"));
    CTR.comes_to(&format!("{} || true", shim_of("gone-clients")), "");
}

#[test]
fn a_dump_of_what_there_is_for_the_signal() {
    let name = asleep("dumped", "");
    CTR.output(&format!("ctr task exec -d --exec-id one {name} sleep 600"));
    CTR.output(&format!("kill -USR1 $({})", shim_of("dumped")));
    let see = "cat $ROOM/log/* | grep -c 'msg=\"container dumped: exec one: pid [0-9]*\"'";
    CTR.comes_to(see, "1");
}

#[test]
fn the_processes_of_execs_are_told_by_their_ids() {
    let name = asleep("told-ids", "");
    CTR.output(&format!("ctr task exec -d --exec-id its-id {name} sleep 601"));
    let pid = CTR.output("pgrep -fx 'sleep 601'");
    let list = CTR.output(&format!("ctr task ps {name}"));
    let line = list.lines().find(|line| line.starts_with(&pid)).unwrap_or_default();
    assert!(line.contains("its-id"), "{list}");
}
