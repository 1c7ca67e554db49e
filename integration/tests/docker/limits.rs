//! Limits: what the flags of `docker run` and `docker update` do to memory, processors, processes and files. Asked
//! inside the container and, where the kernel acts, by running into the limit.

use crate::{DOCKER, asleep, cgroup_file};

#[test]
fn memory_limit_as_the_container_sees_it() {
    let see = cgroup_file("memory.max", "memory/memory.limit_in_bytes");
    DOCKER.prints(&format!("docker run --rm -m 64m busybox {see}"), "67108864");
    let name = asleep("limits-memory", "-m 64m --memory-reservation 32m");
    DOCKER.prints(&format!("docker inspect -f '{{{{.HostConfig.Memory}}}}' {name}"), "67108864");
    let see = cgroup_file("memory.low", "memory/memory.soft_limit_in_bytes");
    DOCKER.prints(&format!("docker exec {name} {see}"), "33554432");
}

#[test]
fn running_out_of_memory_is_137_and_told_by_inspect() {
    let name = DOCKER.named("limits-oom");
    // A shim of containerd 1.6 watches the memory only from a moment after the start.
    let script = "sleep 0.5; exec tail /dev/zero";
    let said =
        DOCKER.sh(&format!("docker run --name {name} -m 16m --memory-swap 16m busybox sh -c '{script}'"));
    assert_eq!(said.code, 137, "{said}");
    DOCKER.comes_to(
        &format!("docker inspect -f '{{{{.State.OOMKilled}}}} {{{{.State.ExitCode}}}}' {name}"),
        "true 137",
    );
}

#[test]
fn processors_by_share_of_time() {
    let see = cgroup_file("cpu.max", "cpu/cpu.cfs_quota_us");
    let quota = DOCKER.output(&format!("docker run --rm --cpus 0.5 busybox {see}"));
    assert!(["50000", "50000 100000"].contains(&quota.as_str()), "{quota}");
    let see = cgroup_file("cpu.weight", "cpu/cpu.shares");
    let shares = DOCKER.output(&format!("docker run --rm --cpu-shares 512 busybox {see}"));
    // 20 and 59 are what the two formulas for cgroup v2 make of 512.
    assert!(["512", "20", "59"].contains(&shares.as_str()), "{shares}");
}

#[test]
fn processors_by_number() {
    if integration::host::controller_mount("cpuset").is_none() {
        return integration::skip("no cgroup controller cpuset");
    }
    DOCKER.prints(
        "docker run --rm --cpuset-cpus 0 busybox grep Cpus_allowed_list /proc/self/status",
        "Cpus_allowed_list:\t0",
    );
    let name = asleep("limits-cpuset", "--cpuset-cpus 0");
    DOCKER.prints(&format!("docker exec {name} nproc"), "1");
    DOCKER.prints(&format!("docker inspect -f '{{{{.HostConfig.CpusetCpus}}}}' {name}"), "0");
}

#[test]
fn number_of_processes() {
    let see = cgroup_file("pids.max", "pids/pids.max");
    DOCKER.prints(&format!("docker run --rm --pids-limit 9 busybox {see}"), "9");
    DOCKER.prints(&format!("docker run --rm --pids-limit -1 busybox {see}"), "max");
    let said =
        DOCKER.sh("docker run --rm --pids-limit 9 busybox sh -c 'for n in $(seq 20); do sleep 5 & done'");
    assert!(said.stderr.contains("can't fork"), "{said}");
}

#[test]
fn open_files_and_other_ulimits() {
    DOCKER.prints(
        "docker run --rm --ulimit nofile=1234:2345 busybox sh -c 'ulimit -n; ulimit -Hn'",
        "1234\n2345",
    );
    DOCKER.prints(
        "docker run --rm --ulimit core=0 --ulimit fsize=4096 busybox sh -c 'ulimit -c; ulimit -f'",
        "0\n8",
    );
}

#[test]
fn shared_memory_size() {
    DOCKER.prints("docker run --rm --shm-size 32m busybox sh -c 'df -k /dev/shm | tail -n 1 | tr -s \" \" | cut -d\" \" -f2'", "32768");
    DOCKER.prints(
        "docker run --rm busybox sh -c 'df -k /dev/shm | tail -n 1 | tr -s \" \" | cut -d\" \" -f2'",
        "65536",
    );
}

#[test]
fn oom_score_adjustment() {
    DOCKER.prints("docker run --rm --oom-score-adj 500 busybox cat /proc/self/oom_score_adj", "500");
}

#[test]
fn kernel_parameters_of_its_namespaces() {
    DOCKER.prints(
        "docker run --rm --sysctl net.ipv4.ip_default_ttl=77 busybox cat /proc/sys/net/ipv4/ip_default_ttl",
        "77",
    );
    DOCKER.prints("docker run --rm --sysctl kernel.msgmax=4096 busybox cat /proc/sys/kernel/msgmax", "4096");
    let said = DOCKER.sh("docker run --rm --sysctl kernel.pid_max=4096 busybox true");
    assert!(said.code != 0 && said.stderr.contains("kernel.pid_max"), "{said}");
}

#[test]
fn update_changes_a_running_container() {
    let name = asleep("limits-update", "-m 64m --memory-swap 128m");
    DOCKER.output(&format!("docker update -m 96m --cpus 0.5 --pids-limit 33 {name}"));
    let see = cgroup_file("memory.max", "memory/memory.limit_in_bytes");
    DOCKER.prints(&format!("docker exec {name} {see}"), "100663296");
    let see = cgroup_file("pids.max", "pids/pids.max");
    DOCKER.prints(&format!("docker exec {name} {see}"), "33");
    let see = cgroup_file("cpu.max", "cpu/cpu.cfs_quota_us");
    let quota = DOCKER.output(&format!("docker exec {name} {see}"));
    assert!(quota.starts_with("50000"), "{quota}");
    // Its devices stay as they were.
    DOCKER.prints(&format!("docker exec {name} head -c 4 /dev/zero | wc -c"), "4");
}

#[test]
fn an_impossible_limit_is_an_error_that_names_it() {
    if integration::host::controller_mount("cpuset").is_none() {
        return integration::skip("no cgroup controller cpuset: docker leaves the limit out");
    }
    let said = DOCKER.sh("docker run --rm --cpuset-cpus 0,4000 busybox true");
    assert!(said.code == 125 && said.stderr.contains("4000"), "{said}");
}
