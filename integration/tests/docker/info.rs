//! What docker says about the runtime, and choosing it among others.

use crate::DOCKER;

#[test]
fn info_shows_the_runtime_as_known_and_as_default() {
    DOCKER.prints("docker info -f '{{.DefaultRuntime}}'", "pinnace");
    DOCKER.prints("docker info -f '{{(index .Runtimes \"pinnace\").Path}}'", &DOCKER.output("echo $PINNACE"));
}

#[test]
fn another_runtime_runs_beside_it() {
    DOCKER.prints("docker run --rm --runtime runc busybox echo by runc", "by runc");
    let name = DOCKER.named("info-beside");
    DOCKER.output(&format!("docker run -d --runtime runc --name {name} busybox sleep 600"));
    DOCKER.prints(&format!("docker run --rm --net container:{name} busybox echo joined"), "joined");
}

#[test]
fn an_unknown_runtime_is_refused() {
    let said = DOCKER.sh("docker run --rm --runtime nonesuch busybox true");
    assert!(said.code == 125 && said.stderr.contains("nonesuch"), "{said}");
}
