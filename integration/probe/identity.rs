//! Who the process is: ids, capabilities, limits, signals, scheduling, keyring. By system calls wherever there is one,
//! so that it works without a procfs.

use std::fs;

use serde_json::{Map, Value, json};

/// Capability names by number.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Resource limits by number (asm-generic).
const LIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Adds everything of this file to the document.
pub(crate) fn add(seen: &mut Map<String, Value>) {
    add_ids(seen);
    seen.insert("capabilities".into(), capabilities());
    seen.insert("securebits".into(), json!(prctl(libc::PR_GET_SECUREBITS)));
    seen.insert("no_new_privs".into(), json!(prctl(libc::PR_GET_NO_NEW_PRIVS) == 1));
    seen.insert("dumpable".into(), json!(prctl(libc::PR_GET_DUMPABLE)));
    seen.insert("timer_slack".into(), json!(prctl(libc::PR_GET_TIMERSLACK)));
    seen.insert("seccomp".into(), json!(status_field("Seccomp").and_then(|v| v.parse::<i32>().ok())));
    seen.insert("signals".into(), signals());
    seen.insert("rlimits".into(), limits());
    seen.insert("oom_score_adj".into(), number_in("/proc/self/oom_score_adj"));
    seen.insert("keyring".into(), keyring());
    seen.insert("scheduler".into(), scheduler());
    // SAFETY: 0xffffffff asks without changing.
    seen.insert("personality".into(), json!(unsafe { libc::personality(0xffff_ffff) }));
}

