//! What only newer dockers can: a shim chosen by its name, and compose.

use integration::engine::Docker;
use integration::skip;
use serde_json::json;

/// Makes our shim findable under its own name.
const PROVIDE: &str = "mkdir -p $ROOM/shims && ln -s $(dirname $PINNACE)/containerd-shim-pinnace-v2 $ROOM/shims/containerd-shim-pinnace-v2";

#[test]
fn a_shim_is_a_runtime_by_its_name() {
    if super::DOCKER.sh("[ $(docker version -f '{{.Server.Version}}' | cut -d. -f1) -ge 23 ]").code != 0 {
        return skip("docker knows shims by their names since 23");
    }
    let config = "printf 'IoUid = 7\\nUnknown = 1\\n' >$ROOM/options.toml";
    let settings = json!({ "runtimes": {
        "ours": { "runtimeType": "io.containerd.pinnace.v2" },
        "told": { "runtimeType": "io.containerd.pinnace.v2", "options": { "Root": "/run/other", "NoNewKeyring": true } },
    } });
    let docker = Docker::with(&settings, &format!("{PROVIDE}; {config}"));
    for runtime in ["ours", "told", "io.containerd.pinnace.v2"] {
        docker.prints(&format!("docker run --rm --runtime {runtime} busybox echo {runtime}"), runtime);
    }
    let name = docker.named("by-type");
    docker.output(&format!("docker run -d --runtime ours --name {name} busybox sleep 600"));
    docker.prints(&format!("docker exec {name} echo inside"), "inside");
    docker.prints(&format!("docker inspect -f '{{{{.HostConfig.Runtime}}}}' {name}"), "ours");
    docker.output("pgrep -f '[c]ontainerd-shim-pinnace-v2 '");
}

#[test]
fn compose_up_scale_exec_down() {
    let docker = &*super::DOCKER;
    let compose = "$(command -v docker-compose || echo /usr/libexec/docker/cli-plugins/docker-compose)";
    if docker.sh(&format!("{compose} version")).code != 0 {
        return skip("there is no docker-compose");
    }
    let file = "services:\\n  one:\\n    image: busybox\\n    command: sleep 600\\n    stop_grace_period: 0s\\n  two:\\n    image: busybox\\n    command: sh -c \"until nslookup one >/dev/null; do sleep 0.1; done; sleep 600\"\\n    stop_grace_period: 0s\\n    depends_on: [one]\\n";
    docker.output(&format!("mkdir -p $ROOM/project && printf '{file}' >$ROOM/project/compose.yaml"));
    let run = |words: &str| docker.output(&format!("cd $ROOM/project && {compose} -p composed {words} 2>&1"));
    run("up -d --pull never");
    run("up -d --pull never --scale one=3");
    docker.prints("docker ps -q --filter label=com.docker.compose.service=one | wc -l", "3");
    assert!(run("exec -T --index 2 one echo inside").contains("inside"));
    assert!(run("ps").contains("composed-two-1"));
    run("down -t 0");
    docker.prints("docker ps -aq --filter label=com.docker.compose.project=composed", "");
}
