//! What a hook prints: read without blocking and without end, kept and shown in part.

use std::fmt;
use std::fs::File;

use nix::errno::Errno;

/// Of what a hook prints, the last this many bytes are kept; the rest is read and dropped.
const KEPT: usize = 64 * 1024;

/// Of what is kept, the last this many bytes stand in the error.
const SHOWN: usize = 4 * 1024;

/// One of the hook's outputs.
#[derive(Debug)]
pub(super) struct Output {
    /// None: at its end.
    pub(super) pipe: Option<File>,
    kept: Vec<u8>,
}

impl Output {
    pub(super) fn new(pipe: File) -> Self {
        Self { pipe: Some(pipe), kept: Vec::new() }
    }

    /// Reads what is there, at most a few pipes full at a time: somebody who writes without end must not keep us
    /// from looking at the clock.
    pub(super) fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return };
            match nix::unistd::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    self.kept.extend_from_slice(&buffer[..length]);
                    if self.kept.len() > 2 * KEPT {
                        self.kept.drain(..self.kept.len() - KEPT);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// The end of what was printed, in one line.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.kept);
        let text = text.trim_end();
        let mut start = text.len().saturating_sub(SHOWN);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        if start > 0 {
            f.write_str("...")?;
        }
        for character in text[start..].chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_one_line_and_bounded() {
        let shown = |bytes: &[u8]| Output { pipe: None, kept: bytes.to_vec() }.to_string();
        assert_eq!(shown(b""), "");
        assert_eq!(shown(b"no such device\n"), "no such device");
        assert_eq!(shown(b"a\nb\x1b[31m\n\n"), "a\\nb\\u{1b}[31m");
        assert_eq!(shown(&[0xff, b'x']), "\u{fffd}x");
        let long = shown("é".repeat(SHOWN).as_bytes());
        assert!(long.starts_with("...é") && long.len() <= SHOWN + 3, "{}", long.len());
    }
}
