//! The order in which containerd is told of what happens.

use crate::loops::hooked;
use crate::{CTR, IMAGE, RUN, asleep};

/// What was told of a container, one word a line, once the last of it is `last`.
fn told(name: &str, last: &str, commands: &str) -> Vec<String> {
    let file = format!("$ROOM/events-{name}");
    let line = format!(
        "ctr events >{file} & events=$!; sleep 0.5; {commands}; \
         for i in $(seq 100); do grep -q '{last} .*\"{name}\"' {file} && break; sleep 0.1; done; kill $events; \
         grep '\"{name}\"' {file} | grep -o '/tasks/[a-z-]* .*'"
    );
    let words = |line: &str| {
        let id = line.split_once(r#""id":""#).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("");
        let topic = line.split(' ').next().unwrap_or("").trim_start_matches("/tasks/");
        format!("{topic} {id}").trim().to_owned()
    };
    CTR.output(&line).lines().map(words).collect()
}

#[test]
fn create_start_exit_delete() {
    let name = CTR.named("events-run");
    let said = told("events-run", "/tasks/delete", &format!("{RUN} --rm {IMAGE} {name} true"));
    assert_eq!(said, ["create", "start", "exit events-run", "delete"]);
}

#[test]
fn an_end_is_told_after_a_start_that_takes_long() {
    let name = CTR.named("events-at-once");
    let line = hooked("events-at-once", "at-once", "poststart", "sleep 1");
    let line = line.replace(r#"["sleep", "600"]"#, r#"["sh", "-c", "exit 3"]"#).replace(" -d ", " ");
    let said =
        told("events-at-once", "/tasks/delete", &format!("{line}; [ $? = 3 ] && ctr task rm {name}; true"));
    assert_eq!(said, ["create", "start", "exit events-at-once", "delete"]);
}

#[test]
fn the_end_of_init_comes_last() {
    let name = asleep("events-exec", "");
    let commands = format!(
        "ctr task exec -d --exec-id one {name} sleep 600; ctr task pause {name}; ctr task resume {name}; \
         ctr task kill -s KILL {name}"
    );
    let said = told("events-exec", "/tasks/exit .*\"id\":\"events-exec\",.*", &commands);
    assert_eq!(said, ["exec-added", "exec-started", "paused", "resumed", "exit one", "exit events-exec"]);
}

#[test]
fn lack_of_memory_is_told_before_the_end() {
    let name = CTR.named("events-oom");
    let eat = "sh -c 'x=a; while :; do x=$x$x; done'";
    let run = format!("{RUN} --rm --memory-limit 20000000 {IMAGE} {name} {eat} || true");
    let said = told("events-oom", "/tasks/delete", &run);
    assert_eq!(said, ["create", "start", "oom", "exit events-oom", "delete"]);
}
