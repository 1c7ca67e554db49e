//! Where CRIU reads and writes: the directory of the images, the one of everything else, and the log, which is asked
//! when CRIU has failed.

use std::fs::{DirBuilder, File};
use std::io::BufRead;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::CriuOptions;
use crate::error::{Error, OrFail, Result};

/// The directories and the log of one run of CRIU.
#[derive(Debug)]
pub struct Directories {
    images: PathBuf,
    work: PathBuf,
    log: PathBuf,
}

impl Directories {
    /// Those that are asked for. The one for logs is made if it is not there, and with `make` the one of the images too.
    pub fn prepare(options: &CriuOptions, make: bool, log: &str) -> Result<Self> {
        let images = options.image_path.clone();
        if make {
            make_dir(&images, true)?;
        }
        let work = match &options.work_path {
            Some(work) => {
                make_dir(work, false)?;
                work.clone()
            }
            None => images.clone(),
        };
        let log = work.join(log);
        Ok(Self { images, work, log })
    }

    /// Of the images, and of everything else.
    pub fn paths(&self) -> [&Path; 2] {
        [&self.images, &self.work]
    }

    /// Tells the log's last error, and where it is. What CRIU itself tells is the first one, which it may have got over.
    pub fn explain(&self, error: Error) -> Error {
        let Ok(file) = File::open(&self.log) else { return error };
        let error = match last_error(std::io::BufReader::new(file)) {
            Some(line) => Error::new(error.kind(), format!("{error}: {line}")),
            None => error,
        };
        error.hint(format!("see {}", self.log.display()))
    }
}

fn make_dir(path: &Path, recursive: bool) -> Result<()> {
    match DirBuilder::new().mode(0o700).recursive(recursive).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.or_fail("mkdir", || format!("make the checkpoint's directory {}", path.display())),
    }
}

/// The line of a log that tells why: the last error before the sum of it ("Dumping FAILED.").
fn last_error(log: impl BufRead) -> Option<String> {
    let mut last = None;
    for line in log.split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let Some((_, error)) = line.split_once("Error (") else { continue };
        if error.ends_with("FAILED.") && last.is_some() {
            break;
        }
        last = Some(format!("Error ({error}"));
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_log_is_the_last_that_says_why() {
        let log = b"(00.1) Error (criu/a.c:1): first\n(00.2) fine\n(00.3) Error (criu/b.c:2): why\n\
            (00.4) Error (criu/cr-dump.c:3): Dumping FAILED.\n(00.5) Error (criu/c.c:4): after all\n";
        assert_eq!(last_error(&log[..]).as_deref(), Some("Error (criu/b.c:2): why"));
        assert_eq!(last_error(&b"(00.1) all is well\n"[..]), None);
    }
}
