//! What is asked of CRIU: requests and options by their numbers, as images/rpc.proto has them. Only the words; nothing
//! is sent here.

use super::message::Message;
use super::{CgroupsMode, Criu, CriuOptions};

/// A `criu_req_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its number on the wire.
    pub number: i32,
    /// What errors call it.
    pub name: &'static str,
}

/// Write a process tree to files.
pub const DUMP: Kind = Kind { number: 1, name: "dump" };
/// Make one from files.
pub const RESTORE: Kind = Kind { number: 2, name: "restore" };
/// Write the memory of one, and let it go on.
pub const PRE_DUMP: Kind = Kind { number: 4, name: "pre-dump" };
/// One of CRIU's own words, and the answer to it.
pub const NOTIFY: Kind = Kind { number: 6, name: "notification" };
/// What this CRIU and this kernel can do.
pub const FEATURE_CHECK: Kind = Kind { number: 9, name: "feature check" };
/// Which CRIU this is.
pub const VERSION: Kind = Kind { number: 10, name: "version" };

/// Numbers of fields in `criu_opts`.
#[expect(missing_docs, reason = "each is called as CRIU's command line calls it: man 8 criu")]
pub mod opt {
    pub const IMAGES_DIR_FD: u32 = 1;
    pub const PID: u32 = 2;
    pub const LEAVE_RUNNING: u32 = 3;
    pub const EXT_UNIX_SK: u32 = 4;
    pub const TCP_ESTABLISHED: u32 = 5;
    pub const EVASIVE_DEVICES: u32 = 6;
    pub const SHELL_JOB: u32 = 7;
    pub const FILE_LOCKS: u32 = 8;
    pub const LOG_LEVEL: u32 = 9;
    pub const LOG_FILE: u32 = 10;
    pub const PAGE_SERVER: u32 = 11;
    pub const NOTIFY_SCRIPTS: u32 = 12;
    pub const ROOT: u32 = 13;
    pub const PARENT_IMG: u32 = 14;
    pub const TRACK_MEM: u32 = 15;
    pub const AUTO_DEDUP: u32 = 16;
    pub const WORK_DIR_FD: u32 = 17;
    pub const LINK_REMAP: u32 = 18;
    pub const CG_ROOT: u32 = 25;
    pub const RST_SIBLING: u32 = 26;
    pub const INHERIT_FD: u32 = 27;
    pub const MANAGE_CGROUPS_MODE: u32 = 34;
    pub const EXTERNAL: u32 = 37;
    pub const EMPTY_NS: u32 = 38;
    pub const JOIN_NS: u32 = 39;
    pub const FREEZE_CGROUP: u32 = 44;
    pub const TCP_SKIP_IN_FLIGHT: u32 = 46;
    pub const LAZY_PAGES: u32 = 48;
    pub const ORPHAN_PTS_MASTER: u32 = 50;
    pub const CONFIG_FILE: u32 = 51;
    pub const LSM_PROFILE: u32 = 53;
    pub const LSM_MOUNT_CONTEXT: u32 = 63;
}

/// Something of CRIU's that depends on the kernel: its number in `criu_features`, and what it is.
pub type Feature = (u32, &'static str);

/// For `--pre-dump`.
pub const MEM_TRACK: Feature = (1, "tracking of changed memory (CONFIG_MEM_SOFT_DIRTY)");
/// For `--lazy-pages`.
pub const LAZY_PAGES: Feature = (2, "lazy pages (userfaultfd)");

/// CLONE_NEWNET: CRIU makes the network namespace and leaves it empty. Devices and addresses belong to whoever has set
/// the container up.
const NEWNET: i32 = 0x4000_0000;

/// CRIU's "debug": its log is all that one has when it fails.
const LOG_LEVEL: i32 = 4;

/// A request. With `more`, CRIU waits for another one behind it.
pub fn request(kind: Kind, options: Option<&Message>, more: bool) -> Message {
    let mut request = Message::default();
    request.number(1, kind.number);
    if let Some(options) = options {
        request.message(2, options);
    }
    request.set(4, more);
    request
}

/// The question for a feature.
pub fn feature_check((number, _): Feature) -> Message {
    let mut features = Message::default();
    features.flag(number, true);
    let mut request = request(FEATURE_CHECK, None, true);
    request.message(5, &features);
    request
}

/// The answer to a notification.
pub fn notified(success: bool) -> Message {
    let mut answer = request(NOTIFY, None, false);
    answer.flag(3, success);
    answer
}

/// The options that a dump and a restore share.
pub fn options(asked: &CriuOptions, criu: &Criu, log: &str) -> Message {
    let mut opts = Message::default();
    opts.number(opt::IMAGES_DIR_FD, criu.images);
    opts.number(opt::WORK_DIR_FD, criu.work);
    opts.number(opt::LOG_LEVEL, LOG_LEVEL);
    opts.text(opt::LOG_FILE, log);
    opts.flag(opt::NOTIFY_SCRIPTS, true);
    opts.flag(opt::ORPHAN_PTS_MASTER, true);
    opts.number(opt::EMPTY_NS, NEWNET);
    opts.number(opt::MANAGE_CGROUPS_MODE, cgroups_mode(asked.cgroups_mode));
    for (field, on) in [
        (opt::EXT_UNIX_SK, asked.ext_unix_sk),
        (opt::TCP_ESTABLISHED, asked.tcp_established),
        (opt::SHELL_JOB, asked.shell_job),
        (opt::FILE_LOCKS, asked.file_locks),
        (opt::AUTO_DEDUP, asked.auto_dedup),
        (opt::LAZY_PAGES, asked.lazy_pages),
    ] {
        opts.set(field, on);
    }
    opts
}

/// `criu_cg_mode`.
fn cgroups_mode(mode: CgroupsMode) -> i32 {
    match mode {
        CgroupsMode::Ignore => 0,
        CgroupsMode::Soft => 3,
        CgroupsMode::Full => 4,
        CgroupsMode::Strict => 5,
        CgroupsMode::Default => 6,
    }
}

/// A message of two texts: `ext_mount_map`, `join_namespace`, `cgroup_root`.
pub fn pair(first: impl AsRef<[u8]>, second: impl AsRef<[u8]>) -> Message {
    let mut pair = Message::default();
    pair.text(1, first);
    pair.text(2, second);
    pair
}

/// `inherit_fd`: what CRIU knows as `key` is its own descriptor `fd`.
pub fn inherit_fd(key: &str, fd: i32) -> Message {
    let mut inherit = Message::default();
    inherit.text(1, key);
    inherit.number(2, fd);
    inherit
}
