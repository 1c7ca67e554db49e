//! `ctr task`: exec, metrics, pause, signals, listing, removal.

use crate::{CTR, asleep};

#[test]
fn exec_shows_its_output_and_passes_the_exit_code() {
    let name = asleep("task-exec", "");
    let said = CTR.sh(&format!("ctr task exec --exec-id one {name} sh -c 'echo out; echo err >&2; exit 42'"));
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (42, "out\n", "err\n"), "{said}");
    CTR.prints(
        &format!("ctr task exec --exec-id two --cwd /tmp --user 1000 {name} sh -c 'id -u; pwd'"),
        "1000\n/tmp",
    );
}

#[test]
fn exec_of_a_missing_command_says_so() {
    let name = asleep("task-missing", "");
    let said = CTR.sh(&format!("ctr task exec --exec-id one {name} nosuchbinary"));
    assert!(said.code != 0 && said.stderr.contains("executable file not found in $PATH"), "{said}");
}

#[test]
fn exec_with_a_terminal() {
    let name = asleep("task-terminal", "");
    let mut shell = CTR.terminal(&format!("ctr task exec -t --exec-id one {name} sh"), 33, 99);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '33 99' ]; do sleep 0.1; done; echo siz''ed\r");
    shell.sees("sized");
    shell.types("exit 9\r");
    assert_eq!(shell.ends(), 9);
}

#[test]
fn the_list_shows_pid_and_status_through_pause_and_resume() {
    let name = asleep("task-pause", "");
    let see = format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3");
    CTR.prints(&see, "RUNNING");
    CTR.output(&format!("ctr task pause {name}"));
    CTR.prints(&see, "PAUSED");
    CTR.output(&format!("ctr task resume {name}"));
    CTR.prints(&see, "RUNNING");
    let pid = CTR.output(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f2"));
    CTR.prints(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"), "sleep 600");
    CTR.prints(&format!("ctr task ps {name} | tail -n +2 | cut -d' ' -f1"), &pid);
}

#[test]
fn metrics_show_memory_and_processes() {
    let name = asleep("task-metrics", "--memory-limit 67108864");
    let metrics = CTR.output(&format!("ctr task metrics --format json {name}"));
    assert!(metrics.contains("67108864"), "{metrics}");
}

#[test]
fn kill_ends_the_task_and_rm_removes_it() {
    let name = asleep("task-kill", "");
    let see = format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3");
    CTR.output(&format!("ctr task kill -s KILL {name}"));
    CTR.comes_to(&see, "STOPPED");
    CTR.output(&format!("ctr task rm {name}; ctr container rm {name}"));
    CTR.prints(&format!("ctr container ls -q | grep -x {name} || true"), "");
    let cgroup = CTR.room().cgroup();
    CTR.comes_to(&format!("find /sys/fs/cgroup -path '*{cgroup}/{name}'"), "");
}

#[test]
fn a_task_is_killed_with_all_its_processes() {
    let name = asleep("task-all", "");
    CTR.output(&format!("ctr task exec -d --exec-id one {name} sleep 8642"));
    CTR.comes_to("ps -eo args | grep -cx 'sleep 8642'", "1");
    CTR.output(&format!("ctr task rm --force {name}"));
    CTR.comes_to("ps -eo args | grep -cx 'sleep 8642' || true", "0");
}
