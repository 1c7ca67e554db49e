//! What a container may do: capabilities, devices, seccomp, read-only places.

use integration::stand_in_lacks;

use crate::{DOCKER, asleep};

/// The effective capabilities of a command, as a number.
#[track_caller]
fn capabilities(flags: &str) -> u64 {
    let text = DOCKER.output(&format!("docker run --rm {flags} busybox grep CapEff /proc/self/status"));
    u64::from_str_radix(text.trim_start_matches("CapEff:").trim(), 16).expect("a hexadecimal number")
}

const CHOWN: u64 = 1 << 0;
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;

#[test]
fn capabilities_of_dockers_default_and_of_the_flags() {
    assert_eq!(capabilities(""), 0xa804_25fb);
    assert_eq!(capabilities("--cap-add NET_ADMIN") & NET_ADMIN, NET_ADMIN);
    assert_eq!(capabilities("--cap-drop CHOWN") & CHOWN, 0);
    assert_eq!(capabilities("--cap-drop ALL"), 0);
    assert_eq!(capabilities("--cap-drop ALL --cap-add CHOWN"), CHOWN);
    assert_eq!(capabilities("-u app"), 0);
}

#[test]
fn a_dropped_capability_is_missed() {
    DOCKER.prints("docker run --rm busybox chown 1000 /www", "");
    DOCKER.fails("docker run --rm --cap-drop CHOWN busybox chown 1000 /www", 1, &["Operation not permitted"]);
    DOCKER.fails("docker run --rm busybox mount -t tmpfs x /tmp", 1, &["ermission denied"]);
    DOCKER.prints("docker run --rm --cap-add SYS_ADMIN busybox mount -t tmpfs x /tmp", "");
}

#[test]
fn all_capabilities_are_those_that_the_host_has() {
    if stand_in_lacks("fails where the host itself lacks one of them") {
        return;
    }
    let host = DOCKER.output("grep CapBnd /proc/self/status");
    let host =
        u64::from_str_radix(host.trim_start_matches("CapBnd:").trim(), 16).expect("a hexadecimal number");
    let all = capabilities("--cap-add ALL");
    assert_eq!(all & !host, 0, "{all:x} {host:x}");
    // Docker 20 does not know the three newest.
    let known = (1 << 38) - 1;
    assert_eq!(all & known, host & known, "{all:x} {host:x}");
}

#[test]
fn privileged_runs_and_may_nearly_everything() {
    if stand_in_lacks("fails where the host itself lacks a capability") {
        return;
    }
    assert_eq!(capabilities("--privileged") & SYS_ADMIN, SYS_ADMIN);
    DOCKER.prints("docker run --rm --privileged busybox sh -c 'mount -t tmpfs x /mnt 2>/dev/null || mount -t tmpfs x /tmp; echo $?'", "0");
    DOCKER.prints("docker run --rm --privileged busybox grep Seccomp: /proc/self/status", "Seccomp:\t0");
    DOCKER.prints("docker run --rm --privileged busybox sh -c 'test -c /dev/kmsg && echo there'", "there");
    DOCKER.prints(
        "docker run --rm --privileged busybox sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward && echo written'",
        "written",
    );
}

#[test]
fn devices_of_the_flag_with_their_permissions() {
    DOCKER.prints("docker run --rm --device /dev/zero:/dev/nil busybox head -c 3 /dev/nil | wc -c", "3");
    DOCKER.fails(
        "docker run --rm --device /dev/kmsg:/dev/kmsg:r busybox sh -c 'echo x > /dev/kmsg'",
        1,
        &["Operation not permitted"],
    );
}

#[test]
fn devices_that_nobody_gave_are_closed() {
    DOCKER.prints(
        "docker run --rm busybox ls /dev | grep -vx core",
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero",
    );
    let open = "docker run --rm busybox sh -c 'mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg'";
    DOCKER.fails(open, 1, &["Operation not permitted"]);
    DOCKER
        .prints("docker run --rm busybox sh -c 'mknod /tmp/zero c 1 5 && head -c 2 /tmp/zero | wc -c'", "2");
}

#[test]
fn read_only_root_with_a_tmpfs_to_write_to() {
    DOCKER.fails("docker run --rm --read-only busybox touch /file", 1, &["Read-only file system"]);
    DOCKER.prints(
        "docker run --rm --read-only --tmpfs /tmp busybox sh -c 'echo x > /tmp/file && cat /tmp/file'",
        "x",
    );
    DOCKER.prints(
        "docker run --rm --tmpfs /scratch:size=1m,mode=1700,noexec busybox sh -c 'stat -c %a /scratch; grep /scratch /proc/mounts | grep -c noexec'",
        "1700\n1",
    );
}

#[test]
fn seccomp_of_docker_of_a_file_and_none() {
    DOCKER.prints("docker run --rm busybox grep Seccomp: /proc/self/status", "Seccomp:\t2");
    DOCKER.prints(
        "docker run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status",
        "Seccomp:\t0",
    );
    DOCKER.output(
        "echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}' > $ROOM/no-mkdir.json",
    );
    DOCKER.fails(
        "docker run --rm --security-opt seccomp=$ROOM/no-mkdir.json busybox mkdir /made",
        1,
        &["No space left on device"],
    );
    DOCKER.prints("docker run --rm --security-opt seccomp=$ROOM/no-mkdir.json busybox echo fine", "fine");
}

#[test]
fn dockers_seccomp_profile_refuses_what_it_should() {
    // unshare(2) needs CAP_SYS_ADMIN in Docker's profile.
    DOCKER.fails("docker run --rm busybox unshare -m true", 1, &["Operation not permitted"]);
    DOCKER.prints("docker run --rm --cap-add SYS_ADMIN busybox unshare -m echo allowed", "allowed");
}

#[test]
fn a_seccomp_profile_that_kills_ends_with_its_signal() {
    DOCKER.output(
        "echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}' > $ROOM/killed-by-mkdir.json",
    );
    assert_eq!(
        DOCKER
            .sh("docker run --rm --security-opt seccomp=$ROOM/killed-by-mkdir.json busybox mkdir /made")
            .code,
        159
    );
}

#[test]
fn no_new_privileges() {
    DOCKER.prints("docker run --rm busybox grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0");
    DOCKER.prints(
        "docker run --rm --security-opt no-new-privileges -u app busybox grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status",
        "NoNewPrivs:\t1\nSeccomp:\t2",
    );
}

#[test]
fn masked_and_read_only_places_of_proc_and_sys() {
    DOCKER
        .prints("docker run --rm busybox sh -c 'cat /proc/kcore | wc -c; ls /sys/firmware | wc -l'", "0\n0");
    DOCKER.fails(
        "docker run --rm busybox sh -c 'echo 1 > /proc/sys/kernel/panic'",
        1,
        &["Read-only file system"],
    );
    DOCKER.fails(
        "docker run --rm busybox sh -c 'cd /sys/fs/cgroup; cd memory 2>/dev/null; mkdir x'",
        1,
        &["Read-only file system"],
    );
}

#[test]
fn an_exec_is_as_confined_as_the_container() {
    let name = asleep("security-exec", "--cap-drop ALL --security-opt no-new-privileges");
    let see = |pid: &str| {
        DOCKER.output(&format!(
            "docker exec {name} grep -E '^(Cap(Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/{pid}/status"
        ))
    };
    assert_eq!(see("self"), see("1"));
}
