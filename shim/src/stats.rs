//! What a container uses, in the messages that containerd's clients know: one for cgroup v1, another for v2. Only reads.

use containerd_shim_protos::cgroups::metrics as v1;
use containerd_shim_protos::cgroups_v2::metrics as v2;
use pinnace::cgroup::{Cgroup, Mode, Stats};
use pinnace::container::state::Container;
use pinnace::error::{Error, Result};
use protobuf::well_known_types::any::Any;
use protobuf::{Message, MessageField};

use some as field;

/// The statistics of a container, also of one that has ended and is not deleted.
pub(crate) fn of(container: &Container) -> Result<Any> {
    let stats = container.stats()?;
    match Cgroup::mode() {
        Mode::V2 => named("io.containerd.cgroups.v2.Metrics", &two(&stats)),
        Mode::V1 | Mode::Hybrid => {
            let kills = container.cgroup()?.oom_kills().unwrap_or(0);
            named("io.containerd.cgroups.v1.Metrics", &one(&stats, kills))
        }
    }
}

fn named<T: Message>(name: &str, message: &T) -> Result<Any> {
    let value = message.write_to_bytes().map_err(|e| Error::invalid(format!("write the statistics: {e}")))?;
    Ok(Any { type_url: name.to_owned(), value, ..Any::default() })
}

fn some<T>(message: T) -> MessageField<T> {
    MessageField::some(message)
}

fn one(stats: &Stats, oom_kill: u64) -> v1::Metrics {
    let mut cpu = v1::CPUStat::new();
    let usage = &stats.cpu.usage;
    cpu.usage = field(v1::CPUUsage {
        total: usage.total,
        kernel: usage.kernel,
        user: usage.user,
        per_cpu: usage.percpu.clone(),
        ..v1::CPUUsage::default()
    });
    let throttling = &stats.cpu.throttling;
    cpu.throttling = field(v1::Throttle {
        periods: throttling.periods,
        throttled_periods: throttling.throttled_periods,
        throttled_time: throttling.throttled_time,
        ..v1::Throttle::default()
    });
    let pids =
        v1::PidsStat { current: stats.pids.current, limit: stats.pids.limit, ..v1::PidsStat::default() };
    let hugetlb = stats.hugetlb.iter().map(|(size, page)| v1::HugetlbStat {
        usage: page.usage,
        max: page.max,
        failcnt: page.failcnt,
        pagesize: size.clone(),
        ..v1::HugetlbStat::default()
    });
    v1::Metrics {
        hugetlb: hugetlb.collect(),
        pids: field(pids),
        cpu: field(cpu),
        memory: field(memory_one(stats)),
        blkio: field(blkio(stats)),
        memory_oom_control: field(v1::MemoryOomControl { oom_kill, ..v1::MemoryOomControl::default() }),
        ..v1::Metrics::default()
    }
}

fn memory_one(stats: &Stats) -> v1::MemoryStat {
    let memory = &stats.memory;
    let raw = |name: &str| memory.raw.get(name).copied().unwrap_or(0);
    let entry = |entry: pinnace::cgroup::MemoryEntry| {
        field(v1::MemoryEntry {
            limit: entry.limit,
            usage: entry.usage,
            max: entry.max,
            failcnt: entry.failcnt,
            ..v1::MemoryEntry::default()
        })
    };
    v1::MemoryStat {
        cache: raw("cache"),
        rss: raw("rss"),
        rss_huge: raw("rss_huge"),
        mapped_file: raw("mapped_file"),
        dirty: raw("dirty"),
        writeback: raw("writeback"),
        pg_pg_in: raw("pgpgin"),
        pg_pg_out: raw("pgpgout"),
        pg_fault: raw("pgfault"),
        pg_maj_fault: raw("pgmajfault"),
        inactive_anon: raw("inactive_anon"),
        active_anon: raw("active_anon"),
        inactive_file: raw("inactive_file"),
        active_file: raw("active_file"),
        unevictable: raw("unevictable"),
        hierarchical_memory_limit: raw("hierarchical_memory_limit"),
        hierarchical_swap_limit: raw("hierarchical_memsw_limit"),
        total_cache: raw("total_cache"),
        total_rss: raw("total_rss"),
        total_rss_huge: raw("total_rss_huge"),
        total_mapped_file: raw("total_mapped_file"),
        total_dirty: raw("total_dirty"),
        total_writeback: raw("total_writeback"),
        total_pg_pg_in: raw("total_pgpgin"),
        total_pg_pg_out: raw("total_pgpgout"),
        total_pg_fault: raw("total_pgfault"),
        total_pg_maj_fault: raw("total_pgmajfault"),
        total_inactive_anon: raw("total_inactive_anon"),
        total_active_anon: raw("total_active_anon"),
        total_inactive_file: raw("total_inactive_file"),
        total_active_file: raw("total_active_file"),
        total_unevictable: raw("total_unevictable"),
        usage: entry(memory.usage),
        swap: entry(memory.swap),
        kernel: entry(memory.kernel),
        kernel_tcp: entry(memory.kernel_tcp),
        ..v1::MemoryStat::default()
    }
}

