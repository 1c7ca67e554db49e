//! What goes to standard output: the whole reply at once, and nothing else ever.

use std::io::{Read, Write};

use pinnace::error::{OrFail, Result};

/// The most that containerd sends on standard input.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Prints a reply.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).or_fail("write", || "print the reply")
}

/// Reads all of standard input.
pub(crate) fn input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .or_fail("read", || "read standard input")?;
    Ok(bytes)
}
