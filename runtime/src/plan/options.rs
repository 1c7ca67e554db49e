//! The mount option words of config.json as flags and attributes of the file-descriptor mount API. Pure: no system
//! call, and no word is dropped that changes what a mount allows.
//!
//! Words and meanings: runtime-spec config.md, "Linux mount options"; mount(8); mount_setattr(2).

use crate::error::{Error, Result};

// linux/mount.h. `libc` has the MS_ flags as `c_ulong`, which is another type on 32-bit machines.
const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;
const ATTR_ATIME: u64 = 0x70;
const ATTR_RELATIME: u64 = 0x0;
const ATTR_NOATIME: u64 = 0x10;
const ATTR_STRICTATIME: u64 = 0x20;
const ATTR_NODIRATIME: u64 = 0x80;
const ATTR_NOSYMFOLLOW: u64 = 0x20_0000;
const MS_REC: u64 = 0x4000;
const MS_UNBINDABLE: u64 = 1 << 17;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;

/// What the options of one mount ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own that can be there or not")]
pub struct MountOptions {
    /// `MOUNT_ATTR_*` to set on the mount itself.
    pub set: u64,
    /// `MOUNT_ATTR_*` that were cleared by name, and all of `MOUNT_ATTR__ATIME` when a word chose an access-time
    /// mode: the modes are one field, which mount_setattr(2) only changes when it is cleared as a whole.
    pub clear: u64,
    /// A word chose an access-time mode, or nodiratime. Without one a bind mount keeps what its source has, as
    /// mount(2) does in a remount: "atime" and "diratime" choose nothing.
    pub chooses_atime: bool,
    /// `MOUNT_ATTR_*` to set on the mount and all below it.
    pub recursive_set: u64,
    /// `MOUNT_ATTR_*` to clear on the mount and all below it; access-time modes as in `clear`.
    pub recursive_clear: u64,
    /// Super block words for fsconfig(2) ("ro", "sync", "dirsync", "lazytime", "mand"). Their negations are only kept
    /// for a `remount`, since a new super block has none of them. Of no use to a bind mount.
    pub super_flags: Vec<&'static str>,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`, with `MS_REC` if recursive, in order.
    pub propagation: Vec<u64>,
    /// A bind mount.
    pub bind: bool,
    /// The bind mount takes along what is mounted below its source.
    pub recursive_bind: bool,
    /// Fill the new file system with what lies at the mount point (`tmpcopyup`).
    pub copy_up: bool,
    /// Show the files' owners through a user namespace.
    pub idmap: Option<Idmap>,
    /// Everything else, for the file system: `key` or `key=value`, in order.
    pub data: Vec<(String, Option<String>)>,
    /// Change what is mounted there already.
    pub remount: bool,
}

/// An id-mapped mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idmap {
    /// Also all mounts below.
    pub recursive: bool,
}

/// What one word does.
#[derive(Clone, Copy)]
enum Word {
    /// Known, and without effect here. `silent` and `loud` are about the kernel's log, which the file-descriptor API
    /// leaves alone; `iversion` is what file systems do anyway since kernel 6.3 and fsconfig(2) has no word for it.
    Nothing,
    Set(u64),
    Clear(u64),
    RecursiveSet(u64),
    RecursiveClear(u64),
    /// Read-only as mount(2) has it: the mount, and the super block if it is a new one.
    ReadOnly(bool),
    /// A super block word and its opposite.
    Super(&'static str, &'static str),
    Propagation(u64),
    Bind(bool),
    CopyUp,
    Idmap(bool),
    Remount,
}

use Word::{
    Bind, Clear, CopyUp, Idmap as Map, Nothing, Propagation, ReadOnly, RecursiveClear, RecursiveSet, Remount,
    Set, Super,
};

