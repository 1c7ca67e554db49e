//! `docker run -it`, `exec -it` and `attach` at a real terminal, typed to as a user does.

use crate::{DOCKER, asleep};

#[test]
fn run_it_gives_a_shell_that_answers_and_passes_its_exit_code() {
    let mut shell = DOCKER.terminal("docker run -it --rm busybox sh", 24, 80);
    shell.sees("# ");
    shell.types("echo $((6 * 7))\r");
    shell.sees("42\r\n");
    shell.types("tty\r");
    shell.sees("/dev/pts/0\r\n");
    shell.types("exit 5\r");
    assert_eq!(shell.ends(), 5);
}

#[test]
fn the_terminal_has_the_size_of_the_window_and_follows_it() {
    let mut shell = DOCKER.terminal("docker run -it --rm busybox sh", 40, 120);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo begin''s\r");
    shell.sees("begins");
    shell.resize(50, 132);
    shell.types("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.1; done; echo resi''zed\r");
    shell.sees("resized");
    shell.types("exit\r");
    assert_eq!(shell.ends(), 0);
}

#[test]
fn control_c_interrupts_the_command_and_not_the_shell() {
    let mut shell = DOCKER.terminal("docker run -it --rm busybox sh", 24, 80);
    shell.sees("# ");
    // Said by a program that has the terminal: what comes before that is the shell's to take.
    shell.types("sh -c \"echo go''ing; exec sleep 600\"\r");
    shell.sees("going");
    shell.types("\x03");
    shell.sees("# ");
    shell.types("echo code $?\r");
    shell.sees("code 130");
    shell.types("exit\r");
    shell.ends();
}

#[test]
fn a_terminal_for_another_user_is_his() {
    let mut shell = DOCKER.terminal("docker run -it --rm -u app busybox sh", 24, 80);
    shell.sees("$ ");
    shell.types("echo x > /dev/tty && echo writ''able; stat -c %U $(readlink -f /proc/self/fd/0)\r");
    shell.sees("writable");
    shell.sees("app");
    shell.types("exit\r");
    assert_eq!(shell.ends(), 0);
}

#[test]
fn exec_it_gives_a_second_shell() {
    let name = asleep("terminal-exec", "");
    let mut shell = DOCKER.terminal(&format!("docker exec -it {name} sh"), 33, 99);
    shell.sees("# ");
    shell.types("until [ \"$(stty size)\" = '33 99' ]; do sleep 0.1; done; tty; echo fou''nd\r");
    let text = shell.sees("found");
    assert!(text.contains("/dev/pts/"), "{text}");
    shell.types("exit 9\r");
    assert_eq!(shell.ends(), 9);
}

#[test]
fn detaching_leaves_the_container_running_and_attach_comes_back() {
    let name = DOCKER.named("terminal-detach");
    let mut shell = DOCKER.terminal(&format!("docker run -it --name {name} busybox sh"), 24, 80);
    shell.sees("# ");
    shell.types("here=before\r");
    shell.sees("# ");
    shell.types("\x10\x11");
    assert_eq!(shell.ends(), 0);
    DOCKER.prints(&format!("docker inspect -f '{{{{.State.Status}}}}' {name}"), "running");
    let mut again = DOCKER.terminal(&format!("docker attach {name}"), 24, 80);
    again.types("echo still $here\r");
    again.sees("still before");
    again.types("exit 4\r");
    assert_eq!(again.ends(), 4);
}

#[test]
fn a_terminal_in_the_background_logs_what_it_shows() {
    let name = DOCKER.named("terminal-background");
    DOCKER.output(&format!("docker run -d -t --name {name} busybox sh -c 'test -t 1 && echo a terminal'"));
    DOCKER.prints(&format!("docker wait {name}"), "0");
    DOCKER.prints(&format!("docker logs {name}"), "a terminal");
}
