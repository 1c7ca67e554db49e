//! The command line: parse flags, call the library once, print. The library never prints.

use std::process::ExitCode;

/// Runs the command line of this process and gives its exit status.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
