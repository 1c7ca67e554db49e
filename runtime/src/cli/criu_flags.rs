//! The flags of `checkpoint` and `restore`, which mostly are CRIU's own. Only data.

use super::commands::{BUNDLE, CONSOLE_SOCKET, DETACH, NO_PIVOT, PID_FILE, flag, switch, text};
use super::grammar::{Flag, Kind};

const IMAGE_PATH: Flag =
    text("image-path", "DIR", "directory of the images (default: checkpoint, in the current directory)");
const WORK_PATH: Flag =
    text("work-path", "DIR", "directory of CRIU's log and other files (default: that of the images)");
const TCP_ESTABLISHED: Flag = switch("tcp-established", "", "keep TCP connections that are open");
const EXT_UNIX_SK: Flag = switch("ext-unix-sk", "", "allow unix sockets whose other end is outside");
const SHELL_JOB: Flag = switch("shell-job", "", "allow processes of a session whose leader is outside");
const FILE_LOCKS: Flag = switch("file-locks", "", "keep file locks");
const LAZY_PAGES: Flag = switch("lazy-pages", "", "copy memory only when it is used (userfaultfd)");
const MANAGE_CGROUPS_MODE: Flag =
    text("manage-cgroups-mode", "soft|full|strict|ignore", "what CRIU does about cgroups (default: soft)");
const EMPTY_NS: Flag =
    flag("empty-ns", "", Kind::Texts, "network", "leave a namespace empty, as the network always is");
const AUTO_DEDUP: Flag = switch("auto-dedup", "", "free memory images of what a later one has too");

/// Flags of `checkpoint`.
pub(super) static CHECKPOINT: [Flag; 17] = [
    IMAGE_PATH,
    WORK_PATH,
    text("parent-path", "DIR", "an earlier pre-dump, relative to --image-path: only what changed is written"),
    switch("leave-running", "", "let the container go on"),
    TCP_ESTABLISHED,
    switch("tcp-skip-in-flight", "", "leave out TCP connections that are just being made"),
    switch("link-remap", "", "give unlinked files a name for the time being"),
    EXT_UNIX_SK,
    SHELL_JOB,
    LAZY_PAGES,
    flag("status-fd", "", Kind::Number, "FD", "descriptor that gets a NUL when lazy pages can be asked for"),
    text("page-server", "ADDRESS:PORT", "send memory there, or with --lazy-pages offer it there"),
    FILE_LOCKS,
    switch("pre-dump", "", "write the memory alone, and let the container go on"),
    MANAGE_CGROUPS_MODE,
    EMPTY_NS,
    AUTO_DEDUP,
];

/// Flags of `restore`.
pub(super) static RESTORE: [Flag; 18] = [
    BUNDLE,
    CONSOLE_SOCKET,
    IMAGE_PATH,
    WORK_PATH,
    DETACH,
    PID_FILE,
    switch("no-subreaper", "", "leave orphans of the container to the next subreaper"),
    NO_PIVOT,
    TCP_ESTABLISHED,
    EXT_UNIX_SK,
    SHELL_JOB,
    FILE_LOCKS,
    LAZY_PAGES,
    MANAGE_CGROUPS_MODE,
    EMPTY_NS,
    AUTO_DEDUP,
    text("lsm-profile", "TYPE:NAME", "another profile than that of the checkpoint"),
    text("lsm-mount-context", "CONTEXT", "another SELinux context of mounts"),
];
