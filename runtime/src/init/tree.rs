//! The steps that make the container's file tree, in the order in which the host's becomes unreachable.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::procfs::Proc;
use super::root::Make;
use super::{Init, cgroupfs, devices, hide as covers, mounts, names as uts, rootfs};
use crate::error::{Error, OrFail, Result};
use crate::plan::mounts::{Kind, Mount};
use crate::plan::namespaces::{CGROUP, USER};
use crate::sys::mount::{Attr, set_attr};
use nix::mount::MsFlags;

/// The root mount, all mounts, and /dev.
pub fn build(init: &mut Init<'_>) -> Result<()> {
    let plan = init.plan;
    // Mounts that are to share events with the host are cloned while the tree here is still the host's peer.
    let mut shared: Vec<Option<OwnedFd>> = Vec::with_capacity(plan.mounts.len());
    for (index, mount) in plan.mounts.iter().enumerate() {
        shared.push(if shares(mount) { Some(open(init, index)?) } else { None });
    }
    let root = rootfs::enter(&plan.rootfs)?;
    for (index, (mount, shared)) in plan.mounts.iter().zip(shared).enumerate() {
        if mount.kind == Kind::Cgroup {
            cgroupfs::mount(&root, mount, init.views, plan.namespaces.private(CGROUP))?;
        } else {
            let made = mounts::mount(&root, mount, || shared.map_or_else(|| open(init, index), Ok))?;
            if mount.readonly_later {
                init.made.readonly_later.push(made);
            } else {
                keep_proc(init, mount, made)?;
            }
        }
    }
    if let Some(list) = &plan.devices {
        devices::make(&root, list, plan.namespaces.private(USER))?;
        devices::link(&root)?;
    }
    // The working directory of the process is made while the root can still be written to.
    let cwd = crate::plan::mounts::clean(Path::new(&plan.process.cwd));
    if !cwd.as_os_str().is_empty() {
        root.ensure(&cwd, Make::Directory)?;
    }
    init.made.root = Some(root);
    Ok(())
}

/// A detached copy of the source of bind mount number `index`. The container opens it itself, so that it sees what was
/// mounted before, and so that what a user namespace may not change stays locked; what it can't reach the runtime has
/// opened. Ids are mapped by the runtime, since the file system's owner has to do it.
fn open(init: &mut Init<'_>, index: usize) -> Result<OwnedFd> {
    let mount = &init.plan.mounts[index];
    let Kind::Bind { source, recursive } = &mount.kind else {
        return Err(Error::invalid("only a bind mount has a source"));
    };
    let lent = init.sources.get_mut(index).and_then(Option::take);
    let tree = match (mounts::open_source(source, *recursive), lent) {
        (Err(_), Some(lent)) => {
            cut_off(&lent, mount)?;
            lent
        }
        (tree, _) => tree?,
    };
    if mount.is_idmapped() {
        init.who.wire.idmap(index, &tree)?;
    }
    Ok(tree)
}

/// Mount events are to travel between the container and the host.
fn shares(mount: &Mount) -> bool {
    let shared = mount.options.propagation.iter().any(|flags| flags & MsFlags::MS_SHARED.bits() != 0);
    shared && matches!(mount.kind, Kind::Bind { .. })
}

/// A clone that was made while this tree was the host's peer must not send the container's mounts there, unless asked.
fn cut_off(source: &OwnedFd, mount: &Mount) -> Result<()> {
    if shares(mount) {
        return Ok(());
    }
    let slave = Attr { propagation: MsFlags::MS_SLAVE.bits(), ..Attr::default() };
    set_attr(source, slave, true)
        .or_fail("mount_setattr", || format!("cut off mount /{}", mount.target.display()))
}

/// The container's own procfs, held by descriptor, is one that nothing can cover.
fn keep_proc(init: &mut Init<'_>, mount: &Mount, made: OwnedFd) -> Result<()> {
    let is_proc = matches!(&mount.kind, Kind::Fs { name, .. } if name == "proc");
    let plain = mount.options.data.is_empty() && mount.options.set & libc::MOUNT_ATTR_RDONLY == 0;
    if is_proc && plain && init.made.proc.is_none() {
        init.made.proc = Some(Proc::verified(made).or_fail("fstatfs", || "look at the container's procfs")?);
    }
    Ok(())
}

/// Read-only and masked paths.
pub fn hide(init: &mut Init<'_>) -> Result<()> {
    let linux = init.plan.linux();
    let root = init.root()?;
    covers::readonly(root, &linux.readonly_paths)?;
    let cover = covers::mask(root, &linux.masked_paths)?;
    init.made.cover = cover;
    Ok(())
}

/// Enters the tree and leaves the host's behind.
pub fn pivot(init: &mut Init<'_>) -> Result<()> {
    let root = init.root()?;
    rootfs::pivot(root, &init.plan.rootfs)?;
    for mount in &init.made.readonly_later {
        rootfs::make_readonly(mount)?;
    }
    if init.plan.rootfs.readonly {
        rootfs::make_readonly(root.fd())?;
    }
    Ok(())
}

/// Host name, domain name, kernel parameters.
pub fn names(init: &mut Init<'_>) -> Result<()> {
    let plan = init.plan;
    uts::set(plan.spec.hostname.as_deref(), plan.spec.domainname.as_deref())?;
    let linux = plan.linux();
    if !linux.sysctl.is_empty() {
        uts::sysctl(init.proc()?, &linux.sysctl)?;
    }
    Ok(())
}
