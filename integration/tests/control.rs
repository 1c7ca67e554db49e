//! pause, resume, update, events, list, ps, spec and features of a container, and what the host shows of them.

use std::fs;

use integration::host::{LIMIT, cgroup_file, cgroup_mount, controller_mount, eventually};
use integration::{Bundle, Runtime, host_process, skip, stand_in_lacks};
use serde_json::{Value, json};

fn started(words: &[&str]) -> (Bundle, Runtime, i32) {
    let mut bundle = Bundle::new();
    bundle.probe(words);
    let runtime = bundle.runtime();
    let pid = runtime.start(&bundle);
    (bundle, runtime, pid)
}

#[test]
fn pause_freezes_and_resume_thaws() {
    let (bundle, runtime, _) = started(&["sleep"]);
    runtime.call(&["pause", bundle.id()]).ok();
    assert_eq!(runtime.status(bundle.id()), "paused");
    let frozen = || cgroup_file(bundle.id(), "freezer", "freezer.state", "cgroup.freeze");
    let [yes, no] = if cgroup_mount("freezer").is_some() { ["FROZEN", "THAWED"] } else { ["1", "0"] };
    let Some(state) = frozen() else { return };
    assert_eq!(state, yes);
    runtime.call(&["resume", bundle.id()]).ok();
    assert_eq!(runtime.status(bundle.id()), "running");
    assert_eq!(frozen().as_deref(), Some(no));
}

#[test]
fn a_killed_container_dies_although_it_is_paused() {
    let (bundle, runtime, pid) = started(&["sleep"]);
    if stand_in_lacks("runc 1.1.5 leaves the signal pending until resume") {
        return;
    }
    runtime.call(&["pause", bundle.id()]).ok();
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    assert!(host_process::ends_within(pid, LIMIT));
    runtime.wait_for(bundle.id(), "stopped");
}

#[test]
fn an_exec_may_wait_for_the_resume() {
    let (bundle, runtime, _) = started(&["sleep"]);
    if stand_in_lacks("runc 1.1.5 hangs in its own init") {
        return;
    }
    runtime.call(&["pause", bundle.id()]).ok();
    let words = ["exec", "--ignore-paused", bundle.id(), "/probe", "say", "thawed", "+", "exit", "6"];
    let running = runtime.begin(runtime.command(&words));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(running.output(), "");
    runtime.call(&["resume", bundle.id()]).ok();
    let outcome = running.finish();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (6, "thawed\n"));
}

#[test]
fn update_by_flags_reaches_the_cgroup() {
    let (bundle, runtime, _) = started(&["sleep"]);
    let id = bundle.id();
    let memory = || cgroup_file(id, "memory", "memory.limit_in_bytes", "memory.max");
    let pids = || cgroup_file(id, "pids", "pids.max", "pids.max").unwrap();
    if memory().is_none() {
        return;
    }
    runtime.call(&["update", "--memory", "64M", "--pids-limit", "77", "--cpu-share", "512", id]).ok();
    assert_eq!(memory().unwrap(), (64 << 20).to_string());
    assert_eq!(pids(), "77");
    let v1 = cgroup_mount("cpu").is_some();
    let shares = cgroup_file(id, "cpu", "cpu.shares", "cpu.weight").unwrap();
    assert_eq!(shares, if v1 { "512" } else { "59" });
    runtime.call(&["update", "--cpu-period", "100000", "--cpu-quota", "50000", id]).ok();
    let quota = cgroup_file(id, "cpu", "cpu.cfs_quota_us", "cpu.max").unwrap();
    assert_eq!(quota, if v1 { "50000" } else { "50000 100000" });
    if controller_mount("cpuset").is_some() {
        runtime.call(&["update", "--cpuset-cpus", "0", id]).ok();
        assert_eq!(cgroup_file(id, "cpuset", "cpuset.cpus", "cpuset.cpus").unwrap(), "0");
    }
    runtime.call(&["update", "--memory", "-1", "--pids-limit", "-1", id]).ok();
    assert_eq!(pids(), "max");
    let limit = memory().unwrap();
    assert!(limit == "max" || limit.parse::<u64>().unwrap() > 1 << 60, "{limit} is a limit");
}

