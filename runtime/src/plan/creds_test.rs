//! Ids, groups, umask and capability names: what is taken, and the words for what is not.

use proptest::prelude::*;

use super::*;
use crate::plan::caps::KNOWN;
use crate::spec::{Capabilities, User};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn capable(caps: Capabilities) -> Process {
    Process { capabilities: Some(caps), ..Process::default() }
}

#[test]
fn table_is_in_the_kernels_order_and_whole() {
    for (number, cap) in KNOWN.iter().enumerate() {
        assert_eq!(usize::from(cap.index()), number);
    }
    assert_eq!(KNOWN.len(), caps::all().len());
    assert_eq!(cap_name(63), "63");
}

#[test]
fn ids_from_text() {
    for (text, id) in [("0", 0), ("1", 1), ("00012", 12), ("4294967294", u32::MAX - 1)] {
        assert_eq!(text.parse::<Uid>().unwrap().get(), id, "{text}");
        assert_eq!(text.parse::<Gid>().unwrap().get(), id, "{text}");
    }
    for text in
        ["", " 1", "1 ", "+1", "-1", "1x", "0x1", "4294967295", "4294967296", "99999999999999999999", "root"]
    {
        assert!(text.parse::<Uid>().is_err(), "{text:?}");
        assert!(text.parse::<Gid>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn an_id_that_parses_is_the_number_that_was_written(text in "[0-9+ x-]{0,12}") {
        if let Ok(uid) = text.parse::<Uid>() {
            prop_assert_ne!(uid.get(), u32::MAX);
            prop_assert_eq!(u64::from(uid.get()), text.parse::<u64>().unwrap());
        }
    }

    #[test]
    fn set_algebra(a: u64, b: u64) {
        let (x, y) = (CapSet::from_bits(a), CapSet::from_bits(b));
        prop_assert_eq!(x.without(y).or(x.and(y)), x);
        let mut again = CapSet::EMPTY;
        x.iter().for_each(|cap| again.insert(cap));
        prop_assert_eq!(again, x);
    }
}

#[test]
fn ids_that_mean_unchanged_are_refused() {
    let users = [
        User { uid: u32::MAX, ..User::default() },
        User { gid: u32::MAX, ..User::default() },
        User { additional_gids: vec![1, u32::MAX], ..User::default() },
        User { umask: Some(0o1000), ..User::default() },
        User { additional_gids: vec![5; MAX_GROUPS + 1], ..User::default() },
    ];
    for user in users {
        let error = Credentials::decide(&Process { user, ..Process::default() }).unwrap_err();
        assert!(error.to_string().starts_with("process.user."), "{error}");
    }
}

#[test]
fn defaults_are_the_least() {
    let creds = Credentials::decide(&Process::default()).unwrap();
    assert_eq!(creds.caps, CapSets::default());
    assert!(creds.groups.is_empty());
    assert_eq!(creds.umask, 0o022);
}

#[test]
fn groups_are_sorted_as_the_kernel_gives_them_back() {
    let user = User { additional_gids: vec![27, 4, 27, 0], umask: Some(0o77), ..User::default() };
    let creds = Credentials::decide(&Process { user, ..Process::default() }).unwrap();
    assert_eq!(creds.groups.iter().map(|gid| gid.get()).collect::<Vec<_>>(), [0, 4, 27]);
    assert_eq!(creds.umask, 0o77);
}

#[test]
fn unknown_names_are_left_out_and_case_matters() {
    let creds = Credentials::decide(&capable(Capabilities {
        bounding: names(&["CAP_KILL", "cap_chown", "CHOWN", "CAP_NEVER"]),
        permitted: names(&["CAP_KILL", "CAP_CHECKPOINT_RESTORE"]),
        effective: names(&["CAP_KILL"]),
        ..Capabilities::default()
    }))
    .unwrap();
    assert_eq!(creds.caps.bounding.to_string(), "[CAP_KILL]");
    assert_eq!(creds.caps.permitted.bits(), 1 << 5 | 1 << 40);
    assert!(creds.caps.inheritable.is_empty());
}

#[test]
fn what_the_kernel_always_refuses_is_refused_by_name() {
    let cases = [
        (
            Capabilities { effective: names(&["CAP_KILL"]), ..Capabilities::default() },
            "process.capabilities.effective has [CAP_KILL], which permitted lacks",
        ),
        (
            Capabilities { inheritable: names(&["CAP_CHOWN"]), ..Capabilities::default() },
            "process.capabilities.inheritable has [CAP_CHOWN], which bounding lacks",
        ),
    ];
    for (caps, text) in cases {
        let error = Credentials::decide(&capable(caps)).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}
