//! Who the process is, seen from inside: ids, groups, umask, working directory, environment, limits, signals,
//! scheduling, keyring. Capabilities are in `capabilities.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;

use integration::{Bundle, stand_in_lacks};
use serde_json::{Value, json};

fn ids(n: u32) -> Value {
    json!({"real": n, "effective": n, "saved": n, "fs": n})
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn ids_are_all_four_and_groups_are_those_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for user in [
        json!({"uid": 0, "gid": 0}),
        json!({"uid": 1000, "gid": 1001}),
        json!({"uid": 1000, "gid": 0, "additionalGids": [5, 4242, 4_000_000_000_u32]}),
        json!({"uid": 4_294_967_294_u32, "gid": 4_294_967_294_u32, "additionalGids": []}),
    ] {
        let large = |id: &Value| id.as_u64().is_some_and(|id| id > 1 << 31);
        if (large(&user["uid"]) || large(&user["additionalGids"][2]))
            && stand_in_lacks("runc takes only 31 bits of an id")
        {
            continue;
        }
        bundle.set("/process/user", user.clone());
        let seen = runtime.see(&bundle);
        assert_eq!(seen["uid"], ids(u32::try_from(user["uid"].as_u64().unwrap()).unwrap()));
        assert_eq!(seen["gid"], ids(u32::try_from(user["gid"].as_u64().unwrap()).unwrap()));
        let expected =
            if user["additionalGids"].is_null() { json!([]) } else { user["additionalGids"].clone() };
        assert_eq!(seen["groups"], expected);
    }
}

/// CVE-2023-25173's kin: what the caller's groups are is nobody's business.
#[test]
fn the_callers_groups_stay_outside() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let groups = [0, 27, 4242];
            match libc::setgroups(groups.len(), groups.as_ptr()) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    assert_eq!(runtime.finish(command).ok().json()["groups"], json!([]));
}

#[test]
fn umask_is_022_unless_asked_for_and_never_the_callers() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for (umask, expected) in [(None, 0o022), (Some(0o077), 0o077), (Some(0), 0)] {
        bundle.set("/process/user", json!({"uid": 0, "gid": 0})).probe(&["see", "create=/made"]);
        if let Some(umask) = umask {
            bundle.set("/process/user/umask", json!(umask));
        }
        bundle.write();
        let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::umask(0o027);
                Ok(())
            });
        }
        let seen = runtime.finish(command).ok().json();
        assert_eq!(seen["umask"], expected);
        let made = bundle.rootfs().join("made");
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o666 & !u32::try_from(expected).unwrap());
        fs::remove_file(made).unwrap();
    }
}

#[test]
fn a_missing_working_directory_is_made() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set("/process/cwd", json!("/new/deep/place"))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let seen = runtime.see(&bundle);
    assert_eq!(seen["cwd"], json!({"path": "/new/deep/place", "reachable": true}));
    let made = fs::metadata(bundle.rootfs().join("new/deep/place")).unwrap();
    assert_eq!((made.mode() & 0o777, made.uid()), (0o755, 0));
}

#[test]
fn a_working_directory_behind_a_link_is_inside() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    std::os::unix::fs::symlink("/../../mnt", bundle.rootfs().join("link")).unwrap();
    bundle.set("/process/cwd", json!("/link"));
    assert_eq!(runtime.see(&bundle)["cwd"], json!({"path": "/mnt", "reachable": true}));
}

/// A directory that only the user may enter, and one that only root may enter.
#[test]
fn the_working_directory_is_entered_by_whoever_may() {
    use std::os::unix::fs::PermissionsExt;
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let place = bundle.rootfs().join("private");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    bundle.set("/process/cwd", json!("/private")).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    for owner in [0, 1000] {
        std::os::unix::fs::chown(&place, Some(owner), Some(owner)).unwrap();
        assert_eq!(runtime.see(&bundle)["cwd"]["path"], "/private", "owned by {owner}");
    }
}

/// CVE-2024-21626: a working directory that is a descriptor of the runtime.
#[test]
fn a_working_directory_outside_is_refused() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for fd in 3..16 {
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{fd}")));
        let outcome = runtime.run(&bundle);
        assert_ne!(outcome.code, 0, "{outcome}");
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn the_environment_is_what_was_asked_for_and_a_home() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let user = |uid: u32| json!({"uid": uid, "gid": 0});
    for (uid, env, expected) in [
        (0, json!(["PATH=/bin", "A=b=c", "E="]), vec!["PATH=/bin", "A=b=c", "E=", "HOME=/root"]),
        (1000, json!(["PATH=/bin"]), vec!["PATH=/bin", "HOME=/home/user"]),
        (4711, json!(["PATH=/bin"]), vec!["PATH=/bin", "HOME=/"]),
        (0, json!(["PATH=/bin", "HOME=/else"]), vec!["PATH=/bin", "HOME=/else"]),
        (0, json!(["PATH=/bin", "U=Ω \t'\"\\"]), vec!["PATH=/bin", "U=Ω \t'\"\\", "HOME=/root"]),
    ] {
        bundle.set("/process/user", user(uid)).set("/process/env", env);
        let seen = runtime.see(&bundle);
        let mut environment = words(&seen["env"]);
        let mut expected = expected;
        // Where HOME stands is nobody's promise.
        environment.sort_unstable();
        expected.sort_unstable();
        assert_eq!(environment, expected);
    }
}

