//! A task that becomes an image, and a container that is made from it.

use integration::{criu, skip};

use crate::{CTR, IMAGE, RUN};

#[test]
fn a_task_is_checkpointed_and_goes_on_in_another_container() {
    if let Err(why) = criu::working() {
        skip(why);
        return;
    }
    let (old, new) = (CTR.named("checkpointed"), CTR.named("restored"));
    let script = "i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.05; done";
    CTR.output(&format!("{RUN} -d {IMAGE} {old} sh -c '{script}'"));
    let count = |name: &str, id: &str| format!("ctr task exec --exec-id {id} {name} cat /count");
    CTR.comes_to(&format!("[ \"$({})\" -gt 5 ] && echo yes", count("checkpointed", "a")), "yes");
    CTR.output(&format!("ctr container checkpoint --rw --task {old} docker.io/library/state:latest"));
    // It goes on: nobody has asked for its end.
    CTR.output(&count("checkpointed", "b"));
    CTR.output(&format!("ctr task rm --force {old}"));
    CTR.output(&format!(
        "ctr container restore --rw --live {new} docker.io/library/state:latest >/dev/null 2>&1 </dev/null &"
    ));
    let status = "ctr task ls | grep '^restored ' | tr -s ' ' | cut -d' ' -f3";
    CTR.comes_to(status, "RUNNING");
    CTR.comes_to(&format!("[ \"$({})\" -gt 5 ] && echo yes", count("restored", "c")), "yes");
    CTR.output(&format!("ctr task kill -s KILL {new}"));
    CTR.comes_to(status, "STOPPED");
}
