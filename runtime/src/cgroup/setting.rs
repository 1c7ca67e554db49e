//! A limit as a file and a value, and how it is written. What gets written is decided elsewhere, without a kernel.

use std::borrow::Cow;

use nix::errno::Errno;

use super::dir::Dir;
use crate::error::{Error, Kind, Result};

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: Cow<'static, str>,
    pub(super) value: String,
    /// Written instead where the kernel does not have `file`.
    pub(super) or: Option<(&'static str, String)>,
    /// No such file is no error: nothing is lost without it.
    pub(super) optional: bool,
    /// The kernel checks it against a neighbour that is written after it: on EINVAL it is written once more at the end.
    pub(super) again: bool,
}

impl Setting {
    #[expect(clippy::needless_pass_by_value, reason = "numbers and strings alike")]
    pub(super) fn new(file: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        Self { file: file.into(), value: value.to_string(), or: None, optional: false, again: false }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and strings alike")]
    pub(super) fn or(mut self, file: &'static str, value: impl ToString) -> Self {
        self.or = Some((file, value.to_string()));
        self
    }

    pub(super) fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) fn again(mut self) -> Self {
        self.again = true;
        self
    }

    fn write(&self, dir: &Dir) -> nix::Result<()> {
        match (dir.write(&self.file, &self.value), &self.or) {
            (Err(Errno::ENOENT), Some((file, value))) => dir.write(file, value),
            (Err(Errno::ENOENT), None) if self.optional => Ok(()),
            (result, _) => result,
        }
    }
}

/// The settings of one controller, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its name in the hierarchy's language ("blkio" in v1, "io" in v2).
    pub(super) controller: Cow<'static, str>,
    pub(super) settings: Vec<Setting>,
    /// It came from `resources.unified`: the user named the file.
    pub(super) unified: bool,
}

impl Group {
    pub(super) fn new(controller: impl Into<Cow<'static, str>>, settings: Vec<Setting>) -> Self {
        Self { controller: controller.into(), settings, unified: false }
    }

    /// Writes all of it into the container's cgroup.
    pub(super) fn apply(&self, dir: &Dir) -> Result<()> {
        let mut later = Vec::new();
        for setting in &self.settings {
            match setting.write(dir) {
                Err(Errno::EINVAL) if setting.again => later.push(setting),
                result => result.map_err(|errno| self.refused(dir, setting, errno))?,
            }
        }
        later.iter().try_for_each(|s| s.write(dir).map_err(|errno| self.refused(dir, s, errno)))
    }

    fn refused(&self, dir: &Dir, setting: &Setting, errno: Errno) -> Error {
        let error = Error::os("write", errno, dir.attempt(&setting.file, &setting.value));
        if self.unified {
            return error.within(self.unified_refused(dir, setting, errno));
        }
        match errno {
            // The file is absent: its controller is not on here, or this kernel does not have this knob.
            Errno::ENOENT => error.within(unlimited(&self.controller)).hint(format!(
                "enable the {} controller for it in its parent, or take the limit out",
                self.controller
            )),
            Errno::EBUSY if setting.file == "memory.limit_in_bytes" => {
                too_low(dir, &setting.value).unwrap_or(error)
            }
            _ => error.within(format_args!("cannot set {} limit", self.controller)),
        }
    }

    fn unified_refused(&self, dir: &Dir, setting: &Setting, errno: Errno) -> String {
        let file = &setting.file;
        let absent = matches!(errno, Errno::ENOENT | Errno::EPERM | Errno::EACCES)
            && self.controller != "cgroup"
            && !dir.value("cgroup.controllers").is_ok_and(|all| all.split(' ').any(|c| c == self.controller));
        if absent {
            format!("unified resource {file:?} can't be set: controller {:?} not available", self.controller)
        } else {
            format!("unable to set unified resource {file:?}")
        }
    }
}

/// The error of a limit that nobody would enforce: the container must not run without it.
pub(super) fn missing(group: &Group) -> Error {
    let controller = &group.controller;
    let file = group.settings.first().map_or("", |s| &*s.file);
    Error::new(Kind::Host, unlimited(controller))
        .hint(format!("{file} needs the {controller} controller: mount or enable it, or take the limit out"))
}

fn unlimited(controller: &str) -> String {
    format!("cannot set {controller} limit: container could not join or create cgroup")
}

/// cgroup v1 refuses a memory limit below what can't be reclaimed, with an errno that says nothing.
fn too_low(dir: &Dir, value: &str) -> Option<Error> {
    let usage = dir.value("memory.usage_in_bytes").ok()?;
    let peak = dir.value("memory.max_usage_in_bytes").ok()?;
    let text = format!("unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})");
    Some(Error::new(Kind::Host, text))
}
