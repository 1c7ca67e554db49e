//! `docker build` with the classic builder, whose RUN steps are containers of the default runtime.

use crate::DOCKER;

#[track_caller]
fn build(name: &str, dockerfile: &str) -> integration::Outcome {
    DOCKER.output(&format!(
        "mkdir -p $ROOM/{name} && cat > $ROOM/{name}/Dockerfile <<'END'\n{dockerfile}\nEND"
    ));
    DOCKER.sh(&format!("DOCKER_BUILDKIT=0 docker build -t {name} $ROOM/{name}"))
}

#[test]
fn run_steps_build_on_each_other() {
    let said = build(
        "built",
        "FROM busybox\nENV COLOUR=red\nWORKDIR /work\nRUN echo $COLOUR > colour && id -u >> colour\nUSER app\n\
         RUN id -un > /tmp/who\nRUN [\"/bin/sh\", \"-c\", \"ls /work\"]\nCMD cat /work/colour /tmp/who",
    );
    assert_eq!(said.code, 0, "{said}");
    DOCKER.prints("docker run --rm built", "red\n0\napp");
    DOCKER.output("docker rmi built");
}

#[test]
fn a_run_step_that_fails_fails_the_build_with_its_code() {
    let said = build("broken", "FROM busybox\nRUN echo some words; exit 33");
    assert_eq!(said.code, 33, "{said}");
    assert!(said.stdout.contains("some words"), "{said}");
}

#[test]
fn a_health_check_of_the_image_is_run() {
    let said = build(
        "healthy",
        "FROM busybox\nHEALTHCHECK --interval=300ms CMD test -d /www\nCMD [\"sleep\", \"600\"]",
    );
    assert_eq!(said.code, 0, "{said}");
    let name = DOCKER.named("build-healthy");
    DOCKER.output(&format!("docker run -d --name {name} healthy"));
    DOCKER.comes_to(&format!("docker inspect -f '{{{{.State.Health.Status}}}}' {name}"), "healthy");
    drop(name);
    DOCKER.output("docker rmi healthy");
}
