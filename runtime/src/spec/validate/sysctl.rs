//! Which kernel parameters belong to a namespace of the container: only these may be set. Pure. Whoever writes one
//! takes its path from here, so that what is checked is what is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::namespaces::Namespaces;
use crate::error::{Error, Result};
use crate::spec::oci::LinuxNamespaceType as Type;

/// Parameters of the IPC namespace below `kernel` (ipc_namespaces(7)).
const IPC: [&str; 8] = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];

/// The parts of a parameter's name. The first separator decides: after a dot, dots part and a slash stands for a dot;
/// after a slash, the other way round (sysctl(8)).
fn parts(key: &str) -> Vec<String> {
    let separator = key.find(['.', '/']).and_then(|at| key.get(at..=at)).unwrap_or(".");
    let other = if separator == "." { "/" } else { "." };
    key.split(separator)
        .map(|part| if separator == "." { part.replace(other, ".") } else { part.to_owned() })
        .collect()
}

/// Where a parameter lies below /proc/sys.
///
/// # Errors
/// The name has a part that would lead elsewhere.
pub fn sysctl_path(key: &str) -> Result<PathBuf> {
    let parts = parts(key);
    match parts.iter().find(|part| matches!(part.as_str(), "" | "." | "..") || part.contains('/')) {
        Some(part) => Err(Error::invalid(format!("sysctl {key:?} has {part:?} in its name"))),
        None => Ok(parts.iter().collect()),
    }
}

pub(super) fn check(parameters: &BTreeMap<String, String>, namespaces: &Namespaces<'_>) -> Result<()> {
    for key in parameters.keys() {
        sysctl_path(key)?;
        let parts = parts(key);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let refused = match parts.as_slice() {
            ["kernel", name] if IPC.contains(name) => {
                refusal(namespaces, Type::Ipc, "is not allowed in the hosts ipc namespace")
            }
            ["fs", "mqueue", _, ..] => {
                refusal(namespaces, Type::Ipc, "is not allowed in the hosts ipc namespace")
            }
            ["net", _, ..] => refusal(namespaces, Type::Network, "not allowed in host network namespace"),
            ["kernel", "domainname"] => {
                refusal(namespaces, Type::Uts, "is not in a separate kernel namespace")
            }
            ["kernel", "hostname"] if namespaces.has(Type::Uts) => {
                Some("is not allowed as it conflicts with the OCI \"hostname\" field")
            }
            // Outside of a user namespace these are the host's, and may be what keeps a hole shut.
            ["user", _, ..] if !namespaces.has(Type::User) => {
                return Err(Error::invalid(format!(
                    "setting ucounts without a user namespace not allowed: {key}"
                )));
            }
            ["user", _, ..] => None,
            _ => Some("is not in a separate kernel namespace"),
        };
        if let Some(why) = refused {
            return Err(Error::invalid(format!("sysctl {key:?} {why}")));
        }
    }
    Ok(())
}

fn refusal(namespaces: &Namespaces<'_>, typ: Type, why: &'static str) -> Option<&'static str> {
    (!namespaces.has(typ)).then_some(why)
}