fn add_ids(seen: &mut Map<String, Value>) {
    let (mut r, mut e, mut s) = (0, 0, 0);
    // SAFETY: three writable ids.
    unsafe { libc::getresuid(&raw mut r, &raw mut e, &raw mut s) };
    // SAFETY: an invalid id changes nothing and returns the present one.
    let fs = unsafe { libc::setfsuid(u32::MAX) }.cast_unsigned();
    seen.insert("uid".into(), json!({"real": r, "effective": e, "saved": s, "fs": fs}));
    // SAFETY: three writable ids.
    unsafe { libc::getresgid(&raw mut r, &raw mut e, &raw mut s) };
    // SAFETY: an invalid id changes nothing and returns the present one.
    let fs = unsafe { libc::setfsgid(u32::MAX) }.cast_unsigned();
    seen.insert("gid".into(), json!({"real": r, "effective": e, "saved": s, "fs": fs}));
    let mut groups = vec![0; 65536];
    // SAFETY: the buffer has room for NGROUPS_MAX ids.
    let count = unsafe { libc::getgroups(65536, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    seen.insert("groups".into(), json!(groups));
    // SAFETY: umask has no memory operand.
    let umask = unsafe { libc::umask(0) };
    // SAFETY: as above; the mask is put back.
    unsafe { libc::umask(umask) };
    seen.insert("umask".into(), json!(umask));
    let group = nix::unistd::getpgrp();
    seen.insert("pid".into(), json!(std::process::id()));
    seen.insert("ppid".into(), json!(nix::unistd::getppid().as_raw()));
    seen.insert("pgid".into(), json!(group.as_raw()));
    seen.insert("sid".into(), json!(nix::unistd::getsid(None).map_or(-1, nix::unistd::Pid::as_raw)));
}

fn prctl(option: i32) -> i32 {
    // SAFETY: the options used here take no pointer.
    unsafe { libc::prctl(option, 0, 0, 0, 0) }
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capabilities() -> Value {
    // _LINUX_CAPABILITY_VERSION_3: two words a set.
    let mut header = CapHeader { version: 0x2008_0522, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and data have the layout that version 3 asks for.
    unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    let wide = |word: fn(&CapData) -> u32| u64::from(word(&data[0])) | u64::from(word(&data[1])) << 32;
    let by_prctl = |option: i32, argument: Option<i32>| {
        let mut set = 0;
        for number in 0..64_u64 {
            // SAFETY: PR_CAPBSET_READ and PR_CAP_AMBIENT take numbers only.
            let there = unsafe {
                match argument {
                    None => libc::prctl(option, number, 0, 0, 0),
                    Some(first) => libc::prctl(option, first, number, 0, 0),
                }
            };
            if there == 1 {
                set |= 1 << number;
            }
        }
        set
    };
    json!({
        "effective": names(wide(|d| d.effective)),
        "permitted": names(wide(|d| d.permitted)),
        "inheritable": names(wide(|d| d.inheritable)),
        "bounding": names(by_prctl(libc::PR_CAPBSET_READ, None)),
        "ambient": names(by_prctl(libc::PR_CAP_AMBIENT, Some(libc::PR_CAP_AMBIENT_IS_SET))),
    })
}

fn names(set: u64) -> Vec<String> {
    (0..64_usize)
        .filter(|number| set & (1 << number) != 0)
        .map(|number| CAPABILITIES.get(number).map_or_else(|| format!("CAP_{number}"), ToString::to_string))
        .collect()
}

fn signals() -> Value {
    // SAFETY: a sigset and a sigaction are plain data, for which all zeroes is a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a NULL new mask only asks.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    let (mut blocked, mut ignored, mut caught) = (Vec::new(), Vec::new(), Vec::new());
    for signal in 1..=64 {
        // SAFETY: the set was filled above. (The C library hides its own three from sigismember.)
        if unsafe { libc::sigismember(&raw const set, signal) } == 1 {
            blocked.push(signal);
        }
        // SAFETY: as for the set.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a NULL new action only asks.
        if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0 {
            match action.sa_sigaction {
                libc::SIG_IGN => ignored.push(signal),
                libc::SIG_DFL => {}
                _ => caught.push(signal),
            }
        }
    }
    json!({"blocked": blocked, "ignored": ignored, "caught": caught})
}

fn limits() -> Value {
    let mut found = Map::new();
    for (number, name) in (0_u32..).zip(LIMITS) {
        let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a NULL new limit only asks; the old one is written to `limit`.
        unsafe {
            libc::syscall(libc::SYS_prlimit64, 0, number, std::ptr::null::<libc::rlimit64>(), &raw mut limit)
        };
        found.insert(name.to_owned(), json!({"soft": limit.rlim_cur, "hard": limit.rlim_max}));
    }
    Value::Object(found)
}

/// Id and name of the session keyring (keyctl(2)); the name needs the `view` permission on it.
fn keyring() -> Value {
    const GET_KEYRING_ID: i32 = 0;
    const DESCRIBE: i32 = 6;
    const SESSION: i32 = -3;
    // SAFETY: numbers only; 0: do not create one.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) };
    if id < 0 {
        return crate::see::error(&std::io::Error::last_os_error());
    }
    let mut text = [0_u8; 512];
    // SAFETY: the buffer is writable and its size is passed.
    let length = unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, id, text.as_mut_ptr(), text.len()) };
    let length = usize::try_from(length).unwrap_or(0).min(text.len());
    // "type;uid;gid;permissions;name\0"
    let text = String::from_utf8_lossy(&text[..length]);
    let fields: Vec<&str> = text.trim_end_matches('\0').splitn(5, ';').collect();
    json!({
        "id": id,
        "name": fields.get(4),
        "permissions": fields.get(3).and_then(|p| u32::from_str_radix(p, 16).ok()),
    })
}

fn scheduler() -> Value {
    const RESET_ON_FORK: i64 = 0x4000_0000;
    let mut priority = 0_i32;
    // By number: musl's wrappers of the first two answer ENOSYS.
    // SAFETY: the only memory operand is the kernel's sched_param, one int.
    let (policy, _, nice, io) = unsafe {
        (
            libc::syscall(libc::SYS_sched_getscheduler, 0),
            libc::syscall(libc::SYS_sched_getparam, 0, &raw mut priority),
            libc::getpriority(libc::PRIO_PROCESS, 0),
            libc::syscall(libc::SYS_ioprio_get, 1, 0),
        )
    };
    let mut mask = [0_u8; 1024];
    // SAFETY: the mask is writable and its size is passed.
    let size = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, mask.len(), mask.as_mut_ptr()) };
    let size = usize::try_from(size).unwrap_or(0);
    let cpus: Vec<usize> = (0..size * 8).filter(|cpu| mask[cpu / 8] & (1 << (cpu % 8)) != 0).collect();
    json!({
        "policy": policy & !RESET_ON_FORK,
        "reset_on_fork": policy & RESET_ON_FORK != 0,
        "priority": priority,
        "nice": nice,
        "io_class": io >> 13,
        "io_level": io & 0x1fff,
        "cpus": cpus,
    })
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

fn number_in(path: &str) -> Value {
    json!(fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i64>().ok()))
}
