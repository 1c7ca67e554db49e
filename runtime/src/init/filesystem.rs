//! A new instance of a file system as a detached mount, however long its options are. What it makes is never seen by
//! anybody before it has its attributes.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, mkdirat};

use crate::error::{Error, OrFail, Result};
use crate::plan::options::MountOptions;
use crate::sys::fs::fd_path;
use crate::sys::mount::{
    Attr, attach, clone_tree, fs_message, fsconfig_create, fsconfig_flag, fsconfig_string, fsmount, fsopen,
    set_attr,
};

/// Longest value that fsconfig(2) takes: it copies 256 bytes with the NUL (fs/fsopen.c, SYSCALL fsconfig).
const LONGEST_VALUE: usize = 255;
/// Longest text that mount(2) takes: a page with the NUL. What is longer it cuts without a word.
const LONGEST_TEXT: usize = 4095;

/// An option and its value.
type Pair = (String, Option<String>);

/// What is to be made.
#[derive(Debug)]
pub struct FileSystem<'a> {
    /// Its name as fsopen(2) takes it.
    pub name: &'a str,
    /// The "source" option.
    pub source: Option<&'a str>,
    /// Attributes and super block words.
    pub options: &'a MountOptions,
    /// Its own options, in order.
    pub data: Cow<'a, [Pair]>,
}

impl FileSystem<'_> {
    /// Makes it.
    pub fn mount(&self) -> Result<OwnedFd> {
        let fs = fsopen(self.name).map_err(|errno| {
            let error = Error::os("fsopen", errno, format!("open file system {}", self.name));
            if errno == Errno::ENODEV {
                error.hint("the kernel has no such file system: see /proc/filesystems")
            } else {
                error
            }
        })?;
        if !self.data.iter().any(is_long) && self.source.is_none_or(|source| source.len() <= LONGEST_VALUE) {
            return self.by_words(&fs, &self.data).map_err(|(call, errno)| self.refused(&fs, call, errno));
        }
        match layer_by_layer(self.name, &self.data) {
            Some(data) => match self.by_words(&fs, &data) {
                // Linux takes a layer at a time since 6.7 (commit 24e16e385f22).
                Err((_, Errno::EINVAL)) => self.by_text(),
                made => made.map_err(|(call, errno)| self.refused(&fs, call, errno)),
            },
            None => self.by_text(),
        }
    }

    fn by_words(&self, fs: &OwnedFd, data: &[Pair]) -> Result<OwnedFd, (&'static str, Errno)> {
        let configure = || {
            if let Some(source) = self.source {
                fsconfig_string(fs, "source", source)?;
            }
            for word in &self.options.super_flags {
                fsconfig_flag(fs, word)?;
            }
            for (key, value) in data {
                match value {
                    Some(value) => fsconfig_string(fs, key, value)?,
                    None => fsconfig_flag(fs, key)?,
                }
            }
            fsconfig_create(fs)
        };
        configure().map_err(|errno| ("fsconfig", errno))?;
        fsmount(fs, self.options.set).map_err(|errno| ("fsmount", errno))
    }

    /// By mount(2), whose options are one text of a page. It wants a place, so it gets one that nobody sees: a directory
    /// on a tmpfs over this process's "/", where no path resolution comes by, in a mount namespace that sends nothing to
    /// the host's. A copy is taken, and the place goes.
    fn by_text(&self) -> Result<OwnedFd> {
        let text: Vec<String> = self
            .data
            .iter()
            .map(|(key, value)| value.as_ref().map_or_else(|| key.clone(), |value| format!("{key}={value}")))
            .collect();
        let text = text.join(",");
        let failed = || format!("make {} file system", self.name);
        if text.len() > LONGEST_TEXT {
            return Err(Error::os("mount", Errno::E2BIG, failed())
                .hint(format!("its options take {} bytes of at most {LONGEST_TEXT}", text.len())));
        }
        let scratch = fsopen("tmpfs")
            .and_then(|fs| fsconfig_create(&fs).and_then(|()| fsmount(&fs, 0)))
            .or_fail("fsopen", failed)?;
        mkdirat(&scratch, "m", Mode::S_IRWXU).or_fail("mkdirat", failed)?;
        let root =
            nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
                .or_fail("open", failed)?;
        attach(&scratch, &root).or_fail("move_mount", failed)?;
        let place = fd_path(&scratch);
        let made = mount(self.source, &place.join("m"), Some(self.name), self.flags(), Some(text.as_str()))
            .or_fail("mount", failed)
            .and_then(|()| clone_tree(&scratch, Path::new("m"), false).or_fail("open_tree", failed));
        umount2(&place, MntFlags::MNT_DETACH).or_fail("umount", failed)?;
        let made = made?;
        set_attr(&made, Attr { set: self.options.set, ..Attr::default() }, false)
            .or_fail("mount_setattr", failed)?;
        Ok(made)
    }

    /// The super block's words as mount(2) has them.
    fn flags(&self) -> MsFlags {
        self.options.super_flags.iter().fold(MsFlags::empty(), |flags, word| {
            flags
                | match *word {
                    "ro" => MsFlags::MS_RDONLY,
                    "sync" => MsFlags::MS_SYNCHRONOUS,
                    "dirsync" => MsFlags::MS_DIRSYNC,
                    "lazytime" => MsFlags::MS_LAZYTIME,
                    "mand" => MsFlags::MS_MANDLOCK,
                    _ => MsFlags::empty(),
                }
        })
    }

    fn refused(&self, fs: &OwnedFd, call: &str, errno: Errno) -> Error {
        let error = Error::os(call, errno, format!("make {} file system", self.name));
        match fs_message(fs) {
            Some(message) => error.hint(format!("the kernel says: {message}")),
            None if errno == Errno::EPERM => error.hint(
                "in a user namespace the host's own mount of it must be fully visible, and its namespace owned",
            ),
            None => error,
        }
    }
}

