//! `podman run`: the command, its surroundings, its limits and its end.

use crate::{PODMAN, asleep};

#[test]
fn run_attached_shows_both_outputs_and_the_exit_code() {
    let said = PODMAN.sh("podman run --rm busybox sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (7, "out\n", "err\n"), "{said}");
}

#[test]
fn run_detached_and_logs() {
    let name = PODMAN.named("run-detached");
    PODMAN.output(&format!("podman run -d --name {name} busybox echo later"));
    PODMAN.prints(&format!("podman wait {name}"), "0");
    PODMAN.prints(&format!("podman logs {name}"), "later");
}

#[test]
fn a_terminal_answers_follows_the_window_and_passes_the_exit_code() {
    let mut shell = PODMAN.terminal("podman run -it --rm busybox sh", 40, 120);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo begin''s\r");
    shell.sees("begins");
    shell.resize(50, 132);
    shell.types("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.1; done; echo resi''zed\r");
    shell.sees("resized");
    shell.types("exit 5\r");
    assert_eq!(shell.ends(), 5);
}

#[test]
fn a_missing_command_is_127_and_one_that_may_not_be_executed_126() {
    PODMAN.fails(
        "podman run --rm busybox nosuchbinary",
        127,
        &["nosuchbinary", "executable file not found in $PATH"],
    );
    PODMAN.fails("podman run --rm busybox /no/such/binary", 127, &["no such file or directory"]);
    PODMAN.fails("podman run --rm busybox /not-executable", 126, &["permission denied"]);
}

#[test]
fn user_directory_environment_and_host_name() {
    PODMAN.prints(
        "podman run --rm -u app -w /www -e COLOUR=red -h mast busybox sh -c 'id -u; pwd; echo $COLOUR; hostname'",
        "1000\n/www\nred\nmast",
    );
}

#[test]
fn limits_of_memory_and_processes() {
    PODMAN.prints(
        "podman run --rm -m 64m busybox sh -c 'cd /sys/fs/cgroup; cat memory.max 2>/dev/null || cat memory/memory.limit_in_bytes'",
        "67108864",
    );
    PODMAN.prints(
        "podman run --rm --pids-limit 9 busybox sh -c 'cd /sys/fs/cgroup; cat pids.max 2>/dev/null || cat pids/pids.max'",
        "9",
    );
}

#[test]
fn capabilities_seccomp_and_read_only() {
    PODMAN.prints(
        "podman run --rm --cap-drop all --cap-add CHOWN busybox grep CapEff /proc/self/status",
        "CapEff:\t0000000000000001",
    );
    PODMAN.prints("podman run --rm busybox grep Seccomp: /proc/self/status", "Seccomp:\t2");
    PODMAN.prints(
        "podman run --rm --security-opt seccomp=unconfined --security-opt no-new-privileges busybox grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status",
        "NoNewPrivs:\t1\nSeccomp:\t0",
    );
    PODMAN.fails("podman run --rm --read-only busybox touch /file", 1, &["Read-only file system"]);
}

#[test]
fn privileged_runs() {
    if integration::stand_in_lacks("fails where the host itself lacks a capability") {
        return;
    }
    PODMAN.prints(
        "podman run --rm --privileged busybox sh -c 'mount -t tmpfs x /tmp && echo mounted'",
        "mounted",
    );
}

#[test]
fn volumes_of_the_host_and_named() {
    PODMAN.output("mkdir -p $ROOM/shared-folder && echo from host > $ROOM/shared-folder/in");
    PODMAN.prints("podman run --rm -v $ROOM/shared-folder:/mnt busybox cat /mnt/in", "from host");
    PODMAN.fails(
        "podman run --rm -v $ROOM/shared-folder:/mnt:ro busybox touch /mnt/in",
        1,
        &["Read-only file system"],
    );
    PODMAN.output("podman run --rm -v kept:/data busybox sh -c 'echo one > /data/file'");
    PODMAN.output("podman run --rm -v kept:/data busybox grep -qx one /data/file");
    PODMAN.output("podman volume rm kept");
}

#[test]
fn networks_none_host_and_bridge() {
    PODMAN.prints("podman run --rm --net none busybox ls /sys/class/net", "lo");
    PODMAN.prints(
        "podman run --rm --net host busybox readlink /proc/self/ns/net",
        &PODMAN.output("readlink /proc/self/ns/net"),
    );
    let web = PODMAN.named("run-web");
    PODMAN.output(&format!("podman run -d --name {web} -p 18081:80 busybox httpd -f -p 80 -h /www"));
    if PODMAN.translates_addresses() {
        PODMAN.comes_to("busybox wget -qO- http://127.0.0.1:18081/", "a page");
    } else {
        integration::skip("no address translation, which publishes ports");
    }
    let address = PODMAN.output(&format!("podman inspect -f '{{{{.NetworkSettings.IPAddress}}}}' {web}"));
    PODMAN.prints(&format!("podman run --rm busybox wget -qO- http://{address}/"), "a page");
}

#[test]
fn a_user_namespace_maps_its_root_to_somebody_else() {
    PODMAN.prints("podman run --rm --uidmap 0:100000:2000 --gidmap 0:100000:2000 busybox sh -c 'id -u; cat /proc/self/uid_map | tr -s \" \"'", "0\n 0 100000 2000");
    let name = asleep("run-userns", "--uidmap 0:100000:2000 --gidmap 0:100000:2000");
    let pid = PODMAN.output(&format!("podman inspect -f '{{{{.State.Pid}}}}' {name}"));
    PODMAN.prints(&format!("stat -c %u /proc/{pid}"), "100000");
}

#[test]
fn an_init_of_podman_is_the_first_process() {
    PODMAN.prints("podman run --rm --init busybox cat /proc/1/comm", "podman-init");
}

#[test]
fn descriptors_of_the_caller_are_passed_on_request() {
    PODMAN.prints(
        "podman run --rm --preserve-fds 1 busybox sh -c 'cat <&3' 3< /etc/debian_version",
        &PODMAN.output("cat /etc/debian_version"),
    );
}

#[test]
fn info_shows_the_runtime() {
    PODMAN.prints("podman info -f '{{.Host.OCIRuntime.Path}}'", &PODMAN.output("echo $PINNACE"));
    let version = PODMAN.output("podman info -f '{{.Host.OCIRuntime.Version}}'");
    assert!(version.contains(" version "), "{version}");
}

#[test]
fn a_build_runs_its_steps() {
    let file = "FROM localhost/busybox\nRUN echo built > /built\nCMD cat /built";
    PODMAN.output(&format!(
        "mkdir -p $ROOM/built && printf '{}' > $ROOM/built/Dockerfile",
        file.replace('\n', "\\n")
    ));
    PODMAN.output("podman build --runtime $PINNACE -t built $ROOM/built");
    PODMAN.prints("podman run --rm built", "built");
}
