//! The `pinnace` command. Everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static HEAP: pinnace::sys::heap::Heap = pinnace::sys::heap::Heap::new();

fn main() -> ExitCode {
    pinnace::cli::main()
}