fn is_long((_, value): &Pair) -> bool {
    value.as_ref().is_some_and(|value| value.len() > LONGEST_VALUE)
}

/// The options of an overlay with each layer as an option of its own: `lowerdir=a:b::d` is `lowerdir+=a`, `lowerdir+=b`,
/// `datadir+=d` (Documentation/filesystems/overlayfs.rst). None if that does not make them short enough.
fn layer_by_layer(name: &str, data: &[Pair]) -> Option<Vec<Pair>> {
    if name != "overlay" {
        return None;
    }
    let mut split = Vec::with_capacity(data.len());
    for (key, value) in data {
        match (key.as_str(), value) {
            ("lowerdir", Some(value)) => split.extend(layers(value)),
            _ => split.push((key.clone(), value.clone())),
        }
    }
    (!split.iter().any(is_long)).then_some(split)
}

/// The layers of a `lowerdir`. A colon that belongs to a name has a backslash before it, which is not taken one by one.
fn layers(value: &str) -> Vec<Pair> {
    let (mut layers, mut layer, mut key) = (Vec::new(), String::new(), "lowerdir+");
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => layer.extend(chars.next()),
            ':' if layer.is_empty() => key = "datadir+",
            ':' => layers.push((key.to_owned(), Some(std::mem::take(&mut layer)))),
            c => layer.push(c),
        }
    }
    layers.push((key.to_owned(), Some(layer)));
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_apart() {
        for (value, expected) in [
            ("/a", "lowerdir+=/a"),
            ("/a:/b", "lowerdir+=/a lowerdir+=/b"),
            (r"/a\:b:/c\\d", r"lowerdir+=/a:b lowerdir+=/c\d"),
            ("/a:/b::/c::/d", "lowerdir+=/a lowerdir+=/b datadir+=/c datadir+=/d"),
        ] {
            let told: Vec<_> =
                layers(value).into_iter().map(|(key, value)| format!("{key}={}", value.unwrap())).collect();
            assert_eq!(told.join(" "), expected);
        }
    }

    #[test]
    fn only_an_overlay_has_layers() {
        let lower = |value: String| vec![("lowerdir".to_owned(), Some(value)), ("x".to_owned(), None)];
        assert!(layer_by_layer("tmpfs", &lower("/a:/b".to_owned())).is_none());
        assert!(layer_by_layer("overlay", &lower("a".repeat(256))).is_none());
        assert_eq!(layer_by_layer("overlay", &lower(["/a"; 200].join(":"))).unwrap().len(), 201);
    }
}
