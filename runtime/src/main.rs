//! The `pinnace` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pinnace::cli::main()
}
