//! Refuses what the runtime-spec forbids and what the kernel would refuse later, when half of the container is made.
//! Pure: what only the host can answer (does a path exist, whose namespace is it) is asked where it is used, and what a
//! plan decides anyway (mount options, schedulers, capabilities) is refused there.
//!
//! Where engines or tests look for runc's words, these are runc's words.

mod mounts;
mod namespaces;
mod process;
mod resources;
mod sysctl;

pub use mounts::BELOW_PROC;
pub use process::validate_process;
pub use resources::validate_resources;
pub use sysctl::sysctl_path;

use std::fmt::Display;
use std::path::Path;

use super::{IntelRdt, Linux, Spec, oci};
use crate::error::{Error, Result};
use namespaces::Namespaces;

/// Checks a whole config.json; each error names the field.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(spec: &Spec) -> Result<()> {
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    version(&spec.oci_version)?;
    let process =
        spec.process.as_ref().ok_or_else(|| Error::invalid("process property must not be empty"))?;
    validate_process(process)?;
    root(spec.root.as_ref())?;
    if let Some((key, _)) = spec.annotations.iter().find(|(key, _)| key.is_empty()) {
        return Err(refuse("annotations", format_args!("{key:?} is no key")));
    }
    hooks(spec.hooks.as_ref())?;
    let namespaces = Namespaces::check(linux, process)?;
    names(spec, &namespaces)?;
    sysctl::check(&linux.sysctl, &namespaces)?;
    mounts::check(spec, linux, &namespaces)?;
    if let Some(resources) = &linux.resources {
        validate_resources(resources)?;
    }
    if let Some(seccomp) = &linux.seccomp {
        listener(seccomp)?;
    }
    linux.intel_rdt.as_ref().map_or(Ok(()), intel_rdt)
}

/// What a user without privileges can't have, beside what anybody can't.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate_rootless(spec: &Spec) -> Result<()> {
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let Some(user) = linux.namespaces.iter().find(|ns| ns.typ() == oci::LinuxNamespaceType::User) else {
        return Err(Error::invalid("rootless container requires user namespaces").hint(
            "add {\"type\": \"user\"} to linux.namespaces, or make the bundle with `spec --rootless`",
        ));
    };
    if !namespaces::is_joined(user) {
        for (mappings, kind) in [(&linux.uid_mappings, "UID"), (&linux.gid_mappings, "GID")] {
            if mappings.is_empty() {
                return Err(Error::invalid(format!(
                    "rootless containers requires at least one {kind} mapping"
                )));
            }
        }
    }
    if !linux.net_devices.is_empty() {
        return Err(Error::invalid("network devices are not supported for rootless containers"));
    }
    if spec.mounts.iter().any(mounts::is_id_mapped) {
        return Err(Error::invalid("id-mapped mounts are not supported for rootless containers"));
    }
    Ok(())
}

/// `field: why`.
fn refuse(field: impl Display, why: impl Display) -> Error {
    Error::invalid(format!("{field}: {why}"))
}

/// The path in a list: `linux.devices[3]`.
fn item(list: &str, index: usize) -> String {
    format!("{list}[{index}]")
}

/// A path as it is shown in an error: one line, whatever is in it.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// Semantic versions of one major number are compatible (runtime-spec, config.md#specification-version).
fn version(text: &str) -> Result<()> {
    let core = text.split(['-', '+']).next().unwrap_or(text);
    let mut numbers = core.split('.').map(|number| {
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if plain && (number == "0" || !number.starts_with('0')) { number.parse::<u32>().ok() } else { None }
    });
    let three = [numbers.next(), numbers.next(), numbers.next()].map(Option::flatten);
    let ([Some(major), Some(_), Some(_)], None) = (three, numbers.next()) else {
        return Err(refuse("ociVersion", format_args!("{text:?} is no version")).hint("use 1.0.0 or later"));
    };
    if major == 1 {
        return Ok(());
    }
    Err(refuse("ociVersion", format_args!("{text:?} is not supported"))
        .hint("this runtime knows 1.0.0 to 1.3.0"))
}

fn root(root: Option<&oci::Root>) -> Result<()> {
    let root = root.ok_or_else(|| Error::invalid("root must be specified"))?;
    if root.path().as_os_str().is_empty() {
        return Err(refuse("root.path", "must not be empty"));
    }
    Ok(())
}

fn hooks(hooks: Option<&oci::Hooks>) -> Result<()> {
    let Some(hooks) = hooks else { return Ok(()) };
    let prestart = hooks.prestart();
    for (kind, list) in [
        ("prestart", prestart),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ] {
        for (index, hook) in list.iter().flatten().enumerate() {
            if !hook.path().is_absolute() {
                let why = format_args!("path {} is not absolute", quoted(hook.path()));
                return Err(refuse(format_args!("hooks.{kind}[{index}]"), why));
            }
            if let Some(seconds) = hook.timeout().filter(|seconds| *seconds <= 0) {
                let why = format_args!("timeout {seconds} is not greater than zero");
                return Err(refuse(format_args!("hooks.{kind}[{index}]"), why));
            }
        }
    }
    Ok(())
}

fn names(spec: &Spec, namespaces: &Namespaces<'_>) -> Result<()> {
    for (field, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else { continue };
        if !namespaces.has(oci::LinuxNamespaceType::Uts) {
            return Err(Error::invalid(format!("unable to set {field} without a private UTS namespace"))
                .hint("add {\"type\": \"uts\"} to linux.namespaces"));
        }
        // __NEW_UTS_LEN of linux/utsname.h.
        if name.len() > 64 {
            return Err(refuse(field, format_args!("{} bytes; the kernel takes 64", name.len())));
        }
    }
    Ok(())
}

/// That a listener is there when a rule asks for one is the filter compiler's to know.
fn listener(seccomp: &oci::LinuxSeccomp) -> Result<()> {
    let filled = |text: &str| !text.is_empty();
    let has_path = seccomp.listener_path().as_ref().is_some_and(|path| !path.as_os_str().is_empty());
    if !has_path && seccomp.listener_metadata().as_deref().is_some_and(filled) {
        return Err(refuse("linux.seccomp.listenerMetadata", "must not be set without listenerPath"));
    }
    Ok(())
}

/// runtime-spec, config-linux.md#intelrdt: the class is a directory's name, each schema a line of a file.
fn intel_rdt(rdt: &IntelRdt) -> Result<()> {
    let class = rdt.clos_id.as_deref().unwrap_or_default();
    if class == "." || class == ".." || (class.len() > 1 && class.contains('/')) {
        return Err(Error::invalid(format!("invalid intelRdt.ClosID {class:?}")));
    }
    let schema = rdt.mem_bw_schema.as_deref().unwrap_or_default();
    if !schema.is_empty() && (!schema.starts_with("MB:") || schema.contains('\n')) {
        return Err(refuse("linux.intelRdt.memBwSchema", format_args!("{schema:?} is not one line of MB:")));
    }
    for (index, line) in rdt.schemata.iter().enumerate() {
        if line.contains('\n') {
            return Err(refuse(
                item("linux.intelRdt.schemata", index),
                format_args!("{line:?} is not one line"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
