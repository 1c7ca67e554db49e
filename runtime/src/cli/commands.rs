//! The tables of the command line: every command and flag once. Parsing, help, completion and the manual page are all
//! read from here. Only data.

use super::grammar::{Command, Flag, Grammar, Kind, Operands};
use super::{
    checkpoint, completion, create, criu_flags, delete, events, exec, features, freeze, help, kill, list,
    manual, ps, restore, spec, start, state, update,
};

pub(super) const fn flag(
    name: &'static str,
    short: &'static str,
    kind: Kind,
    value: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, short, kind, value, help }
}

pub(super) const fn switch(name: &'static str, short: &'static str, help: &'static str) -> Flag {
    flag(name, short, Kind::Switch, "", help)
}

pub(super) const fn text(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    flag(name, "", Kind::Text, value, help)
}

pub(super) const BUNDLE: Flag =
    flag("bundle", "b", Kind::Text, "DIR", "the bundle's directory (default: the current one)");
const CONFIG: Flag = flag("config", "f", Kind::Text, "FILE", "config.json to use instead of the bundle's");
pub(super) const CONSOLE_SOCKET: Flag = text(
    "console-socket",
    "PATH",
    "unix socket that is sent the terminal's master (needs a terminal and no relay)",
);
const PIDFD_SOCKET: Flag =
    text("pidfd-socket", "PATH", "unix socket that is sent a pidfd of the new process");
pub(super) const PID_FILE: Flag = text("pid-file", "PATH", "file to write the new process' id to");
pub(super) const NO_PIVOT: Flag =
    switch("no-pivot", "", "move the root mount instead of pivot_root(2), for a root on a ramdisk");
const NO_NEW_KEYRING: Flag = switch("no-new-keyring", "", "keep the caller's session keyring");
const PRESERVE_FDS: Flag =
    flag("preserve-fds", "", Kind::Number, "N", "hand on N more descriptors, behind stdio and $LISTEN_FDS");
pub(super) const DETACH: Flag = switch("detach", "d", "return once the process runs");
const FORMAT: Flag = flag("format", "f", Kind::Text, "table|json", "how to print (default: table)");

/// Everything that can be said to the program.
pub(crate) static GRAMMAR: Grammar = Grammar { global: &GLOBAL, commands: &COMMANDS };

static GLOBAL: [Flag; 9] = [
    switch("debug", "", "log more"),
    text("log", "PATH", "file to append the log to (default: standard error)"),
    text("log-format", "text|json", "how to write the log (default: text)"),
    text(
        "root",
        "DIR",
        "directory of the containers' state (default: /run/pinnace, or $XDG_RUNTIME_DIR/pinnace)",
    ),
    switch("systemd-cgroup", "", "let systemd make the cgroups; cgroupsPath is then slice:prefix:name"),
    text("rootless", "true|false|auto", "go on without the right to cgroups (default: auto)"),
    text(
        "cgroup-manager",
        "NAME",
        "who makes the cgroups: cgroupfs, systemd, or disabled, to stay in the caller's",
    ),
    text("trace", "FILE", "file to write a timeline of the call to, for Perfetto"),
    text("criu", "PATH", "the CRIU that checkpoint and restore use (default: criu, in $PATH)"),
];

const ONE: Operands = Operands::exactly(1);

/// A command with one operand, the id, and nothing else to say.
const fn plain(
    name: &'static str,
    about: &'static str,
    details: &'static str,
    flags: &'static [Flag],
    verb: super::Verb,
) -> Command {
    Command {
        name,
        about,
        usage: "<container-id>",
        details,
        flags,
        operands: ONE,
        rest_is_foreign: false,
        enters: false,
        failure: 1,
        verb,
    }
}

