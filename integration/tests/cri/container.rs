//! Containers of a pod: what a probe is told, logs, limits, ends.

use integration::host::{LIMIT, eventually};
use k8s_cri::v1::{
    Capability, ContainerState, ContainerStatsRequest, ExecSyncRequest, Int64Value, LinuxContainerResources,
    Mount, RemoveContainerRequest, ReopenContainerLogRequest, SecurityProfile,
    UpdateContainerResourcesRequest, security_profile,
};

use crate::ENGINE;
use crate::client::Cri;

/// Resources with a limit of memory, in bytes.
fn memory(bytes: i64) -> LinuxContainerResources {
    LinuxContainerResources { memory_limit_in_bytes: bytes, ..LinuxContainerResources::default() }
}

#[test]
fn a_probe_is_told_the_exit_code_and_both_outputs() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("probe");
    let id = pod.run("main", "sleep 600");
    let answer = pod.exec(&id, "echo out; echo err >&2; exit 7");
    assert_eq!((answer.exit_code, answer.stdout, answer.stderr), (7, b"out\n".to_vec(), b"err\n".to_vec()));
    let large = pod.exec(&id, "head -c 3000000 /dev/zero");
    assert_eq!((large.exit_code, large.stdout.len()), (0, 3_000_000));
}

#[test]
fn a_probe_that_takes_too_long_is_killed() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("slow-probe");
    let id = pod.run("main", "sleep 600");
    let cmd = ["sleep", "7421"].map(str::to_owned).to_vec();
    let request = ExecSyncRequest { container_id: id.clone(), cmd, timeout: 1 };
    let status = cri.call(async |mut client| client.exec_sync(request).await).unwrap_err();
    assert!(status.message().contains("timeout"), "{status}");
    ENGINE.comes_to("pgrep -fx 'sleep 7421' || true", "");
    assert_eq!(pod.output(&id, "echo alive"), "alive");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("no-program");
    let id = pod.run("main", "sleep 600");
    let request = ExecSyncRequest { container_id: id, cmd: vec!["/no/such".to_owned()], timeout: 60 };
    let status = cri.call(async |mut client| client.exec_sync(request).await).unwrap_err();
    assert!(status.message().contains("/no/such") && status.message().contains("no such file"), "{status}");
}

#[test]
fn logs_have_both_streams_and_survive_rotation() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("logs");
    let line =
        "echo first; echo wrong >&2; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo second; sleep 600";
    let id = pod.run("main", line);
    let has = |text: &str| eventually(LIMIT, || pod.log("main").contains(text).then_some(()));
    assert!(has("stdout F first\n").is_some() && has("stderr F wrong\n").is_some(), "{}", pod.log("main"));
    let path = format!("{}/main.log", pod.config.log_directory);
    std::fs::rename(&path, format!("{path}.1")).unwrap();
    let request = ReopenContainerLogRequest { container_id: id.clone() };
    cri.ask(async |mut client| client.reopen_container_log(request).await);
    pod.output(&id, "touch /tmp/go");
    assert!(has("stdout F second\n").is_some(), "{}", pod.log("main"));
    assert!(!pod.log("main").contains("first"));
}

#[test]
fn a_container_that_ends_by_itself_keeps_its_exit_code() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("ends");
    for (name, line, code) in
        [("seven", "exit 7", 7), ("killed", "sh -c 'kill -9 $$'; exit $?", 137), ("well", "true", 0)]
    {
        let id = pod.run(name, line);
        let status = cri.ended(&id);
        let reason = if code == 0 { "Completed" } else { "Error" };
        assert_eq!((status.exit_code, status.reason.as_str()), (code, reason), "{name}");
        assert!(status.finished_at >= status.created_at, "{name}");
    }
}

#[test]
fn a_container_without_memory_is_oom_killed() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("oom");
    let line = "sleep 1; x=a; while :; do x=$x$x; done";
    let id = pod.run_with("main", line, |config| {
        config.linux.as_mut().unwrap().resources = Some(memory(20 << 20));
    });
    let status = cri.ended(&id);
    // containerd hears of the lack of memory in an event of its own, which may come after that of the end.
    let told = eventually(LIMIT, || (cri.status(&id).reason == "OOMKilled").then_some(()));
    assert!(told.is_some() && status.exit_code == 137, "{status:?}");
}

#[test]
fn a_container_is_stopped_gently_then_by_force() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("stop");
    let gentle = pod.run("gentle", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let deaf = pod.run("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    for name in ["gentle", "deaf"] {
        let ready = eventually(LIMIT, || pod.log(name).contains("ready").then_some(()));
        assert!(ready.is_some(), "{name} does not begin");
    }
    pod.stop(&gentle, 60);
    pod.stop(&deaf, 1);
    assert_eq!(cri.status(&gentle).exit_code, 3);
    assert_eq!(cri.status(&deaf).exit_code, 137);
    assert_eq!(cri.status(&deaf).state(), ContainerState::ContainerExited);
    let request = RemoveContainerRequest { container_id: gentle.clone() };
    cri.ask(async |mut client| client.remove_container(request).await);
    ENGINE.comes_to(&format!("find /sys/fs/cgroup -name '*{gentle}*'"), "");
}

