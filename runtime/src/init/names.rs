//! Host name, domain name and kernel parameters of the container's own namespaces.

use std::collections::BTreeMap;

use super::procfs::Proc;
use crate::error::{Error, OrFail, Result};
use crate::spec::sysctl_path;
use crate::sys::process::set_domain_name;

/// Sets the host and the NIS domain name.
pub fn set(hostname: Option<&str>, domainname: Option<&str>) -> Result<()> {
    if let Some(name) = hostname {
        nix::unistd::sethostname(name).or_fail("sethostname", || format!("set the host name to {name:?}"))?;
    }
    if let Some(name) = domainname {
        set_domain_name(name).or_fail("setdomainname", || format!("set the domain name to {name:?}"))?;
    }
    Ok(())
}

/// Writes kernel parameters through `proc`, a procfs of our own that no mount of the container can cover
/// (CVE-2025-52881).
pub fn sysctl(proc: &Proc, parameters: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in parameters {
        let failed = || format!("set sysctl {key} to {value:?}");
        let file = proc.parameter(&sysctl_path(key)?).map_err(|errno| {
            Error::os("openat2", errno, failed())
                .hint("the kernel must know it and the namespace must own it")
        })?;
        nix::unistd::write(&file, value.as_bytes()).or_fail("write", failed)?;
    }
    Ok(())
}
