//! `docker run`: which command runs, with what surroundings, and how its end is told.

use crate::DOCKER;

#[test]
fn run_attached_shows_both_outputs_and_the_exit_code() {
    let said = DOCKER.sh("docker run --rm busybox sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (7, "out\n", "err\n"), "{said}");
}

#[test]
fn run_without_a_command_runs_that_of_the_image() {
    DOCKER.prints("echo 'echo from stdin' | docker run -i --rm busybox", "from stdin");
}

#[test]
fn run_detached_prints_the_id_and_logs_what_it_said() {
    let name = DOCKER.named("detached");
    let id = DOCKER.output(&format!("docker run -d --name {name} busybox echo later"));
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    DOCKER.prints(&format!("docker wait {name}"), "0");
    DOCKER.prints(&format!("docker logs {name}"), "later");
}

#[test]
fn run_rm_leaves_no_container() {
    DOCKER.prints("docker run --rm --name gone busybox echo here", "here");
    DOCKER.comes_to("docker ps -aq --filter name=^gone$", "");
}

#[test]
fn create_and_start_attached() {
    let name = DOCKER.named("created");
    DOCKER.output(&format!("docker create --name {name} busybox sh -c 'echo started; exit 3'"));
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "created");
    let said = DOCKER.sh(&format!("docker start -a {name}"));
    assert_eq!((said.code, said.stdout.as_str()), (3, "started\n"), "{said}");
    // The same container a second time.
    assert_eq!(DOCKER.sh(&format!("docker start -a {name}")).code, 3);
}

#[test]
fn exit_codes_are_those_of_the_command() {
    for code in [0, 1, 42, 255] {
        assert_eq!(DOCKER.sh(&format!("docker run --rm busybox sh -c 'exit {code}'")).code, code);
    }
}

#[test]
fn a_command_killed_by_a_signal_ends_with_128_and_its_number() {
    assert_eq!(DOCKER.sh("docker run --rm busybox sh -c 'sh -c \"kill -SEGV \\$\\$\"; exit $?'").code, 139);
}

#[test]
fn a_missing_command_is_127_and_says_so() {
    DOCKER.fails(
        "docker run --rm busybox nosuchbinary",
        127,
        &["nosuchbinary", "executable file not found in $PATH"],
    );
    DOCKER.fails(
        "docker run --rm busybox /no/such/binary",
        127,
        &["/no/such/binary", "no such file or directory"],
    );
}

#[test]
fn a_command_that_may_not_be_executed_is_126_and_says_so() {
    DOCKER.fails("docker run --rm busybox /not-executable", 126, &["/not-executable", "permission denied"]);
    DOCKER.fails("docker run --rm busybox /etc", 126, &["/etc"]);
}

#[test]
fn a_command_of_no_known_format_is_told_as_such() {
    let said = DOCKER.sh("docker run --rm busybox /wrong-format");
    assert!(said.code != 0, "{said}");
    assert!(said.stderr.contains("exec format error"), "{said}");
}

#[test]
fn environment_of_the_flags_and_of_docker() {
    DOCKER.prints(
        "docker run --rm -e GREETING='hello world' -e EMPTY= busybox sh -c 'echo $GREETING,$EMPTY,'",
        "hello world,,",
    );
    DOCKER.prints(
        "docker run --rm busybox sh -c 'echo $PATH'",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    DOCKER.prints("docker run --rm busybox sh -c 'echo $HOME'", "/root");
    DOCKER.prints("docker run --rm -u app busybox sh -c 'echo $HOME'", "/home/app");
}

#[test]
fn working_directory_is_made_where_it_is_missing() {
    DOCKER.prints("docker run --rm -w /www busybox pwd", "/www");
    DOCKER.prints("docker run --rm -w /brand/new busybox pwd", "/brand/new");
}

#[test]
fn user_by_name_by_number_and_with_groups() {
    DOCKER.prints("docker run --rm busybox id -u", "0");
    DOCKER.prints("docker run --rm -u app busybox sh -c 'id -u; id -g; id -G'", "1000\n1000\n1000 2000");
    DOCKER.prints("docker run --rm -u 1234:4321 busybox sh -c 'id -u; id -g; id -G'", "1234\n4321\n4321");
    DOCKER.prints("docker run --rm -u 1234 --group-add 77 busybox sh -c 'id -u; id -G'", "1234\n0 77");
}

#[test]
fn hostname_and_domain_name() {
    DOCKER.prints("docker run --rm -h mast busybox hostname", "mast");
    DOCKER.prints("docker run --rm -h mast busybox cat /proc/sys/kernel/hostname", "mast");
    DOCKER.prints(
        "docker run --rm --domainname example.org busybox cat /proc/sys/kernel/domainname",
        "example.org",
    );
}

#[test]
fn entrypoint_of_the_flag() {
    DOCKER.prints("docker run --rm --entrypoint echo busybox a b", "a b");
}

#[test]
fn init_is_the_first_process_and_reaps() {
    let script = "cat /proc/1/comm; sh -c \"sleep 0.1 &\"; sleep 0.5; set -- /proc/[0-9]*; echo $#";
    // docker-init and sh; the sleep that lost its parent is gone.
    DOCKER.prints(&format!("docker run --rm --init busybox sh -c '{script}'"), "docker-init\n2");
}

#[test]
fn standard_input_reaches_the_command_and_its_end_too() {
    DOCKER.prints("seq 1 20000 | docker run -i --rm busybox wc -l", "20000");
    DOCKER.prints("docker run --rm busybox cat", "");
}

#[test]
fn much_output_arrives_whole() {
    DOCKER.prints("docker run --rm busybox sh -c 'seq 1 100000' | tail -n 1", "100000");
    DOCKER.prints("docker run --rm busybox head -c 5000000 /dev/zero | wc -c", "5000000");
}

#[test]
fn the_command_has_only_the_three_standard_descriptors() {
    DOCKER.prints("docker run --rm busybox sh -c 'for n in $(seq 0 40); do [ -e /proc/self/fd/$n ] && echo $n; done; true'", "0\n1\n2");
}

#[test]
fn the_first_process_is_the_command_in_a_session_of_its_own() {
    // Fields 1, 4, 5 and 6 of /proc/PID/stat: pid, parent, process group, session.
    DOCKER.prints("docker run --rm busybox sh -c 'cut -d\" \" -f1,4,5,6 /proc/1/stat'", "1 0 1 1");
}

#[test]
fn twenty_containers_one_after_another_leave_nothing() {
    let parent = format!("{}/twenty", DOCKER.room().cgroup());
    for number in 0..20 {
        let line = format!("docker run --rm --cgroup-parent {parent} --net none busybox echo {number}");
        DOCKER.prints(&line, &number.to_string());
    }
    DOCKER.comes_to(&format!("find /sys/fs/cgroup/*{parent} -mindepth 1 -type d | wc -l"), "0");
}

#[test]
fn eight_containers_at_once_all_say_their_own() {
    let line = "for n in 1 2 3 4 5 6 7 8; do docker run --rm busybox echo $n & done; wait";
    let said = DOCKER.output(line);
    let mut numbers: Vec<_> = said.lines().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}
