//! Reads what cgroup v2 counts (Documentation/admin-guide/cgroup-v2.rst), under the names of v1. A file that is not
//! there counts nothing: its controller is off.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::read::{key_values, lines, number, unread};
use super::{Blkio, BlkioEntry, Cpu, Hugetlb, Memory, MemoryEntry, Pids, Pressure, Psi};
use crate::cgroup::dir::Dir;
use crate::error::Result;

/// `cpu.stat` is there without the controller; its times are in µs.
pub(super) fn cpu(dir: &Dir) -> Result<Cpu> {
    let stat = key_values(dir, "cpu.stat")?;
    let get = |key| stat.get(key).copied().unwrap_or(0);
    let mut cpu = Cpu { psi: psi(dir, "cpu.pressure")?, ..Cpu::default() };
    cpu.usage.total = get("usage_usec").saturating_mul(1000);
    cpu.usage.user = get("user_usec").saturating_mul(1000);
    cpu.usage.kernel = get("system_usec").saturating_mul(1000);
    cpu.throttling.periods = get("nr_periods");
    cpu.throttling.throttled_periods = get("nr_throttled");
    cpu.throttling.throttled_time = get("throttled_usec").saturating_mul(1000);
    Ok(cpu)
}

/// `memory`.
pub(super) fn memory(dir: &Dir) -> Result<Memory> {
    let raw = key_values(dir, "memory.stat")?;
    if raw.is_empty() {
        return Ok(Memory { psi: psi(dir, "memory.pressure")?, ..Memory::default() });
    }
    let usage = memory_entry(dir, "memory")?;
    let swap_only = memory_entry(dir, "memory.swap")?;
    Ok(Memory {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        // v1 counts memory and swap together. Their peaks need not have come at the same time: no number for that.
        swap: MemoryEntry {
            usage: swap_only.usage.saturating_add(usage.usage),
            limit: swap_only.limit.saturating_add(usage.limit),
            max: 0,
            failcnt: 0,
        },
        raw,
        psi: psi(dir, "memory.pressure")?,
        swap_only,
        events: key_values(dir, "memory.events")?,
        ..Memory::default()
    })
}

fn memory_entry(dir: &Dir, prefix: &str) -> Result<MemoryEntry> {
    let Some(usage) = number(dir, &format!("{prefix}.current"))? else { return Ok(MemoryEntry::default()) };
    let get = |file| number(dir, &format!("{prefix}.{file}")).map(|n| n.unwrap_or(0));
    // memory.peak since kernel 5.19, memory.swap.peak since 6.5.
    Ok(MemoryEntry { limit: get("max")?, usage, max: get("peak")?, failcnt: 0 })
}

/// `pids`; without the controller the processes are counted.
pub(super) fn pids(dir: &Dir) -> Result<Pids> {
    if let Some(current) = number(dir, "pids.current")? {
        let limit = number(dir, "pids.max")?.filter(|l| *l != u64::MAX).unwrap_or(0);
        return Ok(Pids { current, limit });
    }
    let count = match dir.read("cgroup.procs") {
        Err(Errno::EOPNOTSUPP) => lines(dir, "cgroup.threads")?.len(),
        Err(_) => 0,
        Ok(text) => text.lines().count(),
    };
    Ok(Pids { current: u64::try_from(count).unwrap_or(u64::MAX), limit: 0 })
}

/// `io`.
pub(super) fn io(dir: &Dir) -> Result<Blkio> {
    let mut blkio = Blkio { psi: psi(dir, "io.pressure")?, ..Blkio::default() };
    for line in lines(dir, "io.stat")? {
        device(&line, &mut blkio);
    }
    Ok(blkio)
}

/// `8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0`. Devices without a counter may stand before
/// it on the same line (seen with kernels up to 5.x), so the device is the last one named.
fn device(line: &str, blkio: &mut Blkio) {
    let mut numbers = None;
    for word in line.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            numbers = word.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            continue;
        };
        let (table, op) = match key {
            "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
            "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
            "rios" => (&mut blkio.io_serviced_recursive, "Read"),
            "wios" => (&mut blkio.io_serviced_recursive, "Write"),
            _ => continue,
        };
        if let (Some((major, minor)), Ok(value)) = (numbers, value.parse()) {
            table.push(BlkioEntry { major, minor, op: op.to_owned(), value });
        }
    }
}

/// `hugetlb`: reservations where the kernel counts them (5.7).
pub(super) fn hugetlb(dir: &Dir, sizes: &[String]) -> Result<BTreeMap<String, Hugetlb>> {
    let mut all = BTreeMap::new();
    for size in sizes {
        for prefix in [format!("hugetlb.{size}.rsvd"), format!("hugetlb.{size}")] {
            let Some(usage) = number(dir, &format!("{prefix}.current"))? else { continue };
            let events = key_values(dir, &format!("hugetlb.{size}.events"))?;
            let failcnt = events.get("max").copied().unwrap_or(0);
            all.insert(size.clone(), Hugetlb { usage, max: 0, failcnt });
            break;
        }
    }
    Ok(all)
}

/// A pressure file; None where the kernel keeps none (before 4.20, without CONFIG_PSI, or with psi=0, which some
/// kernels say only at the read).
fn psi(dir: &Dir, file: &str) -> Result<Option<Psi>> {
    match dir.read(file) {
        Ok(text) => Ok(Some(parse_psi(&text))),
        Err(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(unread(dir, file, errno)),
    }
}

fn parse_psi(text: &str) -> Psi {
    let mut psi = Psi::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let pressure = match words.next() {
            Some("some") => &mut psi.some,
            Some("full") => &mut psi.full,
            _ => continue,
        };
        *pressure = parse_pressure(words);
    }
    psi
}

fn parse_pressure<'w>(words: impl Iterator<Item = &'w str>) -> Pressure {
    let mut pressure = Pressure::default();
    for (key, value) in words.filter_map(|w| w.split_once('=')) {
        let share = || value.parse().unwrap_or(0.0);
        match key {
            "avg10" => pressure.avg10 = share(),
            "avg60" => pressure.avg60 = share(),
            "avg300" => pressure.avg300 = share(),
            "total" => pressure.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_file() {
        let psi = parse_psi(
            "some avg10=1.50 avg60=0.25 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        );
        assert_eq!(psi.some, Pressure { avg10: 1.5, avg60: 0.25, avg300: 0.0, total: 4711 });
        assert_eq!(psi.full, Pressure::default());
    }

    #[test]
    fn io_stat_lines() {
        let mut blkio = Blkio::default();
        device("8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9 dios=9 cost.usage=7", &mut blkio);
        device("254:1 254:2 rbytes=30 wbytes=0", &mut blkio);
        device("nonsense rbytes=1", &mut blkio);
        let made = |major, minor, op: &str, value| BlkioEntry { major, minor, op: op.into(), value };
        assert_eq!(
            blkio.io_service_bytes_recursive,
            [
                made(8, 16, "Read", 10),
                made(8, 16, "Write", 20),
                made(254, 2, "Read", 30),
                made(254, 2, "Write", 0)
            ]
        );
        assert_eq!(blkio.io_serviced_recursive, [made(8, 16, "Read", 1), made(8, 16, "Write", 2)]);
    }

    #[test]
    fn fuzz() {
        let seed = b"some avg10=1.50 avg60=0.25 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        crate::fuzz::run("cgroup-pressure", &[seed], |bytes| {
            format!("{:?}", parse_psi(&String::from_utf8_lossy(bytes)))
        });
    }
}
