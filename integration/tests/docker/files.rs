//! The container's file system from outside: cp, diff, commit, export, import.

use crate::{DOCKER, asleep};

#[test]
fn cp_into_and_out_of_a_running_container() {
    let name = asleep("files-cp", "");
    DOCKER.output(&format!("echo outside > $ROOM/cp-in && docker cp $ROOM/cp-in {name}:/tmp/in"));
    DOCKER.prints(&format!("docker exec {name} cat /tmp/in"), "outside");
    DOCKER.output(&format!(
        "docker exec {name} sh -c 'echo inside > /tmp/out' && docker cp {name}:/tmp/out $ROOM/cp-out"
    ));
    DOCKER.prints("cat $ROOM/cp-out", "inside");
}

#[test]
fn diff_shows_what_changed_and_nothing_of_the_runtimes_own() {
    let name = asleep("files-diff", "");
    DOCKER
        .output(&format!("docker exec {name} sh -c 'touch /new; rm /www/index.html; echo x >> /etc/passwd'"));
    DOCKER.prints(
        &format!("docker diff {name} | sort"),
        "A /new\nC /etc\nC /etc/passwd\nC /www\nD /www/index.html",
    );
}

#[test]
fn commit_makes_an_image_of_a_running_container() {
    let name = asleep("files-commit", "");
    DOCKER.output(&format!("docker exec {name} sh -c 'echo kept > /kept'"));
    DOCKER.output(&format!("docker commit {name} committed"));
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "running");
    DOCKER.prints("docker run --rm committed cat /kept", "kept");
    DOCKER.output("docker rmi committed");
}

#[test]
fn export_and_import() {
    let name = asleep("files-export", "");
    DOCKER.output(&format!("docker exec {name} sh -c 'echo travels > /file'"));
    DOCKER.output(&format!("docker export {name} | docker import - imported"));
    DOCKER.prints("docker run --rm imported cat /file", "travels");
    DOCKER.output("docker rmi imported");
}

#[test]
fn save_and_load() {
    DOCKER.output("docker tag busybox saved && docker save saved > $ROOM/saved.tar && docker rmi saved");
    DOCKER.output("docker load < $ROOM/saved.tar");
    DOCKER.prints("docker run --rm saved echo back", "back");
    DOCKER.output("docker rmi saved");
}