static COMMANDS: [Command; 20] = [
    plain(
        "checkpoint",
        "write a running container to files, and end it",
        "CRIU (man 8 criu) writes processes, memory and open files, from which \"restore\" makes the container anew, here\n\
         or on another host that has the same root file system. CRIU must be installed.",
        &criu_flags::CHECKPOINT,
        checkpoint::checkpoint,
    ),
    Command {
        enters: true,
        ..plain(
            "create",
            "create a container and stop before its process",
            "Sets everything up as the bundle's config.json says. The process waits until \"start\".",
            &[BUNDLE, CONFIG, CONSOLE_SOCKET, PIDFD_SOCKET, PID_FILE, NO_PIVOT, NO_NEW_KEYRING, PRESERVE_FDS],
            create::create,
        )
    },
    plain(
        "delete",
        "remove a container and all that it holds",
        "A container that runs is only removed with --force. With --force it is no error if there is none.",
        &[switch("force", "f", "kill what runs first")],
        delete::delete,
    ),
    plain(
        "events",
        "print resource usage and out-of-memory events",
        "One JSON object a line: usage at each interval, and every kill for lack of memory.",
        &[
            flag(
                "interval",
                "",
                Kind::Duration,
                "TIME",
                "time between two readings, such as 500ms or 1m (default: 5s)",
            ),
            switch("stats", "", "print the usage once and exit"),
        ],
        events::events,
    ),
    Command {
        name: "exec",
        about: "run another process in a container",
        usage: "<container-id> <command> [arguments...]  or  --process FILE <container-id>",
        details: "Flags come before the id: what follows it is the command. What no flag says is taken from the\n\
                  container's config.json. The exit status is the process', and 255 when it could not be run.",
        flags: &EXEC,
        operands: Operands::at_least(1),
        rest_is_foreign: true,
        enters: true,
        failure: 255,
        verb: exec::exec,
    },
    Command {
        usage: "<container-id> [signal]",
        operands: Operands { min: 1, max: 2 },
        rest_is_foreign: true,
        ..plain(
            "kill",
            "send a signal to a container's init",
            "The signal is a name in any case, with or without SIG (TERM, sigkill, RTMIN+3), or a number. It is\n\
             SIGTERM when none is given. SIGKILL reaches every process of the container.",
            &[switch("all", "a", "")],
            kill::kill,
        )
    },
    Command {
        usage: "",
        operands: Operands::exactly(0),
        ..plain(
            "list",
            "list the containers under --root",
            "",
            &[FORMAT, switch("quiet", "q", "print the ids alone")],
            list::list,
        )
    },
    plain("pause", "suspend all processes of a container", "", &[], freeze::pause),
    Command {
        usage: "<container-id> [ps arguments...]",
        operands: Operands::at_least(1),
        rest_is_foreign: true,
        ..plain(
            "ps",
            "show the processes of a container",
            "The table is that of ps(1) with the arguments given (default: -ef), less the rows of other processes.",
            &[FORMAT],
            ps::ps,
        )
    },
    plain("resume", "let the processes of a paused container go on", "", &[], freeze::resume),
    plain(
        "restore",
        "make a container from what checkpoint has written",
        "The bundle must be as it was: its config.json says what is mounted and limited. Without --detach the exit\n\
         status is the process' own, and the container is deleted when it ends.",
        &criu_flags::RESTORE,
        restore::restore,
    ),
    Command {
        usage: "<container-id> | <bundle>/",
        enters: true,
        ..plain(
            "run",
            "create a container, start it, and wait for it",
            "Without --detach the exit status is the process' own, or 128 and the signal that killed it, and the\n\
             container is deleted when it ends.\n\n\
             An argument with a slash can't be an id. It is taken as the path of a bundle, and the container gets a\n\
             name made of the directory's name and a process id, which --detach and --keep print: \"run ./web/\" is\n\
             all it takes to try a bundle.",
            &RUN,
            create::run,
        )
    },
    Command {
        usage: "",
        operands: Operands::exactly(0),
        ..plain(
            "spec",
            "write a config.json to start from",
            "It runs \"sh\" in the directory rootfs of the bundle. A config.json that is there already is left alone.",
            &[BUNDLE, switch("rootless", "", "for a caller without privileges: map it to root inside")],
            spec::spec,
        )
    },
    plain("start", "start the process of a created container", "", &[], start::start),
    plain("state", "print the state of a container as JSON", "", &[], state::state),
    plain(
        "update",
        "change the resource limits of a container",
        "SIZE is a number of bytes or one with a unit (512k, 100M, 1.5g); -1 means no limit.",
        &UPDATE,
        update::update,
    ),
    Command {
        usage: "",
        operands: Operands::exactly(0),
        ..plain(
            "features",
            "print as JSON what this runtime can do",
            "The form is that of the runtime-spec, features.md.",
            &[],
            features::features,
        )
    },
    Command {
        usage: "[command]",
        operands: Operands { min: 0, max: 1 },
        ..plain("help", "show the help of the program or of a command", "", &[], help::help)
    },
    Command { usage: "bash", ..plain("completion", "", "", &[], completion::bash) },
    Command { usage: "", operands: Operands::exactly(0), ..plain("manual", "", "", &[], manual::page) },
];

