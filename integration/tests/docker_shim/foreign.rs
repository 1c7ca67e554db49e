//! Another runtime than ours behind our shim, as a GPU's wrapper is: by its command line.

use std::sync::LazyLock;

use integration::engine::{Container, Docker};
use serde_json::json;

/// What a GPU's wrapper does: it changes config.json, and leaves the rest to runc.
const WRAPPER: &str = r#"case " $* " in *" create "*)
    bundle=$(echo " $* " | sed 's/.* --bundle \([^ ]*\) .*/\1/')
    jq '.process.env += ["WRAPPED=yes"]' $bundle/config.json >$bundle/new && mv $bundle/new $bundle/config.json ;;
esac
exec runc "$@""#;

/// A dockerd whose containerd has our shim, and two runtimes that are not ours.
static DOCKER: LazyLock<Docker> = LazyLock::new(|| {
    // The room has a /run of its own.
    let runtimes = json!({ "foreign": { "path": "/usr/sbin/runc" }, "wrapped": { "path": "/run/wrapper" } });
    let docker = Docker::with(&json!({ "runtimes": runtimes }), Docker::OUR_SHIM);
    docker.script("wrapper", WRAPPER);
    docker.output("ln -s $ROOM/bin/wrapper /run/wrapper");
    docker
});

#[test]
fn a_wrapper_changes_the_configuration_on_its_way() {
    DOCKER.prints("docker run --rm --runtime wrapped busybox sh -c 'echo $WRAPPED'", "yes");
}

fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --runtime foreign --name {container} {flags} busybox sleep 600"));
    container
}

#[test]
fn it_runs_and_its_exit_code_and_outputs_come_back() {
    let said = DOCKER.sh("docker run --rm --runtime foreign busybox sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (7, "out\n", "err\n"), "{said}");
    let said = DOCKER.sh("docker run --rm --runtime foreign busybox nosuchbinary");
    assert!(said.code == 127 && said.stderr.contains("executable file not found in $PATH"), "{said}");
}

#[test]
fn it_is_another_runtime_and_our_shim() {
    let name = asleep("foreign-is", "");
    let id = DOCKER.output(&format!("docker inspect -f '{{{{.Id}}}}' {name}"));
    // The state is runc's, not ours.
    let state = DOCKER.output(&format!("dirname $(find /run $ROOM -path '*/{id}/state.json')"));
    DOCKER.output(&format!("runc --root $(dirname {state}) state {id}; [ ! -e {state}/intent.json ]"));
}

#[test]
fn exec_pause_signals_limits_and_figures() {
    let name = asleep("foreign-verbs", "--memory 64m");
    DOCKER.prints(&format!("docker exec {name} echo inside"), "inside");
    assert_eq!(DOCKER.sh(&format!("docker exec {name} sh -c 'exit 9'")).code, 9);
    DOCKER.output(&format!("docker pause {name}"));
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "paused");
    DOCKER.output(&format!("docker unpause {name}"));
    DOCKER.output(&format!("docker update --memory 32m --memory-swap 64m {name}"));
    DOCKER.prints(
        &format!("docker stats --no-stream --format '{{{{.MemUsage}}}}' {name} | cut -d/ -f2"),
        " 32MiB",
    );
    DOCKER.output(&format!("docker top {name} | grep 'sleep 600'"));
    DOCKER.output(&format!("docker kill -s TERM {name}; docker kill {name}"));
    DOCKER.comes_to(
        &format!("docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {name}"),
        "exited 137",
    );
    DOCKER.output(&format!("docker start {name}"));
    DOCKER.prints(&format!("docker exec {name} echo again"), "again");
}

#[test]
fn terminals() {
    let mut shell = DOCKER.terminal("docker run --rm -it --runtime foreign busybox sh", 40, 120);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo begin''s\r");
    shell.sees("begins");
    shell.types("exit 5\r");
    assert_eq!(shell.ends(), 5);
    let name = asleep("foreign-tty", "");
    let mut shell = DOCKER.terminal(&format!("docker exec -it {name} sh"), 33, 99);
    shell.sees("# ");
    shell.types("exit 6\r");
    assert_eq!(shell.ends(), 6);
}

#[test]
fn a_shim_that_was_killed_leaves_nothing() {
    let name = asleep("foreign-orphan", "");
    let pid = DOCKER.output(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}"));
    DOCKER.output(&format!("kill -9 $(awk '/^PPid/ {{ print $2 }}' /proc/{pid}/status)"));
    DOCKER.comes_to(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "exited");
    DOCKER.comes_to(&format!("tr '\\0' ' ' 2>/dev/null </proc/{pid}/cmdline || true"), "");
}
