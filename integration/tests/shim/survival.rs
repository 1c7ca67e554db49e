//! What is left when a shim or containerd is killed.

use integration::engine::Containerd;

use crate::{CTR, IMAGE, RUN, shim_of};

#[test]
fn a_shim_that_was_killed_leaves_nothing() {
    let _name = CTR.named("orphan");
    CTR.output(&format!("{RUN} -d {IMAGE} orphan sh -c 'sleep 7531 & sleep 7531'"));
    CTR.output(&format!("kill -9 $({})", shim_of("orphan")));
    CTR.comes_to("ctr task ls -q | grep -x orphan || true", "");
    CTR.comes_to("pgrep -fx 'sleep 7531' || true", "");
    let (room, cgroup) = (CTR.room().path(""), CTR.room().cgroup().to_owned());
    CTR.comes_to(&format!("find /sys/fs/cgroup -path '*{cgroup}/orphan'; grep '{room}.*/orphan/' /proc/self/mountinfo || true"), "");
    CTR.comes_to(&format!("ls /run/containerd/pinnace{cgroup} | grep -x orphan || true"), "");
}

#[test]
fn containers_outlive_containerd() {
    let mut containerd = Containerd::new();
    let (sleeps, ends) = ("outlives", "ends-alone");
    containerd.output(&format!(
        "{RUN} -d {IMAGE} {sleeps} sh -c 'while :; do echo x; sleep 0.01; done' >/dev/null"
    ));
    containerd.output(&format!("{RUN} -d {IMAGE} {ends} sh -c 'sleep 1; exit 9' >/dev/null"));
    containerd.kill();
    std::thread::sleep(std::time::Duration::from_secs(2));
    containerd.start_again();
    let status = |name: &str| format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3");
    containerd.comes_to(&status(sleeps), "RUNNING");
    containerd.comes_to(&status(ends), "STOPPED");
    containerd.prints(&format!("ctr task exec --exec-id one {sleeps} echo after"), "after");
    containerd.output(&format!("ctr task kill -s KILL {sleeps}"));
    containerd.comes_to(&status(sleeps), "STOPPED");
    for name in [sleeps, ends] {
        containerd.output(&format!("ctr task rm {name} >/dev/null 2>&1; ctr container rm {name}"));
    }
}