fn blkio(stats: &Stats) -> v1::BlkIOStat {
    let entries = |list: &[pinnace::cgroup::BlkioEntry]| {
        let entry = |entry: &pinnace::cgroup::BlkioEntry| v1::BlkIOEntry {
            op: entry.op.clone(),
            major: entry.major,
            minor: entry.minor,
            value: entry.value,
            ..v1::BlkIOEntry::default()
        };
        list.iter().map(entry).collect()
    };
    let blkio = &stats.blkio;
    v1::BlkIOStat {
        io_service_bytes_recursive: entries(&blkio.io_service_bytes_recursive),
        io_serviced_recursive: entries(&blkio.io_serviced_recursive),
        io_queued_recursive: entries(&blkio.io_queued_recursive),
        io_service_time_recursive: entries(&blkio.io_service_time_recursive),
        io_wait_time_recursive: entries(&blkio.io_wait_time_recursive),
        io_merged_recursive: entries(&blkio.io_merged_recursive),
        io_time_recursive: entries(&blkio.io_time_recursive),
        sectors_recursive: entries(&blkio.sectors_recursive),
        ..v1::BlkIOStat::default()
    }
}

/// Nanoseconds, which the library counts in, to what cgroup v2 counts in.
fn micro(nanoseconds: u64) -> u64 {
    nanoseconds / 1000
}

fn two(stats: &Stats) -> v2::Metrics {
    let (usage, throttling) = (&stats.cpu.usage, &stats.cpu.throttling);
    let cpu = v2::CPUStat {
        usage_usec: micro(usage.total),
        user_usec: micro(usage.user),
        system_usec: micro(usage.kernel),
        nr_periods: throttling.periods,
        nr_throttled: throttling.throttled_periods,
        throttled_usec: micro(throttling.throttled_time),
        ..v2::CPUStat::default()
    };
    let pids =
        v2::PidsStat { current: stats.pids.current, limit: stats.pids.limit, ..v2::PidsStat::default() };
    let event = |name: &str| stats.memory.events.get(name).copied().unwrap_or(0);
    let events = v2::MemoryEvents {
        low: event("low"),
        high: event("high"),
        max: event("max"),
        oom: event("oom"),
        oom_kill: event("oom_kill"),
        oom_group_kill: event("oom_group_kill"),
        ..v2::MemoryEvents::default()
    };
    let hugetlb = stats.hugetlb.iter().map(|(size, page)| v2::HugeTlbStat {
        current: page.usage,
        max: page.max,
        failcnt: page.failcnt,
        pagesize: size.clone(),
        ..v2::HugeTlbStat::default()
    });
    v2::Metrics {
        pids: field(pids),
        cpu: field(cpu),
        memory: field(memory_two(stats)),
        io: field(io(stats)),
        hugetlb: hugetlb.collect(),
        memory_events: field(events),
        ..v2::Metrics::default()
    }
}

fn memory_two(stats: &Stats) -> v2::MemoryStat {
    let memory = &stats.memory;
    let raw = |name: &str| memory.raw.get(name).copied().unwrap_or(0);
    v2::MemoryStat {
        anon: raw("anon"),
        file: raw("file"),
        kernel_stack: raw("kernel_stack"),
        slab: raw("slab"),
        sock: raw("sock"),
        shmem: raw("shmem"),
        file_mapped: raw("file_mapped"),
        file_dirty: raw("file_dirty"),
        file_writeback: raw("file_writeback"),
        anon_thp: raw("anon_thp"),
        inactive_anon: raw("inactive_anon"),
        active_anon: raw("active_anon"),
        inactive_file: raw("inactive_file"),
        active_file: raw("active_file"),
        unevictable: raw("unevictable"),
        slab_reclaimable: raw("slab_reclaimable"),
        slab_unreclaimable: raw("slab_unreclaimable"),
        pgfault: raw("pgfault"),
        pgmajfault: raw("pgmajfault"),
        workingset_refault: raw("workingset_refault_anon") + raw("workingset_refault_file"),
        workingset_activate: raw("workingset_activate_anon") + raw("workingset_activate_file"),
        workingset_nodereclaim: raw("workingset_nodereclaim"),
        pgrefill: raw("pgrefill"),
        pgscan: raw("pgscan"),
        pgsteal: raw("pgsteal"),
        pgactivate: raw("pgactivate"),
        pgdeactivate: raw("pgdeactivate"),
        pglazyfree: raw("pglazyfree"),
        pglazyfreed: raw("pglazyfreed"),
        thp_fault_alloc: raw("thp_fault_alloc"),
        thp_collapse_alloc: raw("thp_collapse_alloc"),
        usage: memory.usage.usage,
        usage_limit: memory.usage.limit,
        max_usage: memory.usage.max,
        swap_usage: memory.swap_only.usage,
        swap_limit: memory.swap_only.limit,
        swap_max_usage: memory.swap_only.max,
        ..v2::MemoryStat::default()
    }
}

/// io.stat's numbers, one entry a device.
fn io(stats: &Stats) -> v2::IOStat {
    let mut devices = std::collections::BTreeMap::<(u64, u64), v2::IOEntry>::new();
    let blkio = &stats.blkio;
    let bytes = blkio.io_service_bytes_recursive.iter().map(|entry| (true, entry));
    for (in_bytes, entry) in bytes.chain(blkio.io_serviced_recursive.iter().map(|entry| (false, entry))) {
        let device = devices.entry((entry.major, entry.minor)).or_default();
        (device.major, device.minor) = (entry.major, entry.minor);
        match (in_bytes, entry.op.as_str()) {
            (true, "Read") => device.rbytes = entry.value,
            (true, "Write") => device.wbytes = entry.value,
            (false, "Read") => device.rios = entry.value,
            (false, "Write") => device.wios = entry.value,
            _ => {}
        }
    }
    v2::IOStat { usage: devices.into_values().collect(), ..v2::IOStat::default() }
}
