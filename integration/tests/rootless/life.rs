//! All commands of an ordinary user, on whatever host.

use integration::host::{self, LIMIT};
use integration::host_process::ends_within;
use serde_json::json;

use super::{Home, NOBODYS};

/// What the manual says: two commands.
#[test]
fn spec_and_run_out_of_the_box() {
    let home = Home::new();
    let config = home.bundle.directory().join("bundle/config.json");
    let script = format!(
        "rm config.json && {0} spec --rootless && sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"$/\"id\"/' \
         config.json && {0} run {1}",
        home.binary.display(),
        home.id()
    );
    let mut command = home.command("sh");
    command.args(["-c", &script]);
    let outcome = home.runtime().finish(command).ok();
    assert_eq!(outcome.stdout.trim(), "uid=0(root) gid=0(root)", "{outcome}");
    assert!(config.exists());
    assert!(home.runtime_dir.join("pinnace").is_dir(), "the state lies in XDG_RUNTIME_DIR");
    home.runtime().leaves_nothing(home.id());
}

#[test]
fn every_command() {
    let home = Home::new();
    let pid = home.start(&[]);
    let state = home.state();
    assert_eq!(state["status"], "running");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.lines().any(|l| l.starts_with("Uid:") && l.contains(&NOBODYS.to_string())), "{status}");
    let list = home.call(&["list"]).ok().stdout;
    assert!(list.contains(home.id()) && list.contains(&format!("#{NOBODYS}")), "{list}");
    let seen = home.call(&["exec", home.id(), "/probe"]).ok().json();
    assert_eq!(seen["process"]["uid"].as_u64().or(seen["uid"].as_u64()).unwrap_or(0), 0);
    home.call(&["exec", home.id(), "/bin/sh", "-c", "exit 7"]).fails(7, &[]);
    home.call(&["exec", "--detach", home.id(), "/probe", "sleep"]).ok();
    home.call(&["kill", home.id(), "KILL"]).ok();
    assert!(ends_within(pid, LIMIT));
    let stopped = host::eventually(LIMIT, || {
        integration::host_process::reap_orphans();
        (home.state()["status"] == "stopped").then_some(())
    });
    assert!(stopped.is_some());
    home.call(&["delete", home.id()]).ok();
    home.runtime().leaves_nothing(home.id());
}

/// The score that engines give is set before the process can't be reached any more.
#[test]
fn oom_score() {
    let mut home = Home::new();
    home.bundle.set("/process/oomScoreAdj", json!(500));
    let pid = home.start(&[]);
    let score = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score(pid).trim(), "500");
    let file = home.bundle.beside("exec.pid");
    let name = file.display().to_string();
    home.call(&["exec", "--detach", "--pid-file", &name, home.id(), "/probe", "sleep"]).ok();
    let exec: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(score(exec).trim(), "500");
    home.delete();
}

/// What was asked for and can't be enforced is an error.
#[test]
fn a_limit_that_nobody_would_enforce() {
    let mut home = Home::new();
    home.bundle.set("/linux/resources/pids", json!({"limit": 10}));
    home.call(&["run", home.id()]).refuses(&["cgroup"]);
    assert!(!home.runtime_dir.join("pinnace").join(home.id()).exists());
    home.runtime().leaves_nothing(home.id());
}

#[test]
fn without_a_user_namespace() {
    let mut home = Home::new();
    home.bundle.share("user").remove("/linux/uidMappings").remove("/linux/gidMappings");
    home.call(&["run", home.id()]).refuses(&["rootless container requires user namespaces"]);
}
