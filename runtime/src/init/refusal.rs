//! Why the kernel would not execute a file: reads the file, its interpreter line and its ELF header, and says what to
//! do about it. Only after a failure; it never decides anything. The file is the container's and nothing in it is
//! trusted: every read is bounded, every number checked.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::program::head;

/// The kernel reads no more of an interpreter line (BINPRM_BUF_SIZE).
const LINE: usize = 256;

/// PT_INTERP (elf.h).
const INTERPRETER: u32 = 3;

/// Why access(2) denies execution.
pub(super) fn of_access(path: &Path) -> Option<String> {
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC)) {
        return Some("the file system it is on is mounted noexec; mount it exec".to_owned());
    }
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    match mode & 0o111 {
        0 => Some(format!("its mode is {:04o}: chmod +x it", mode & 0o7777)),
        0o111 => None,
        _ => Some(format!("its mode is {:04o}: not everybody may execute it", mode & 0o7777)),
    }
}

/// Why execve(2) failed.
pub(super) fn of_exec(path: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::EACCES => of_access(path),
        Errno::E2BIG => Some("arguments and environment are larger than the kernel takes".to_owned()),
        Errno::ETXTBSY => Some("it is open for writing".to_owned()),
        Errno::ENOENT | Errno::ENOEXEC | Errno::ENOTDIR | Errno::ELIBBAD => {
            let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
            let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
            let mut start = [0; LINE];
            let length = head(&file, &mut start).ok()?;
            of_content(
                &start[..length],
                |offset, buffer| file.read_exact_at(buffer, offset).is_ok(),
                Path::exists,
            )
        }
        _ => None,
    }
}

/// The same for a file that begins with `start`; `read` gets more of it, `exists` asks for an interpreter.
fn of_content(
    start: &[u8],
    read: impl Fn(u64, &mut [u8]) -> bool,
    exists: impl Fn(&Path) -> bool,
) -> Option<String> {
    if start.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(line) = start.strip_prefix(b"#!") {
        return of_script(line, exists);
    }
    let Some(elf) = Elf::parse(start) else {
        return Some(
            "it is neither an ELF program nor a script: a script begins with #!/bin/sh or the like"
                .to_owned(),
        );
    };
    if elf.machine != Machine::OWN {
        return Some(format!("it is built for {}, this machine is {}", elf.machine, Machine::OWN));
    }
    let interpreter = elf.interpreter(read)?;
    (!exists(&interpreter)).then(|| {
        format!(
            "its ELF interpreter {} is not in the container: it was linked with another C library; \
             add that library or link it statically",
            interpreter.display()
        )
    })
}

fn of_script(line: &[u8], exists: impl Fn(&Path) -> bool) -> Option<String> {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some("its first line ends with CR LF: convert its line ends to LF (dos2unix)".to_owned());
    }
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Some("its #! line names no interpreter".to_owned());
    };
    let interpreter = Path::new(std::ffi::OsStr::from_bytes(interpreter));
    (!exists(interpreter))
        .then(|| format!("its interpreter {} is not in the container", interpreter.display()))
}

/// What an ELF header says, in the order of bytes it declares.
struct Elf<'start> {
    start: &'start [u8],
    wide: bool,
    little: bool,
    machine: Machine,
}

impl<'start> Elf<'start> {
    fn parse(start: &'start [u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class, data, ..] = *start else { return None };
        let little = data == 1;
        let mut elf = Self {
            start,
            wide: class == 2,
            little,
            machine: Machine { number: 0, wide: class == 2, little },
        };
        elf.machine.number = u16::try_from(elf.number(start, 18, 2)?).ok()?;
        Some(elf)
    }

    fn number(&self, bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(offset..offset.checked_add(length)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// The path in its PT_INTERP segment; none in a static program.
    fn interpreter(&self, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<PathBuf> {
        // e_phoff, e_phentsize, e_phnum; then p_offset and p_filesz: Elf64_Ehdr and Elf64_Phdr, or the 32-bit ones.
        let [table, entry, count] =
            if self.wide { [(32, 8), (54, 2), (56, 2)] } else { [(28, 4), (42, 2), (44, 2)] }
                .map(|(offset, length)| self.number(self.start, offset, length));
        let (table, entry, count) = (table?, entry?, count?);
        let (offset_at, size_at, width) = if self.wide { (8, 32, 8) } else { (4, 16, 4) };
        for index in 0..count.min(128) {
            let mut header = [0; 56];
            let length = usize::try_from(entry).ok()?.min(header.len());
            if !read(table.checked_add(index * entry)?, &mut header[..length]) {
                return None;
            }
            if self.number(&header, 0, 4)? != u64::from(INTERPRETER) {
                continue;
            }
            let size = self.number(&header, size_at, width)?.min(4096);
            let mut path = vec![0; usize::try_from(size).ok()?];
            if !read(self.number(&header, offset_at, width)?, &mut path) {
                return None;
            }
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            return Some(std::ffi::OsStr::from_bytes(&path[..end]).into());
        }
        None
    }
}

/// An architecture as ELF knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Machine {
    number: u16,
    wide: bool,
    little: bool,
}

impl Machine {
    /// This one.
    const OWN: Self = Self {
        number: if cfg!(target_arch = "x86_64") {
            62
        } else if cfg!(target_arch = "aarch64") {
            183
        } else if cfg!(target_arch = "riscv64") {
            243
        } else {
            0
        },
        wide: true,
        little: cfg!(target_endian = "little"),
    };
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // e_machine, elf.h.
        f.write_str(match (self.number, self.wide, self.little) {
            (3, ..) => "i386",
            (8, ..) => "mips",
            (21, _, true) => "ppc64le",
            (21, ..) => "ppc64",
            (22, ..) => "s390x",
            (40, ..) => "arm",
            (62, true, _) => "x86_64",
            (62, ..) => "x32",
            (183, ..) => "aarch64",
            (243, true, _) => "riscv64",
            (243, ..) => "riscv32",
            (258, ..) => "loongarch64",
            (number, ..) => return write!(f, "ELF machine {number}"),
        })
    }
}

#[cfg(test)]
#[path = "refusal_test.rs"]
mod tests;
