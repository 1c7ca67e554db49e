//! Credentials applied, and read through another door than the one the library reads them by: /proc.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use pinnace::init::creds::{apply, no_new_privs};
use pinnace::plan::creds::{CapSet, CapSets, Credentials, Gid, Uid};
use pinnace::sys::cred;

use super::{Case, status, warnings};

pub const CASES: &[Case] = &[
    ("creds::a_user_is_that_user_and_nothing_else", a_user_is_that_user_and_nothing_else),
    ("creds::the_five_sets_are_those_asked_for", the_five_sets_are_those_asked_for),
    ("creds::what_was_inheritable_before_is_not_now", what_was_inheritable_before_is_not_now),
    ("creds::what_we_lack_is_a_warning", what_we_lack_is_a_warning),
    ("creds::an_ambient_one_that_is_not_inheritable_is_a_warning", ambient_warning),
    ("creds::an_id_outside_of_the_map_is_named", an_id_outside_of_the_map_is_named),
    ("creds::groups_of_a_rootless_namespace", groups_of_a_rootless_namespace),
    ("creds::groups_that_can_not_be_dropped_elsewhere_are_an_error", undroppable_groups),
];

const KILL: u8 = 5;
const SYS_CHROOT: u8 = 18;
const MKNOD: u8 = 27;

fn caps(numbers: &[u8]) -> CapSet {
    let mut set = CapSet::EMPTY;
    for number in numbers {
        set.insert(*number);
    }
    set
}

fn nobody_special(uid: u32, gid: u32) -> Credentials {
    Credentials {
        uid: Uid::new(uid).unwrap(),
        gid: Gid::new(gid).unwrap(),
        groups: Vec::new(),
        keep_groups: false,
        umask: 0o22,
        keep_umask: false,
        caps: CapSets::default(),
        no_new_privs: false,
    }
}

fn become_user(creds: &Credentials) -> pinnace::error::Result<()> {
    no_new_privs(creds)?;
    apply(creds, None).map(drop)
}

fn shown(set: CapSet) -> Vec<String> {
    vec![format!("{:016x}", set.bits())]
}

/// CVE-2023-25173 and its kin: the caller's groups must not stay.
fn a_user_is_that_user_and_nothing_else() {
    cred::set_groups(&[0, 27, 4242]).unwrap();
    let creds = Credentials { no_new_privs: true, ..nobody_special(1000, 100) };
    become_user(&creds).unwrap();
    assert_eq!(status("Uid"), ["1000"; 4]);
    assert_eq!(status("Gid"), ["100"; 4]);
    assert!(status("Groups").is_empty());
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(status("NoNewPrivs"), ["1"]);
    assert!(warnings().is_empty());
}

fn the_five_sets_are_those_asked_for() {
    let groups = [5, 7].map(|gid| Gid::new(gid).unwrap()).to_vec();
    let sets = CapSets {
        bounding: caps(&[KILL, SYS_CHROOT, MKNOD]),
        permitted: caps(&[KILL, SYS_CHROOT]),
        effective: caps(&[KILL]),
        inheritable: caps(&[SYS_CHROOT]),
        ambient: caps(&[SYS_CHROOT]),
    };
    become_user(&Credentials { groups, caps: sets, ..nobody_special(1000, 100) }).unwrap();
    assert_eq!(status("Groups"), ["5", "7"]);
    assert_eq!(status("CapBnd"), shown(sets.bounding));
    assert_eq!(status("CapPrm"), shown(sets.permitted));
    assert_eq!(status("CapEff"), shown(sets.effective));
    assert_eq!(status("CapInh"), shown(sets.inheritable));
    assert_eq!(status("CapAmb"), shown(sets.ambient));
    assert_eq!(status("NoNewPrivs"), ["0"]);
}

/// CVE-2022-29162: a caller with inheritable capabilities.
fn what_was_inheritable_before_is_not_now() {
    let own = cred::caps().unwrap();
    cred::set_caps(cred::Caps { inheritable: own.permitted, ..own }).unwrap();
    cred::ambient_raise(KILL).unwrap();
    assert_ne!(status("CapInh"), shown(CapSet::EMPTY));
    let all = CapSet::from_bits(own.permitted);
    let sets = CapSets { bounding: all, permitted: all, effective: all, ..CapSets::default() };
    become_user(&Credentials { caps: sets, ..nobody_special(0, 0) }).unwrap();
    assert_eq!(status("CapInh"), shown(CapSet::EMPTY));
    assert_eq!(status("CapAmb"), shown(CapSet::EMPTY));
    assert_eq!(status("CapEff"), shown(all));
}

fn what_we_lack_is_a_warning() {
    let own = cred::caps().unwrap();
    let less = own.permitted & !(1 << SYS_CHROOT);
    cred::set_caps(cred::Caps { effective: less, permitted: less, inheritable: 0 }).unwrap();
    let both = caps(&[KILL, SYS_CHROOT]);
    let sets = CapSets { bounding: both, permitted: both, effective: both, ..CapSets::default() };
    become_user(&Credentials { caps: sets, ..nobody_special(0, 0) }).unwrap();
    assert_eq!(status("CapEff"), shown(caps(&[KILL])));
    assert_eq!(warnings(), ["ignoring unknown or unavailable capabilities: [CAP_SYS_CHROOT]"]);
}

fn ambient_warning() {
    let kill = caps(&[KILL]);
    let sets =
        CapSets { bounding: kill, permitted: kill, effective: kill, ambient: kill, ..CapSets::default() };
    become_user(&Credentials { caps: sets, ..nobody_special(1000, 100) }).unwrap();
    assert_eq!(status("CapAmb"), shown(CapSet::EMPTY));
    assert_eq!(warnings(), ["can't raise ambient capability CAP_KILL: operation not permitted"]);
}

/// A user namespace like one that an unprivileged user makes: root alone is mapped, groups are fixed.
fn rootless() {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", "0 0 1").unwrap();
    fs::write("/proc/self/gid_map", "0 0 1").unwrap();
}

fn an_id_outside_of_the_map_is_named() {
    rootless();
    let error = become_user(&nobody_special(0, 5)).unwrap_err().to_string();
    assert_eq!(error, "cannot setgid to unmapped gid 5 in user namespace; map it in linux.gidMappings");
    let error = become_user(&nobody_special(5, 0)).unwrap_err().to_string();
    assert_eq!(error, "cannot setuid to unmapped uid 5 in user namespace; map it in linux.uidMappings");
}

fn groups_of_a_rootless_namespace() {
    rootless();
    let groups = vec![Gid::ROOT];
    let error = become_user(&Credentials { groups, ..nobody_special(0, 0) }).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot set any additional groups in a rootless container"),
        "{error}"
    );
    become_user(&nobody_special(0, 0)).unwrap();
}

/// The same refusal outside of such a namespace would mean a process with its caller's groups.
fn undroppable_groups() {
    const SETGID: u8 = 6;
    let own = cred::caps().unwrap();
    let less = own.permitted & !(1 << SETGID);
    cred::set_caps(cred::Caps { effective: less, permitted: less, inheritable: 0 }).unwrap();
    let error = become_user(&nobody_special(0, 0)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPERM));
    assert!(error.to_string().starts_with("set groups []: setgroups: operation not permitted"), "{error}");
}
