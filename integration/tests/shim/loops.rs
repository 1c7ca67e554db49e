//! One shim serves many at once: who waits for a slow one must be nobody but who has asked for it.

use integration::engine::Containerd;

use crate::{CTR, RUN, shim_of};

/// Writes a configuration whose container is in the group `GROUP`, with this hook of that kind, and runs it in the
/// background. The group's containers have one shim.
pub(crate) fn hooked(name: &str, group: &str, kind: &str, script: &str) -> String {
    hooked_in(&CTR, name, group, kind, script)
}

/// The same for another containerd.
pub(crate) fn hooked_in(ctr: &Containerd, name: &str, group: &str, kind: &str, script: &str) -> String {
    let cgroup = ctr.room().cgroup();
    let filter = format!(
        r#".root.path = env.ROOM + "/image" | .root.readonly = true | .process.terminal = false
        | .process.args = ["sleep", "600"] | .process.env = ["PATH=/bin"]
        | .linux.cgroupsPath = "{cgroup}/{name}"
        | .annotations["io.containerd.runc.v2.group"] = "{group}"
        | .hooks.{kind} = [{{ path: "/bin/sh", args: ["sh", "-c", env.SCRIPT], env: ["PATH=/bin:/usr/bin"] }}]"#
    );
    format!(
        "mkdir -p $ROOM/{name} && cd $ROOM/{name} && $PINNACE spec && \
         SCRIPT='{script}' jq '{filter}' config.json > spec.json && {RUN} -d --config spec.json {name}"
    )
}

/// A hook that ends when another has come, or fails after half a minute.
fn meets(own: &str, other: &str) -> String {
    let room = CTR.room().path("");
    format!(
        "touch {room}/{own}; for i in $(seq 300); do [ ! -e {room}/{other} ] || exit 0; sleep 0.1; done; exit 1"
    )
}

#[test]
fn creates_with_slow_hooks_overlap() {
    let (first, second) = (CTR.named("slow-1"), CTR.named("slow-2"));
    let lines = [
        hooked("slow-1", "slow", "prestart", &meets("met-1", "met-2")),
        hooked("slow-2", "slow", "prestart", &meets("met-2", "met-1")),
    ];
    let running = lines.map(|line| CTR.begin(&line));
    for outcome in running.map(integration::runtime_bin::Running::finish) {
        assert_eq!(outcome.code, 0, "{outcome}");
    }
    CTR.prints(&format!("{} | wc -l", shim_of("slow-.")), "1");
    for name in [first, second] {
        CTR.prints(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "RUNNING");
    }
}

#[test]
fn others_are_served_while_a_hook_runs() {
    let (_first, _second) = (CTR.named("served"), CTR.named("serving"));
    CTR.output(&hooked("served", "serve", "poststart", "true"));
    let room = CTR.room().path("");
    let waits = "for i in $(seq 300); do [ ! -e $R/go ] || exit 0; sleep 0.1; done; exit 1";
    let hook = format!("touch {room}/hook-runs; R={room}; {waits}");
    let slow = CTR.begin(&hooked("serving", "serve", "poststart", &hook));
    CTR.comes_to(&format!("ls {room}/hook-runs"), &format!("{room}/hook-runs"));
    CTR.prints("ctr task exec --exec-id one served echo served", "served");
    CTR.output("ctr task metrics served");
    CTR.output(&format!("touch {room}/go"));
    assert_eq!(slow.finish().code, 0);
}
