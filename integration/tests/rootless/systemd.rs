//! A user's own systemd makes the scope, and the limits hold: cgroups that were handed over to him.

use std::path::PathBuf;
use std::process::Command;

use integration::host_process::without_forks;
use integration::skip;
use serde_json::json;

use super::Home;
use super::maps::subordinate;

/// A home with the user manager's runtime directory.
fn managed() -> Option<Home> {
    let Some((uid, sub)) = subordinate() else {
        skip("no user of this host has subordinate ids");
        return None;
    };
    let runtime_dir = PathBuf::from(format!("/run/user/{uid}"));
    if !runtime_dir.join("bus").exists() {
        skip("no user manager runs on this host");
        return None;
    }
    let mut home = Home::of(uid);
    home.runtime_dir = runtime_dir;
    home.map(&json!([
        {"containerID": 0, "hostID": uid, "size": 1},
        {"containerID": 1, "hostID": sub, "size": 65_535}
    ]));
    Some(home)
}

fn shown(home: &Home, unit: &str, property: &str) -> String {
    let mut command: Command = home.command("systemctl");
    command.args(["--user", "show", unit, "--value", "--property", property]);
    let output = without_forks(|| command.output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_scope_of_the_users_own() {
    let Some(mut home) = managed() else { return };
    home.bundle.set("/linux/resources/pids", json!({"limit": 30}));
    let unit = format!("pinnace-{}.scope", home.id());
    let pid = home.start(&["--systemd-cgroup"]);
    let place = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(place.trim().ends_with(&format!("/user@{}.service/user.slice/{unit}", home.uid)), "{place}");
    assert_eq!(shown(&home, &unit, "TasksMax"), "30");
    let path = format!("/sys/fs/cgroup{}", place.trim().trim_start_matches("0::"));
    assert_eq!(std::fs::read_to_string(format!("{path}/pids.max")).unwrap().trim(), "30");
    let file = home.bundle.beside("exec.pid");
    let name = file.display().to_string();
    home.call(&["exec", "--detach", "--pid-file", &name, home.id(), "/probe", "sleep"]).ok();
    let exec = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::read_to_string(format!("/proc/{exec}/cgroup")).unwrap(), place);
    let ps = home.call(&["ps", "--format", "json", home.id()]).ok().json();
    assert_eq!(ps.as_array().map(Vec::len), Some(2), "{ps}");
    home.call(&["pause", home.id()]).ok();
    assert_eq!(home.state()["status"], "paused");
    home.call(&["resume", home.id()]).ok();
    home.call(&["update", "--pids-limit", "40", home.id()]).ok();
    assert_eq!(shown(&home, &unit, "TasksMax"), "40");
    home.delete();
    assert_eq!(shown(&home, &unit, "LoadState"), "not-found");
    home.runtime().leaves_nothing(home.id());
}

#[test]
fn a_create_that_fails_leaves_no_unit() {
    let Some(mut home) = managed() else { return };
    home.bundle.set("/process/args", json!(["/no/such/program"]));
    home.call(&["--systemd-cgroup", "run", home.id()]).refuses(&["/no/such/program"]);
    assert_eq!(shown(&home, &format!("pinnace-{}.scope", home.id()), "LoadState"), "not-found");
    home.runtime().leaves_nothing(home.id());
}

#[test]
fn without_a_bus() {
    if !std::path::Path::new("/run/systemd/system").exists() {
        return skip("systemd does not run on this host");
    }
    let home = Home::new();
    home.call(&["--systemd-cgroup", "run", home.id()]).refuses(&["D-Bus", "enable-linger"]);
    home.runtime().leaves_nothing(home.id());
}