#[test]
fn of_two_variables_of_a_name_the_last_holds() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    if stand_in_lacks("runc 1.1.5 passes both") {
        return;
    }
    bundle.set("/process/env", json!(["A=1", "PATH=/bin", "HOME=", "A=2", "B=3", "A=4"]));
    let seen = runtime.see(&bundle);
    let environment = words(&seen["env"]);
    let values: Vec<_> = environment.iter().filter(|entry| entry.starts_with("A=")).collect();
    assert_eq!(values, [&"A=4"], "{environment:?}");
    // An empty HOME is none.
    assert!(environment.contains(&"HOME=/root") && !environment.contains(&"HOME="), "{environment:?}");
}

#[test]
fn the_program_is_found_by_the_containers_path() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    fs::create_dir(bundle.rootfs().join("own")).unwrap();
    std::os::unix::fs::symlink("/probe", bundle.rootfs().join("own/look")).unwrap();
    bundle.set("/process/env", json!(["PATH=/bin:/own"])).set("/process/args", json!(["look", "see"]));
    assert_eq!(runtime.see(&bundle)["args"], json!(["look", "see"]));
    // Relative to the working directory, if it has a slash.
    bundle.set("/process/cwd", json!("/own")).set("/process/args", json!(["./look"]));
    assert_eq!(runtime.see(&bundle)["args"], json!(["./look"]));
}

#[test]
fn arguments_arrive_as_they_are() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let args = ["say", "", "a b", "\t\n", "-x", "--", "\u{1f6f6}", "$HOME"];
    bundle.probe(&args);
    assert_eq!(runtime.run(&bundle).ok().stdout, format!("{}\n", args[1..].join(" ")));
}

#[test]
fn limits_are_those_asked_for_and_the_rest_stays() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/process/rlimits",
        json!([
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
            {"type": "RLIMIT_NPROC", "soft": 500, "hard": 500},
            {"type": "RLIMIT_AS", "soft": 1_u64 << 40, "hard": u64::MAX},
            {"type": "RLIMIT_RTTIME", "soft": 1000, "hard": 2000},
            {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
        ]),
    );
    let seen = runtime.see(&bundle);
    for limit in bundle.config["process"]["rlimits"].as_array().unwrap() {
        let name = limit["type"].as_str().unwrap();
        let expected = json!({"soft": limit["soft"], "hard": limit["hard"]});
        assert_eq!(seen["rlimits"][name], expected, "{name}");
    }
}

#[test]
fn the_oom_score_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for score in [0, 500, 1000] {
        bundle.set("/process/oomScoreAdj", json!(score));
        assert_eq!(runtime.see(&bundle)["oom_score_adj"], score);
    }
}

#[test]
fn no_signal_is_blocked_or_ignored_whatever_the_caller_has() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: a few system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGRTMIN()] {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGPIPE, libc::SIGCHLD] {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
    let seen = runtime.finish(command).ok().json();
    let none = json!({"blocked": [], "ignored": [], "caught": []});
    if seen["signals"] != none && stand_in_lacks("runc 1.1.5 hands the caller's mask on") {
        return;
    }
    assert_eq!(seen["signals"], none);
}

#[test]
fn a_session_keyring_of_its_own_unless_declined() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    // SAFETY: numbers only: KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
    let outside = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 0) };
    let seen = runtime.see(&bundle);
    assert_ne!(seen["keyring"]["id"], outside);
    assert_eq!(seen["keyring"]["name"], format!("_ses.{}", bundle.id()));
    let seen = runtime.run_with(&bundle, &["--no-new-keyring"]).ok().json();
    assert_eq!(seen["keyring"]["id"], outside);
}

#[test]
fn a_process_of_its_own_session_and_first_of_its_namespace() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let seen = runtime.see(&bundle);
    for (name, expected) in [("pid", 1), ("ppid", 0), ("pgid", 1), ("sid", 1)] {
        assert_eq!(seen[name], expected, "{name}");
    }
    assert_eq!(seen["exe"], "/probe");
}

#[test]
fn the_scheduler_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let seen = runtime.see(&bundle);
    assert_eq!((&seen["scheduler"]["policy"], &seen["scheduler"]["nice"]), (&json!(0), &json!(0)));
    if stand_in_lacks("runc 1.1.5 is of before process.scheduler and process.ioPriority") {
        return;
    }
    bundle
        .set(
            "/process/scheduler",
            json!({"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
        )
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}));
    let seen = runtime.see(&bundle);
    let scheduler = &seen["scheduler"];
    assert_eq!(scheduler["policy"], libc::SCHED_BATCH);
    assert_eq!((&scheduler["nice"], &scheduler["reset_on_fork"]), (&json!(5), &json!(true)));
    assert_eq!((&scheduler["io_class"], &scheduler["io_level"]), (&json!(2), &json!(6)));
}

#[test]
fn the_personality_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    assert_eq!(runtime.see(&bundle)["personality"], 0);
    if stand_in_lacks("runc 1.1.5 is of before linux.personality") {
        return;
    }
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    assert_eq!(runtime.see(&bundle)["personality"], 8);
}

/// The kernel hands affinity and nice value on to the next program; a container is to start like any other.
#[test]
fn the_callers_affinity_stays_outside() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    if stand_in_lacks("runc 1.1.5 hands the caller's affinity on") {
        return;
    }
    let all = runtime.see(&bundle)["scheduler"]["cpus"].clone();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: a system call with a mask of its own between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(0, &mut set);
            libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
            Ok(())
        });
    }
    assert_eq!(runtime.finish(command).ok().json()["scheduler"]["cpus"], all);
}