/// Sorted by word.
const TABLE: [(&str, Word); 62] = [
    ("async", Super("async", "sync")),
    ("atime", Clear(ATTR_NOATIME)),
    ("bind", Bind(false)),
    ("defaults", Nothing),
    ("dev", Clear(ATTR_NODEV)),
    ("diratime", Clear(ATTR_NODIRATIME)),
    ("dirsync", Super("dirsync", "")),
    ("exec", Clear(ATTR_NOEXEC)),
    ("idmap", Map(false)),
    ("iversion", Nothing),
    ("lazytime", Super("lazytime", "nolazytime")),
    ("loud", Nothing),
    ("mand", Super("mand", "nomand")),
    ("noatime", Set(ATTR_NOATIME)),
    ("nodev", Set(ATTR_NODEV)),
    ("nodiratime", Set(ATTR_NODIRATIME)),
    ("noexec", Set(ATTR_NOEXEC)),
    ("noiversion", Nothing),
    ("nolazytime", Super("nolazytime", "lazytime")),
    ("nomand", Super("nomand", "mand")),
    ("norelatime", Clear(ATTR_RELATIME)),
    ("nostrictatime", Clear(ATTR_STRICTATIME)),
    ("nosuid", Set(ATTR_NOSUID)),
    ("nosymfollow", Set(ATTR_NOSYMFOLLOW)),
    ("private", Propagation(MS_PRIVATE)),
    ("ratime", RecursiveClear(ATTR_NOATIME)),
    ("rbind", Bind(true)),
    ("rdev", RecursiveClear(ATTR_NODEV)),
    ("rdiratime", RecursiveClear(ATTR_NODIRATIME)),
    ("relatime", Set(ATTR_RELATIME)),
    ("remount", Remount),
    ("rexec", RecursiveClear(ATTR_NOEXEC)),
    ("ridmap", Map(true)),
    ("rnoatime", RecursiveSet(ATTR_NOATIME)),
    ("rnodev", RecursiveSet(ATTR_NODEV)),
    ("rnodiratime", RecursiveSet(ATTR_NODIRATIME)),
    ("rnoexec", RecursiveSet(ATTR_NOEXEC)),
    ("rnorelatime", RecursiveClear(ATTR_RELATIME)),
    ("rnostrictatime", RecursiveClear(ATTR_STRICTATIME)),
    ("rnosuid", RecursiveSet(ATTR_NOSUID)),
    ("rnosymfollow", RecursiveSet(ATTR_NOSYMFOLLOW)),
    ("ro", ReadOnly(true)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("rrelatime", RecursiveSet(ATTR_RELATIME)),
    ("rro", RecursiveSet(ATTR_RDONLY)),
    ("rrw", RecursiveClear(ATTR_RDONLY)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("rstrictatime", RecursiveSet(ATTR_STRICTATIME)),
    ("rsuid", RecursiveClear(ATTR_NOSUID)),
    ("rsymfollow", RecursiveClear(ATTR_NOSYMFOLLOW)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", ReadOnly(false)),
    ("shared", Propagation(MS_SHARED)),
    ("silent", Nothing),
    ("slave", Propagation(MS_SLAVE)),
    ("strictatime", Set(ATTR_STRICTATIME)),
    ("suid", Clear(ATTR_NOSUID)),
    ("symfollow", Clear(ATTR_NOSYMFOLLOW)),
    ("sync", Super("sync", "async")),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(MS_UNBINDABLE)),
];

/// The words that `features` reports, sorted. `idmap` and `ridmap` are reported as a mount extension instead.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|(_, word)| !matches!(word, Map(_))).map(|(name, _)| *name)
}

/// The propagation that a word such as `rslave` stands for, as `MS_*`; also for `linux.rootfsPropagation`.
pub fn propagation(word: &str) -> Option<u64> {
    match lookup(word) {
        Some(Propagation(flags)) => Some(flags),
        _ => None,
    }
}

fn lookup(word: &str) -> Option<Word> {
    let at = TABLE.binary_search_by(|(name, _)| (*name).cmp(word)).ok()?;
    TABLE.get(at).map(|(_, word)| *word)
}

/// Reads the options of one mount. Of words that contradict each other, the last one holds.
///
/// # Errors
/// An option that is a value without a name.
pub fn parse(words: &[String]) -> Result<MountOptions> {
    let mut options = MountOptions::default();
    for word in words {
        for piece in split(word) {
            options.word(piece)?;
        }
    }
    if !options.remount {
        options.super_flags.retain(|flag| !matches!(*flag, "rw" | "async" | "nolazytime" | "nomand"));
    }
    Ok(options)
}

impl MountOptions {
    /// Any change to the attributes of a mount that is there already (a bind mount).
    pub fn changes_attributes(&self) -> bool {
        self.set | self.clear | self.recursive_set | self.recursive_clear != 0
    }

    fn word(&mut self, text: &str) -> Result<()> {
        match lookup(text) {
            None => return self.datum(text),
            Some(Nothing) => {}
            Some(Set(flag)) => {
                self.chooses_atime |= flag & !ATTR_ATIME == 0 || flag == ATTR_NODIRATIME;
                attribute(&mut self.set, &mut self.clear, flag, true);
            }
            Some(Clear(flag)) => attribute(&mut self.set, &mut self.clear, flag, false),
            Some(RecursiveSet(flag)) => {
                attribute(&mut self.recursive_set, &mut self.recursive_clear, flag, true);
            }
            Some(RecursiveClear(flag)) => {
                attribute(&mut self.recursive_set, &mut self.recursive_clear, flag, false);
            }
            Some(ReadOnly(on)) => {
                attribute(&mut self.set, &mut self.clear, ATTR_RDONLY, on);
                if on { self.super_flag("ro", "rw") } else { self.super_flag("rw", "ro") }
            }
            Some(Super(flag, opposite)) => self.super_flag(flag, opposite),
            Some(Propagation(flags)) => self.propagation.push(flags),
            Some(Bind(recursive)) => {
                self.bind = true;
                self.recursive_bind |= recursive;
            }
            Some(CopyUp) => self.copy_up = true,
            Some(Map(recursive)) => self.idmap = Some(Idmap { recursive }),
            Some(Remount) => self.remount = true,
        }
        Ok(())
    }

    fn super_flag(&mut self, flag: &'static str, opposite: &str) {
        self.super_flags.retain(|known| *known != flag && *known != opposite);
        self.super_flags.push(flag);
    }

    fn datum(&mut self, text: &str) -> Result<()> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(Error::invalid(format!("invalid mount option {text:?}: a value without a name")));
        }
        // Security modules take their labels in quotes out of a mount(2) string, where a comma would end them;
        // fsconfig(2) has no such end and no quotes.
        let value = value.map(|v| if is_label(key) { v.trim_matches('"') } else { v });
        self.data.push((key.to_owned(), value.map(str::to_owned)));
        Ok(())
    }
}

