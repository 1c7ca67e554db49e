//! Goes through the container's place in every hierarchy and adds up what is counted there. Only reads; a cgroup that
//! was removed meanwhile counts nothing.

use super::{Stats, v1, v2};
use crate::cgroup::freeze::gone;
use crate::cgroup::{Cgroup, Version};
use crate::error::{Error, Result};

/// See [`Cgroup::stats`].
pub(in crate::cgroup) fn stats(cgroup: &Cgroup) -> Result<Stats> {
    let mut stats = Stats::default();
    let mut sizes = None;
    let alone = cgroup.nodes.len() == 1;
    for node in &cgroup.nodes {
        let dir = match node.open() {
            // Removed under us, or done without.
            Err(errno) if gone(errno) => continue,
            Err(errno) => {
                return Err(Error::os("openat2", errno, format!("read statistics of {}", node.path)));
            }
            Ok(dir) => dir,
        };
        let mut pages = || sizes.get_or_insert_with(page_sizes).clone();
        if node.version == Version::V2 {
            if alone {
                stats.cpu = v2::cpu(&dir)?;
                stats.memory = v2::memory(&dir)?;
                stats.pids = v2::pids(&dir)?;
                stats.blkio = v2::io(&dir)?;
            }
            if alone || stats.hugetlb.is_empty() {
                stats.hugetlb = v2::hugetlb(&dir, &pages())?;
            }
            continue;
        }
        for controller in &node.controllers {
            match controller.as_str() {
                "cpu" => v1::cpu(&dir, &mut stats.cpu)?,
                "cpuacct" => v1::cpuacct(&dir, &mut stats.cpu)?,
                "cpuset" => stats.cpuset = v1::cpuset(&dir)?,
                "memory" => stats.memory = v1::memory(&dir)?,
                "pids" => stats.pids = v1::pids(&dir)?,
                "blkio" => stats.blkio = v1::blkio(&dir)?,
                "hugetlb" => stats.hugetlb = v1::hugetlb(&dir, &pages())?,
                _ => {}
            }
        }
    }
    Ok(stats)
}

/// The kernel's huge page sizes as its cgroup files spell them.
fn page_sizes() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let mut sizes: Vec<String> = entries.filter_map(|e| page_size(e.file_name().to_str()?)).collect();
    sizes.sort();
    sizes
}

/// `hugepages-2048kB` as `2MB` (mm/hugetlb_cgroup.c, mem_fmt).
fn page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        k if k >= 1 << 20 => format!("{}GB", k >> 20),
        k if k >= 1 << 10 => format!("{}MB", k >> 10),
        k => format!("{k}KB"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_size_names() {
        for (name, size) in [
            ("hugepages-2048kB", Some("2MB")),
            ("hugepages-1048576kB", Some("1GB")),
            ("hugepages-64kB", Some("64KB")),
            ("hugepages-64MB", None),
            ("x", None),
        ] {
            assert_eq!(page_size(name).as_deref(), size, "{name}");
        }
    }
}
