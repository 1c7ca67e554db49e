//! Looking at a container from outside: logs, top, stats, inspect, events, health.

use crate::{DOCKER, asleep, scripted};

#[test]
fn logs_follow_until_the_end() {
    let name = scripted(
        "observe-logs",
        "",
        "echo ready; until [ -e /go ]; do sleep 0.1; done; echo last; echo err >&2",
    );
    let follow = DOCKER.begin(&format!("docker logs -f {name}"));
    follow.says("ready");
    DOCKER.output(&format!("docker exec {name} touch /go"));
    let said = follow.finish();
    assert_eq!(
        (said.code, said.stdout.as_str(), said.stderr.as_str()),
        (0, "ready\nlast\n", "err\n"),
        "{said}"
    );
}

#[test]
fn top_lists_the_processes_of_the_container() {
    let name = scripted("observe-top", "", "sleep 4321 & echo ready; exec sleep 4322");
    let lines =
        DOCKER.output(&format!("docker top {name} -o pid,args | tail -n +2 | sed 's/^ *[0-9]* *//' | sort"));
    assert_eq!(lines, "sleep 4321\nsleep 4322");
    let pid = DOCKER.output(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}"));
    let pids = DOCKER.output(&format!("docker top {name} -o pid"));
    assert!(pids.lines().any(|line| line.trim() == pid), "{pid} in {pids}");
}

#[test]
fn stats_show_memory_processes_and_processor() {
    let name = scripted("observe-stats", "-m 64m", "echo ready; while :; do :; done");
    let text = DOCKER.output(&format!(
        "docker stats --no-stream --format '{{{{.MemUsage}}}} {{{{.PIDs}}}} {{{{.CPUPerc}}}}' {name}"
    ));
    let words: Vec<_> = text.split(' ').collect();
    let [used, "/", "64MiB", "1", processor] = words.as_slice() else { panic!("{text}") };
    assert!(!used.starts_with("0B"), "{text}");
    assert!(processor.trim_end_matches('%').parse::<f64>().is_ok_and(|share| share > 1.0), "{text}");
}

#[test]
fn inspect_knows_the_process_and_the_runtime() {
    let name = asleep("observe-inspect", "");
    DOCKER.prints(&format!("docker inspect -f '{{{{.HostConfig.Runtime}}}}' {name}"), "pinnace");
    let pid = DOCKER.output(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}"));
    DOCKER.prints(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"), "sleep 600");
}

#[test]
fn events_tell_start_exec_and_end() {
    let since = DOCKER.output("date +%s");
    let name = asleep("observe-events", "");
    DOCKER.sh(&format!("docker exec {name} sh -c 'exit 9'"));
    DOCKER.output(&format!("docker kill {name}"));
    let seen =
        "docker events --since {since} --until $(date +%s) --filter container={name} --format '{{.Action}}'";
    let line = seen.replace("{since}", &since).replace("{name}", &name.to_string());
    DOCKER.comes_to(
        &format!("sleep 1; {line} | sed 's/:.*//' | tr '\\n' ' '"),
        "create start exec_create exec_start exec_die kill die",
    );
}

#[test]
fn a_health_check_turns_healthy_and_unhealthy() {
    let name =
        asleep("observe-health", "--health-cmd 'test -e /ok' --health-interval 300ms --health-retries 2");
    let health = format!("docker inspect -f '{{{{.State.Health.Status}}}}' {name}");
    DOCKER.comes_to(&health, "unhealthy");
    DOCKER.output(&format!("docker exec {name} touch /ok"));
    DOCKER.comes_to(&health, "healthy");
}

#[test]
fn attach_shows_what_comes_and_ends_with_its_code() {
    let name = scripted(
        "observe-attach",
        "",
        "echo ready; until [ -e /go ]; do sleep 0.1; done; echo seen; sleep 0.3; exit 21",
    );
    let attached = DOCKER.begin(&format!("docker attach {name}"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    DOCKER.output(&format!("docker exec {name} touch /go"));
    let said = attached.finish();
    assert_eq!((said.code, said.stdout.as_str()), (21, "seen\n"), "{said}");
}