/// Sets or clears one attribute. An access-time mode takes the place of another, and "not this mode" leaves the
/// kernel's default, relatime, unless another mode was chosen.
fn attribute(set: &mut u64, clear: &mut u64, flag: u64, on: bool) {
    if flag & !ATTR_ATIME == 0 {
        if on {
            *set = *set & !ATTR_ATIME | flag;
        } else if *set & ATTR_ATIME == flag {
            *set &= !ATTR_ATIME;
        }
        *clear |= ATTR_ATIME;
    } else if on {
        *set |= flag;
        *clear &= !flag;
    } else {
        *set &= !flag;
        *clear |= flag;
    }
}

fn is_label(key: &str) -> bool {
    matches!(key, "context" | "fscontext" | "defcontext" | "rootcontext")
}

/// One option string can hold several words, because mount(2) takes them all as one string with commas. A comma after
/// a backslash (overlayfs) and one inside a quoted label belong to the value.
fn split(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = end_of_option(rest);
            let (piece, tail) = rest.split_at_checked(end)?;
            rest = tail.strip_prefix(',').unwrap_or(tail);
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    })
}

fn end_of_option(text: &str) -> usize {
    let label = text.split_once('=').is_some_and(|(key, _)| is_label(key));
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b',' if !quoted && !escaped => return at,
            b'"' if label => quoted = !quoted,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
#[path = "options_test.rs"]
mod tests;