#[test]
fn update_by_json_reaches_the_cgroup() {
    let (bundle, runtime, _) = started(&["sleep"]);
    let memory = || cgroup_file(bundle.id(), "memory", "memory.limit_in_bytes", "memory.max");
    let pids = || cgroup_file(bundle.id(), "pids", "pids.max", "pids.max");
    if memory().is_none() {
        return;
    }
    let file = bundle.beside("resources.json");
    let resources =
        json!({"memory": {"limit": 50_000_000, "reservation": 40_000_000}, "pids": {"limit": 33}});
    fs::write(&file, resources.to_string()).unwrap();
    runtime.call(&["update", "--resources", file.to_str().unwrap(), bundle.id()]).ok();
    let limit: u64 = memory().unwrap().parse().unwrap();
    assert_eq!(limit, 50_000_000 / 4096 * 4096);
    assert_eq!(pids().unwrap(), "33");
    // From standard input; what it leaves out stays.
    let mut command = runtime.command(&["update", "--resources", "-", bundle.id()]);
    fs::write(&file, json!({"pids": {"limit": 44}}).to_string()).unwrap();
    command.stdin(fs::File::open(&file).unwrap());
    runtime.finish(command).ok();
    assert_eq!(pids().unwrap(), "44");
    assert_eq!(memory().unwrap(), limit.to_string());
}

#[test]
fn an_update_that_fails_changes_nothing_that_is_said() {
    let (bundle, runtime, _) = started(&["sleep"]);
    if controller_mount("pids").is_none() {
        return skip("no cgroup controller pids");
    }
    runtime.call(&["update", "--memory", "10 apples", bundle.id()]).fails(1, &["apples"]);
    runtime.call(&["update", "--resources", "/no/such/file", bundle.id()]).fails(1, &["/no/such/file"]);
    runtime.call(&["update", "--cpuset-cpus", "4000", bundle.id()]).fails(1, &["cpuset"]);
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn events_stats_are_numbers_of_the_container() {
    let (bundle, runtime, _) = started(&["alloc", "20", "+", "sleep"]);
    let stats = || runtime.call(&["events", "--stats", bundle.id()]).ok().json();
    let grown = eventually(LIMIT, || {
        let stats = stats();
        (stats["data"]["memory"]["usage"]["usage"].as_u64()? > 20 << 20).then_some(stats)
    });
    let stats = grown.expect("20 MiB in use");
    assert_eq!(stats["type"], "stats");
    assert_eq!(stats["id"], *bundle.id());
    assert_eq!(stats["data"]["pids"]["current"], 1);
    assert!(stats["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn events_are_one_document_a_line_until_the_container_is_gone() {
    let (bundle, runtime, _) = started(&["sleep"]);
    let running = runtime.begin(runtime.command(&["events", "--interval", "50ms", bundle.id()]));
    assert!(eventually(LIMIT, || (running.output().lines().count() >= 3).then_some(())).is_some());
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    let outcome = running.finish();
    for line in outcome.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(event["id"], *bundle.id());
    }
}

#[test]
fn events_tell_of_an_oom_kill() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    if controller_mount("memory").is_none() {
        return skip("no cgroup controller memory");
    }
    bundle.probe(&["sleep"]).set("/linux/resources/memory", json!({"limit": 16 << 20, "swap": 16 << 20}));
    runtime.start(&bundle);
    let running = runtime.begin(runtime.command(&["events", "--interval", "50ms", bundle.id()]));
    assert!(eventually(LIMIT, || running.output().contains("stats").then_some(())).is_some());
    assert_eq!(runtime.exec(bundle.id(), &["alloc", "64"]).code, 137);
    let told = eventually(LIMIT, || running.output().contains("\"type\":\"oom\"").then_some(()));
    assert!(told.is_some(), "{}", running.output());
}

#[test]
fn list_and_ps_show_what_is_there() {
    let (bundle, runtime, pid) = started(&["sleep"]);
    let id = bundle.id();
    let listed = runtime.call(&["list", "--format", "json"]).ok().json();
    let [container] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&container["id"], &container["pid"]), (&json!(id), &json!(pid)));
    assert_eq!(container["status"], "running");
    assert_eq!(container["owner"], "root");
    assert_eq!(runtime.call(&["list", "--quiet"]).ok().stdout, format!("{id}\n"));
    let table = runtime.call(&["list"]).ok().stdout;
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert!(table.lines().nth(1).unwrap().starts_with(id), "{table}");
    assert_eq!(runtime.call(&["ps", "--format", "json", id]).ok().stdout, format!("[{pid}]\n"));
    let table = runtime.call(&["ps", id]).ok().stdout;
    assert!(table.lines().nth(1).is_some_and(|line| line.contains("/probe sleep")), "{table}");
}

