//! `containerd-shim-pinnace-v2`: a containerd shim that has the runtime inside it. create, start, exec, kill and the
//! rest are calls into the library; no runtime process is started. Must never print anything but the reply that
//! containerd asked for.
//!
//! One process serves a pod on one thread: tokio's current-thread loop, and descriptors polled by it. That is what
//! makes a clone with ordinary code in the child sound; the library sees to it before each clone.
//!
//! Of containerd's Rust crates only the messages are used (`containerd-shim-protos`). `containerd_shim::run()` announces
//! version 3 alone, so that containerd 1.6 and 1.7 refuse what it starts; it registers one service, ignores SIGTERM,
//! works with a pool of threads, and brings 137 crates.

#![forbid(unsafe_code)]

mod bootstrap;
mod checkpoint;
mod container;
mod delete;
mod drive;
mod events;
mod fifo;
mod flags;
mod foreign;
mod handle;
mod info;
mod logger;
mod oom;
mod options;
mod polled;
mod process;
mod pump;
mod reap;
mod recorder;
mod reply;
mod rootfs;
mod serve;
mod shim;
mod socket;
mod stats;
mod status;
mod stdio;
mod task;

use std::process::ExitCode;

use flags::{Action, Flags};

fn main() -> ExitCode {
    let outcome = Flags::parse(std::env::args().skip(1)).and_then(|flags| match flags.action {
        Action::Version => info::version(),
        Action::Info => info::info(),
        Action::Start => bootstrap::start(&flags),
        Action::Delete => delete::delete(&flags),
        Action::Serve => serve::serve(flags),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What containerd shows of a start that failed is all that it has said.
            let _ = nix::unistd::write(std::io::stderr(), format!("{error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