static RUN: [Flag; 11] = [
    BUNDLE,
    CONFIG,
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    DETACH,
    switch("keep", "", "do not delete the container when it ends"),
    PID_FILE,
    switch("no-subreaper", "", "leave orphans of the container to the next subreaper"),
    NO_PIVOT,
    NO_NEW_KEYRING,
    PRESERVE_FDS,
];

static EXEC: [Flag; 17] = [
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    text("cwd", "DIR", "working directory in the container"),
    flag("env", "e", Kind::Texts, "NAME=VALUE", "add to the environment; may be repeated"),
    switch("tty", "t", "give the process a terminal"),
    flag("user", "u", Kind::Text, "UID[:GID]", "run as these ids, as seen in the container"),
    flag("additional-gids", "g", Kind::Numbers, "GID", "add a supplementary group; may be repeated"),
    flag("process", "p", Kind::Text, "FILE", "take the process from this JSON file, an OCI process object"),
    DETACH,
    PID_FILE,
    text("process-label", "LABEL", "SELinux label of the process"),
    text("apparmor", "PROFILE", "AppArmor profile of the process"),
    switch("no-new-privs", "", "forbid gaining privileges by execve(2)"),
    flag("cap", "c", Kind::Texts, "CAP", "add a capability; may be repeated"),
    PRESERVE_FDS,
    flag(
        "cgroup",
        "",
        Kind::Texts,
        "[CTRL[,CTRL]:]PATH",
        "run in this cgroup below the container's; may be repeated",
    ),
    switch("ignore-paused", "", "go ahead in a paused container: the process starts when it is resumed"),
];

static UPDATE: [Flag; 19] = [
    flag("resources", "r", Kind::Text, "FILE|-", "read an OCI resources object, and ignore the flags below"),
    flag("blkio-weight", "", Kind::Number, "N", "share of block I/O, 10 to 1000"),
    text("cpu-period", "USECS", "length of a CPU quota's period; 0 for the system's default"),
    text("cpu-quota", "USECS", "CPU time in a period; -1 for no limit"),
    text("cpu-burst", "USECS", "unused CPU time that may be saved up"),
    text("cpu-share", "N", "share of CPU time against other containers, 2 to 262144"),
    text("cpu-rt-period", "USECS", "length of the realtime period; 0 for the system's default"),
    text("cpu-rt-runtime", "USECS", "realtime CPU time in a period"),
    text("cpuset-cpus", "LIST", "CPUs to run on, such as 0-2,7"),
    text("cpuset-mems", "LIST", "memory nodes to use"),
    text("kernel-memory", "SIZE", ""),
    text("kernel-memory-tcp", "SIZE", ""),
    text("memory", "SIZE", "memory limit"),
    text("cpu-idle", "0|1", "1: run only when nobody else wants the CPU"),
    text("memory-reservation", "SIZE", "memory below which nothing is reclaimed while others can give"),
    text("memory-swap", "SIZE", "limit of memory and swap together"),
    flag("pids-limit", "", Kind::Number, "N", "limit of processes and threads; -1 for none"),
    text("l3-cache-schema", "SCHEMA", "L3 cache lines of Intel RDT"),
    text("mem-bw-schema", "SCHEMA", "memory bandwidth lines of Intel RDT"),
];
