//! Volumes and mounts.

use crate::{DOCKER, asleep};

#[test]
fn a_named_volume_keeps_what_is_written() {
    DOCKER.output("docker run --rm -v kept:/data busybox sh -c 'echo one > /data/file'");
    DOCKER.prints("docker run --rm -v kept:/data busybox cat /data/file", "one");
    DOCKER.fails("docker run --rm -v kept:/data:ro busybox touch /data/file", 1, &["Read-only file system"]);
    DOCKER.output("docker volume rm kept");
}

#[test]
fn a_new_volume_begins_with_what_the_image_has_there() {
    DOCKER.prints("docker run --rm -v /www busybox cat /www/index.html", "a page");
}

#[test]
fn a_folder_of_the_host_both_ways() {
    DOCKER.output("mkdir -p $ROOM/shared-folder && echo from host > $ROOM/shared-folder/in");
    DOCKER.prints("docker run --rm -v $ROOM/shared-folder:/mnt busybox sh -c 'cat /mnt/in; echo from inside > /mnt/out'", "from host");
    DOCKER.prints("cat $ROOM/shared-folder/out", "from inside");
    DOCKER.fails(
        "docker run --rm -v $ROOM/shared-folder:/mnt:ro busybox touch /mnt/in",
        1,
        &["Read-only file system"],
    );
}

#[test]
fn a_single_file_of_the_host() {
    DOCKER.output("echo a file > $ROOM/single");
    DOCKER.prints("docker run --rm -v $ROOM/single:/etc/single:ro busybox cat /etc/single", "a file");
}

#[test]
fn volumes_from_another_container() {
    let first = asleep("volumes-from", "-v /data");
    DOCKER.output(&format!("docker exec {first} sh -c 'echo shared > /data/file'"));
    DOCKER.prints(&format!("docker run --rm --volumes-from {first} busybox cat /data/file"), "shared");
    DOCKER.fails(
        &format!("docker run --rm --volumes-from {first}:ro busybox touch /data/file"),
        1,
        &["Read-only file system"],
    );
}

#[test]
fn mount_flag_with_bind_and_tmpfs() {
    DOCKER.output("mkdir -p $ROOM/mount-flag && echo x > $ROOM/mount-flag/file");
    DOCKER.prints("docker run --rm --mount type=bind,src=$ROOM/mount-flag,dst=/deep/er,readonly busybox cat /deep/er/file", "x");
    DOCKER.prints(
        "docker run --rm --mount type=tmpfs,dst=/scratch,tmpfs-size=1m,tmpfs-mode=700 busybox sh -c 'stat -c %a /scratch; df -k /scratch | tail -n 1 | tr -s \" \" | cut -d\" \" -f2'",
        "700\n1024",
    );
}

#[test]
fn a_missing_source_is_an_error_that_names_it() {
    let said = DOCKER.sh("docker run --rm --mount type=bind,src=/no/such/source,dst=/mnt busybox true");
    assert!(said.code == 125 && said.stderr.contains("/no/such/source"), "{said}");
}

#[test]
fn a_mount_on_the_host_comes_into_a_slave_and_not_into_a_private_bind() {
    DOCKER.output("mkdir -p $ROOM/propagates && mount -t tmpfs tmpfs $ROOM/propagates && mount --make-shared $ROOM/propagates && mkdir $ROOM/propagates/later");
    let slave = asleep("volumes-slave", "-v $ROOM/propagates:/mnt:rslave");
    let private = asleep("volumes-private", "-v $ROOM/propagates:/mnt:rprivate");
    DOCKER.output("mount -t tmpfs tmpfs $ROOM/propagates/later && echo new > $ROOM/propagates/later/file");
    DOCKER.prints(&format!("docker exec {slave} cat /mnt/later/file"), "new");
    DOCKER.fails(&format!("docker exec {private} cat /mnt/later/file"), 1, &["No such file"]);
    DOCKER.output("umount $ROOM/propagates/later");
    drop((slave, private));
    DOCKER.output("umount $ROOM/propagates");
}

#[test]
fn a_mount_below_another_and_over_a_link() {
    DOCKER.output("mkdir -p $ROOM/outer/inner $ROOM/other && echo o > $ROOM/other/file");
    DOCKER.prints(
        "docker run --rm -v $ROOM/other:/mnt/inner -v $ROOM/outer:/mnt busybox cat /mnt/inner/file",
        "o",
    );
    // /bin/cat is a link to busybox: the link is followed inside the image.
    DOCKER.prints("docker run --rm -v $ROOM/other/file:/www/index.html busybox cat /www/index.html", "o");
}
