//! What a process must not inherit.

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use pinnace::init::session::{Keyring, join_keyring, new_session, reset_inherited};
use pinnace::sys::keyring;

use super::{Case, status};

pub const CASES: &[Case] = &[
    ("session::no_signal_is_blocked_or_ignored", no_signal_is_blocked_or_ignored),
    ("session::it_is_a_new_one", it_is_a_new_one),
    ("session::the_keyring_is_the_containers", the_keyring_is_the_containers),
];

fn no_signal_is_blocked_or_ignored() {
    SigSet::all().thread_block().unwrap();
    for ignored in [Signal::SIGHUP, Signal::SIGPIPE, Signal::SIGCHLD, Signal::SIGTSTP] {
        // SAFETY: to ignore a signal runs no code.
        unsafe { signal(ignored, SigHandler::SigIgn) }.unwrap();
    }
    reset_inherited().unwrap();
    for field in ["SigBlk", "SigIgn"] {
        assert_eq!(status(field), ["0000000000000000"], "{field}");
    }
}

fn it_is_a_new_one() {
    new_session().unwrap();
    let own = nix::unistd::getpid();
    assert_eq!(nix::unistd::getsid(None).unwrap(), own);
    // A leader stays one.
    new_session().unwrap();
    assert_eq!(nix::unistd::getpgrp(), own);
}

fn the_keyring_is_the_containers() {
    let id = format!("forked-test-{}", std::process::id());
    join_keyring(&id, Keyring::Init { user_namespace: false }).unwrap();
    // The same name again is the same keyring: it is searchable now.
    let own = keyring::describe(keyring::join_session(&format!("_ses.{id}")).unwrap()).unwrap();
    let fields: Vec<&str> = own.split(';').collect();
    assert_eq!((fields[0], fields[4]), ("keyring", format!("_ses.{id}").as_str()));
    let permissions = u32::from_str_radix(fields[3], 16).unwrap();
    assert_eq!(permissions & 0x8_0000, 0x8_0000, "its user may search it");
    join_keyring(&id, Keyring::Exec).unwrap();
}
