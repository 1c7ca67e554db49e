//! What `events` tells of a resctrl group, under runc's names. Only reads.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Resctrl;
use crate::error::{Error, Kind, OrFail, Result};

/// Numbers and lines of a container's group; all absent for a container without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// What the cache allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_info: Option<CacheInfo>,
    /// The cache line of the default class.
    #[serde(skip_serializing_if = "String::is_empty")]
    l3_cache_schema_root: String,
    /// The container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    l3_cache_schema: String,
    /// What the memory bus allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_info: Option<BandwidthInfo>,
    /// The bandwidth line of the default class.
    #[serde(skip_serializing_if = "String::is_empty")]
    mem_bw_schema_root: String,
    /// The container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    mem_bw_schema: String,
    /// All lines of the container's class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    schemata: Vec<String>,
    /// Bytes moved, by domain.
    #[serde(rename = "mbm_stats", skip_serializing_if = "Option::is_none")]
    bandwidth: Option<Vec<Bandwidth>>,
    /// Cache filled, by domain.
    #[serde(rename = "cmt_stats", skip_serializing_if = "Option::is_none")]
    occupancy: Option<Vec<Occupancy>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct CacheInfo {
    cbm_mask: String,
    min_cbm_bits: u64,
    num_closids: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct BandwidthInfo {
    bandwidth_gran: u64,
    delay_linear: u64,
    min_bandwidth: u64,
    num_closids: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Bandwidth {
    mbm_total_bytes: u64,
    mbm_local_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Occupancy {
    llc_occupancy: u64,
}

impl Resctrl {
    /// Reads what a container in class `group` uses; `monitoring` is its own monitoring group, if it has one.
    pub fn stats(&self, group: &Path, monitoring: Option<&Path>) -> Result<Stats> {
        let above = lines(&self.root)?;
        let schemata = lines(group)?;
        let line = |lines: &[String], word: &str| {
            lines.iter().rev().find(|line| line.contains(word)).cloned().unwrap_or_default()
        };
        let mut stats = Stats::default();
        if self.allocates_cache() {
            let info = self.root.join("info/L3");
            stats.l3_cache_info = Some(CacheInfo {
                cbm_mask: text(&info, "cbm_mask")?,
                min_cbm_bits: number(&info, "min_cbm_bits")?,
                num_closids: number(&info, "num_closids")?,
            });
            stats.l3_cache_schema_root = line(&above, "L3");
            stats.l3_cache_schema = line(&schemata, "L3");
        }
        if self.allocates_bandwidth() {
            let info = self.root.join("info/MB");
            stats.mem_bw_info = Some(BandwidthInfo {
                bandwidth_gran: number(&info, "bandwidth_gran")?,
                delay_linear: number(&info, "delay_linear")?,
                min_bandwidth: number(&info, "min_bandwidth")?,
                num_closids: number(&info, "num_closids")?,
            });
            stats.mem_bw_schema_root = line(&above, "MB");
            stats.mem_bw_schema = line(&schemata, "MB");
        }
        stats.schemata = schemata;
        self.monitor(monitoring.unwrap_or(group), &mut stats)?;
        Ok(stats)
    }

    fn monitor(&self, group: &Path, stats: &mut Stats) -> Result<()> {
        let Ok(features) = text(&self.root.join("info/L3_MON"), "mon_features") else { return Ok(()) };
        let has = |word: &str| features.lines().any(|line| line == word);
        let moves = has("mbm_total_bytes") || has("mbm_local_bytes");
        let path = group.join("mon_data");
        let read = || format!("read {}", path.display());
        let mut domains = Vec::new();
        for entry in fs::read_dir(&path).or_fail("open", read)? {
            domains.push(entry.or_fail("getdents", read)?.path());
        }
        domains.sort_unstable();
        let count = |path: &Path, word: &str| if has(word) { number(path, word) } else { Ok(0) };
        if moves {
            let mut all = Vec::new();
            for domain in &domains {
                all.push(Bandwidth {
                    mbm_total_bytes: count(domain, "mbm_total_bytes")?,
                    mbm_local_bytes: count(domain, "mbm_local_bytes")?,
                });
            }
            stats.bandwidth = Some(all);
        }
        if has("llc_occupancy") {
            let mut all = Vec::new();
            for domain in &domains {
                all.push(Occupancy { llc_occupancy: number(domain, "llc_occupancy")? });
            }
            stats.occupancy = Some(all);
        }
        Ok(())
    }
}

fn text(directory: &Path, name: &str) -> Result<String> {
    let path = directory.join(name);
    let text = fs::read_to_string(&path).or_fail("read", || format!("read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn lines(group: &Path) -> Result<Vec<String>> {
    Ok(text(group, "schemata")?.lines().map(|line| line.trim().to_owned()).collect())
}

fn number(directory: &Path, name: &str) -> Result<u64> {
    let text = text(directory, name)?;
    text.parse().map_err(|_| {
        Error::new(Kind::Host, format!("read {}: {text:?} is no number", directory.join(name).display()))
    })
}