#[test]
fn list_of_nothing_is_null() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    fs::create_dir(runtime.root()).unwrap();
    assert_eq!(runtime.call(&["list", "--format", "json"]).ok().stdout.trim(), "null");
    assert_eq!(runtime.call(&["list", "--quiet"]).ok().stdout, "");
}

#[test]
fn one_broken_container_does_not_hide_the_others() {
    let (bundle, runtime, pid) = started(&["sleep"]);
    let broken = format!("{}broken", bundle.id());
    fs::create_dir(runtime.root().join(&broken)).unwrap();
    fs::write(runtime.root().join(&broken).join("state.json"), "{").unwrap();
    let listed = runtime.call(&["list", "--format", "json"]).ok();
    assert!(listed.json().as_array().unwrap().iter().any(|c| c["pid"] == json!(pid)), "{listed}");
    if stand_in_lacks("runc 1.1.5 can't delete what has no readable state") {
        fs::remove_dir_all(runtime.root().join(&broken)).unwrap();
        return;
    }
    runtime.call(&["delete", "--force", &broken]).ok();
    assert!(!runtime.root().join(&broken).exists());
}

#[test]
fn spec_writes_a_bundle_that_runs() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    runtime.call(&["spec", "--bundle", &bundle.path()]).ok();
    let file = bundle.beside("bundle/config.json");
    runtime.call(&["spec", "--bundle", &bundle.path()]).fails(1, &["config.json", "exists"]);
    bundle.config = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(bundle.config["process"]["args"], json!(["sh"]));
    assert_eq!(bundle.config["process"]["terminal"], true);
    let cgroup = json!(format!("/{}", bundle.id()));
    bundle.set("/process/terminal", json!(false)).set("/linux/cgroupsPath", cgroup);
    bundle.probe(&["see"]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["no_new_privs"], true);
    assert_eq!(seen["mounts"][0]["options"][0], "ro");
}

#[test]
fn features_are_what_engines_read() {
    let bundle = Bundle::new();
    let features = bundle.runtime().call(&["features"]).ok().json();
    assert!(features["ociVersionMin"].as_str().unwrap().starts_with("1."));
    assert!(features["ociVersionMax"].as_str().unwrap().starts_with("1."));
    let has = |pointer: &str, word: &str| {
        let list =
            features.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
        assert!(list.contains(&json!(word)), "no {word} in {pointer}");
    };
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        has("/hooks", hook);
    }
    for option in ["ro", "rro", "bind", "rbind", "nosuid", "tmpcopyup", "rprivate", "rslave"] {
        has("/mountOptions", option);
    }
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        has("/linux/namespaces", kind);
    }
    has("/linux/capabilities", "CAP_CHECKPOINT_RESTORE");
    has("/linux/seccomp/actions", "SCMP_ACT_NOTIFY");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    if !stand_in_lacks("runc 1.1.5 is of before time namespaces") {
        has("/linux/namespaces", "time");
        has("/linux/seccomp/archs", "SCMP_ARCH_X86_64");
    }
}