#[test]
fn stats_count_what_a_container_uses() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("stats");
    let id = pod.run("main", "dd if=/dev/zero of=/dev/shm/x bs=1M count=8; while :; do :; done");
    let stats = eventually(LIMIT, || {
        let request = ContainerStatsRequest { container_id: id.clone() };
        let stats = cri.ask(async |mut client| client.container_stats(request).await).stats?;
        let cpu = stats.cpu?.usage_core_nano_seconds?.value;
        let memory = stats.memory?.working_set_bytes?.value;
        (cpu > 100_000_000 && memory > 8 << 20).then_some(())
    });
    assert!(stats.is_some(), "stats never show 0.1 s of a busy loop and 8 MiB");
}

#[test]
fn limits_are_set_and_changed_while_it_runs() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("limits");
    let resources = LinuxContainerResources {
        cpu_period: 100_000,
        cpu_quota: 50_000,
        cpu_shares: 512,
        ..memory(64 << 20)
    };
    let id = pod.run_with("main", "sleep 600", |config| {
        config.linux.as_mut().unwrap().resources = Some(resources);
    });
    let limit = |controller: &str, v1: &str, v2: &str| {
        let find = format!(
            "find /sys/fs/cgroup/{controller} /sys/fs/cgroup -path '*{id}*' \\( -name {v1} -o -name {v2} \\) 2>/dev/null | head -1"
        );
        ENGINE.output(&format!("cat $({find})"))
    };
    let memory_now = || limit("memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory_now(), (64 << 20).to_string());
    let quota = limit("cpu", "cpu.cfs_quota_us", "cpu.max");
    assert_eq!(quota.split(' ').next(), Some("50000"));
    let request = UpdateContainerResourcesRequest {
        container_id: id.clone(),
        linux: Some(memory(96 << 20)),
        ..UpdateContainerResourcesRequest::default()
    };
    cri.ask(async |mut client| client.update_container_resources(request).await);
    assert_eq!(memory_now(), (96 << 20).to_string());
}

#[test]
fn the_security_context_holds_inside() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("security");
    let id = pod.run_with("main", "sleep 600", |config| {
        let security = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        security.run_as_user = Some(Int64Value { value: 1000 });
        security.run_as_group = Some(Int64Value { value: 1001 });
        security.supplemental_groups = vec![2000];
        security.readonly_rootfs = true;
        security.no_new_privs = true;
        security.masked_paths = vec!["/proc/kcore".to_owned()];
        security.readonly_paths = vec!["/proc/sys".to_owned()];
        security.capabilities =
            Some(Capability { drop_capabilities: vec!["ALL".to_owned()], ..Capability::default() });
        security.seccomp = Some(SecurityProfile {
            profile_type: security_profile::ProfileType::RuntimeDefault.into(),
            ..SecurityProfile::default()
        });
    });
    assert_eq!(pod.output(&id, "id -u; id -g; id -G"), "1000\n1001\n1001 2000");
    let status =
        pod.output(&id, "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'");
    assert_eq!(status, "CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2");
    assert_ne!(pod.exec(&id, "touch /file").exit_code, 0);
    assert_eq!(pod.output(&id, "head -c 1 /proc/kcore | wc -c"), "0");
    let write = pod.exec(&id, "echo x >/proc/sys/kernel/domainname");
    assert!(String::from_utf8_lossy(&write.stderr).contains("Read-only"), "{write:?}");
}

#[test]
fn a_volume_is_mounted_where_and_as_asked() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("volume");
    let volume = ENGINE.room().directory().join("volume");
    std::fs::create_dir_all(&volume).unwrap();
    std::fs::write(volume.join("file"), "of the volume\n").unwrap();
    let mount = |at: &str, readonly| Mount {
        container_path: at.to_owned(),
        host_path: volume.to_str().unwrap().to_owned(),
        readonly,
        ..Mount::default()
    };
    let id = pod.run_with("main", "sleep 600", |config| {
        config.mounts = vec![mount("/volume", false), mount("/fixed", true)];
    });
    assert_eq!(pod.output(&id, "cat /fixed/file"), "of the volume");
    pod.output(&id, "echo written >/volume/new");
    assert_eq!(std::fs::read_to_string(volume.join("new")).unwrap(), "written\n");
    assert_ne!(pod.exec(&id, "echo x >/fixed/new").exit_code, 0);
}

#[test]
fn many_probes_at_once_are_all_answered() {
    let cri = Cri::new(&ENGINE);
    let pod = cri.pod("many");
    let id = pod.run("main", "sleep 600");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let id = &id;
                scope.spawn(move || {
                    let cri = Cri::new(&ENGINE);
                    for number in 0..10 {
                        let line = format!("echo {thread}-{number}");
                        let cmd = ["/bin/sh", "-c", &line].map(str::to_owned).to_vec();
                        let request = ExecSyncRequest { container_id: id.clone(), cmd, timeout: 60 };
                        let answer = cri.ask(async |mut client| client.exec_sync(request).await);
                        assert_eq!(answer.stdout, format!("{thread}-{number}\n").into_bytes());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let processes =
        format!("find /sys/fs/cgroup -path '*{id}/cgroup.procs' -exec cat {{}} + | sort -u | wc -l");
    ENGINE.comes_to(&processes, "1");
}
