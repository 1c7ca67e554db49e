//! The probe: a static program that tests run inside a container to say what it sees there, or to do one thing.
//! It must never change what it reports before it has reported it, and never need a library or a file of the rootfs.
//!
//! `probe ACTION [ARG…] [+ ACTION [ARG…]]…`, without arguments `see`. Actions are in `act.rs`, what `see` takes in
//! `see.rs`.

// Rust's own start-up ignores SIGPIPE, opens /dev/null on closed descriptors and installs signal handlers: all of
// which a test may want to see as the runtime left it.
#![no_main]

mod act;
mod descriptors;
mod identity;
mod see;
mod surroundings;

use std::ffi::CStr;
use std::io::Write;

/// Exit code of a probe that was misused or could not do what it was asked to.
const FAILED: i32 = 99;

/// The C entry point.
///
/// # Safety
/// Called once by the C library, with `count` valid strings in `arguments`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int {
    let words: Vec<String> = (0..usize::try_from(count).unwrap_or(0))
        .map(|i| {
            // SAFETY: the C library passes `count` valid, NUL-terminated strings.
            let word = unsafe { CStr::from_ptr(*arguments.add(i)) };
            word.to_string_lossy().into_owned()
        })
        .collect();
    match run(&words) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "probe: {error}");
            FAILED
        }
    }
}

/// Why an action failed, for the test's eyes.
type Failure = Box<dyn std::error::Error>;

fn run(args: &[String]) -> Result<(), Failure> {
    let actions = args.get(1..).unwrap_or_default();
    if actions.is_empty() {
        see::see(args, &[])?;
    }
    for action in actions.split(|word| word == "+") {
        act::act(args, action)?;
    }
    // Without Rust's start-up there is no flush at the end either.
    Ok(std::io::stdout().flush()?)
}
