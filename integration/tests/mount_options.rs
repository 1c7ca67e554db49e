//! Each word of a mount's options, as the container's mount table shows it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use integration::host_mounts::HostMounts;
use integration::{Bundle, stand_in_lacks};
use serde_json::{Value, json};

/// The topmost mount on a path.
fn mount<'a>(seen: &'a Value, point: &str) -> &'a Value {
    let found = seen["mounts"].as_array().unwrap().iter().rfind(|mount| mount["point"] == point);
    found.unwrap_or_else(|| panic!("no mount on {point} in {}", seen["mounts"]))
}

fn words<'a>(seen: &'a Value, point: &str, field: &str) -> Vec<&'a str> {
    mount(seen, point)[field].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Access time words: relatime is the kernel's default, and strictatime shows as none.
const ATIME: [&str; 3] = ["noatime", "relatime", "nodiratime"];

/// Options asked for, and what the mount's own options then are beside `rw`.
const FLAGS: [(&[&str], &[&str]); 22] = [
    (&[], &["rw", "relatime"]),
    (&["defaults"], &["rw", "relatime"]),
    (&["ro"], &["ro", "relatime"]),
    (&["ro", "rw"], &["rw", "relatime"]),
    (&["rw", "ro"], &["ro", "relatime"]),
    (&["nosuid"], &["rw", "nosuid", "relatime"]),
    (&["nosuid", "suid"], &["rw", "relatime"]),
    (&["suid", "nosuid"], &["rw", "nosuid", "relatime"]),
    (&["nodev"], &["rw", "nodev", "relatime"]),
    (&["nodev", "dev"], &["rw", "relatime"]),
    (&["noexec"], &["rw", "noexec", "relatime"]),
    (&["noexec", "exec"], &["rw", "relatime"]),
    (&["noatime"], &["rw", "noatime"]),
    (&["noatime", "atime"], &["rw", "relatime"]),
    (&["relatime"], &["rw", "relatime"]),
    (&["strictatime"], &["rw"]),
    (&["nodiratime"], &["rw", "nodiratime", "relatime"]),
    (&["nodiratime", "diratime"], &["rw", "relatime"]),
    (&["nosymfollow"], &["rw", "relatime", "nosymfollow"]),
    (&["nosymfollow", "symfollow"], &["rw", "relatime"]),
    (&["loud"], &["rw", "relatime"]),
    (&["ro", "nosuid", "nodev", "noexec", "noatime"], &["ro", "nosuid", "nodev", "noexec", "noatime"]),
];

fn check_flags(kind: &str, first: &[&str]) {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    let mut points = Vec::new();
    for (number, (options, expected)) in FLAGS.iter().enumerate() {
        if options.contains(&"nosymfollow") && stand_in_lacks("runc 1.1.5 is of before nosymfollow") {
            continue;
        }
        if options.contains(&"defaults") && stand_in_lacks("runc passes \"defaults\" to the file system") {
            continue;
        }
        let point = format!("/mnt/{number}");
        bundle.mount(&point, kind, &source, &[first, options].concat());
        points.push((point, options, expected));
    }
    let seen = runtime.see(&bundle);
    for (point, options, expected) in points {
        let (mut shown, mut expected) = (words(&seen, &point, "options"), expected.to_vec());
        shown.sort_unstable();
        expected.sort_unstable();
        assert_eq!(shown, expected, "{kind} with {options:?}");
    }
}

#[test]
fn flags_of_a_tmpfs() {
    check_flags("tmpfs", &[]);
}

#[test]
fn flags_of_a_bind() {
    check_flags("bind", &["bind"]);
}

#[test]
fn flags_of_a_tree() {
    check_flags("none", &["rbind"]);
}

#[test]
fn flags_of_the_file_system_itself() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount("/mnt/sync", "tmpfs", "tmpfs", &["sync"]).mount(
        "/mnt/async",
        "tmpfs",
        "tmpfs",
        &["sync", "async"],
    );
    bundle.mount("/mnt/dirsync", "tmpfs", "tmpfs", &["dirsync"]);
    let seen = runtime.see(&bundle);
    assert!(words(&seen, "/mnt/sync", "super").contains(&"sync"));
    assert!(!words(&seen, "/mnt/async", "super").contains(&"sync"));
    assert!(words(&seen, "/mnt/dirsync", "super").contains(&"dirsync"));
}

/// Without any word a bind is as its source; with one it is just what the words say, as in runc.
#[test]
fn a_bind_without_words_is_as_its_source() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    let host = || HostMounts::new().tmpfs(&source, libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    bundle.mount("/mnt/plain", "bind", &source, &["bind"]);
    let seen = runtime.run_among(&bundle, host()).ok().json();
    let flags = ["nosuid", "nodev", "noexec"];
    let options = words(&seen, "/mnt/plain", "options");
    assert!(flags.iter().all(|flag| options.contains(flag)), "{options:?}");
    if stand_in_lacks("runc 1.1.5 knows no words that clear a flag") {
        return;
    }
    bundle.mount("/mnt/ro", "bind", &source, &["bind", "ro"]);
    bundle.mount("/mnt/cleared", "bind", &source, &["bind", "suid", "dev", "exec"]);
    let seen = runtime.run_among(&bundle, host()).ok().json();
    let options = words(&seen, "/mnt/ro", "options");
    assert!(options.contains(&"ro") && !flags.iter().any(|flag| options.contains(flag)), "{options:?}");
    let options = words(&seen, "/mnt/cleared", "options");
    assert!(!flags.iter().any(|flag| options.contains(flag)), "{options:?}");
}

/// What was ro for the tree alone would be writable below: `rro` is what engines ask features for.
#[test]
fn recursive_words_reach_what_is_mounted_below() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    fs::create_dir(bundle.beside("source/below")).unwrap();
    let below = format!("{source}/below");
    let host = HostMounts::new().tmpfs(&below, 0);
    let cases: [(&str, &str, bool); 8] = [
        ("rro", "ro", true),
        ("rnosuid", "nosuid", true),
        ("rnodev", "nodev", true),
        ("rnoexec", "noexec", true),
        ("rnodiratime", "nodiratime", true),
        ("rnoatime", "noatime", true),
        ("ro", "ro", false),
        ("nosuid", "nosuid", false),
    ];
    for (word, ..) in cases {
        bundle.mount(&format!("/mnt/{word}"), "bind", &source, &["rbind", word]);
    }
    let seen = runtime.run_among(&bundle, host).ok().json();
    for (word, shown, reaches) in cases {
        let top = format!("/mnt/{word}");
        assert!(words(&seen, &top, "options").contains(&shown), "{word}");
        assert_eq!(
            words(&seen, &format!("{top}/below"), "options").contains(&shown),
            reaches,
            "{word} below"
        );
        assert!(words(&seen, &top, "options").iter().filter(|word| ATIME.contains(word)).count() <= 2);
    }
}

#[test]
fn recursive_words_take_away_too() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    fs::create_dir(bundle.beside("source/below")).unwrap();
    let below = format!("{source}/below");
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME;
    let host = HostMounts::new()
        .tmpfs(&below, flags)
        .change(&below, libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | flags);
    bundle.mount("/mnt/all", "bind", &source, &["rbind", "rrw", "rsuid", "rdev", "rexec", "rrelatime"]);
    bundle.mount("/mnt/strict", "bind", &source, &["rbind", "rstrictatime"]);
    let seen = runtime.run_among(&bundle, host).ok().json();
    assert_eq!(words(&seen, "/mnt/all/below", "options"), ["rw", "relatime"]);
    let options = words(&seen, "/mnt/strict/below", "options");
    assert!(options.contains(&"ro") && !options.iter().any(|word| ATIME.contains(word)), "{options:?}");
}

#[test]
fn propagation_words() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    for word in ["private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"] {
        bundle.mount(&format!("/mnt/{word}"), "bind", &source, &["rbind", word]);
    }
    bundle.set("/linux/rootfsPropagation", json!("shared"));
    let host = HostMounts::new().tmpfs(&source, 0).change(&source, libc::MS_SHARED);
    let seen = runtime.run_among(&bundle, host).ok().json();
    let fields = |word: &str| {
        let fields = words(&seen, &format!("/mnt/{word}"), "propagation");
        fields.iter().map(|field| field.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for prefix in ["", "r"] {
        assert_eq!(fields(&format!("{prefix}private")), [""; 0]);
        assert_eq!(fields(&format!("{prefix}unbindable")), ["unbindable"]);
        assert!(fields(&format!("{prefix}shared")).contains(&"shared".to_owned()));
        assert!(fields(&format!("{prefix}slave")).contains(&"master".to_owned()));
    }
}

#[test]
fn size_mode_and_owner_of_a_tmpfs() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount(
        "/mnt/t",
        "tmpfs",
        "name",
        &["size=1m", "nr_inodes=50", "mode=1750", "uid=5", "gid=6", "nosuid"],
    );
    bundle.probe(&["see", "statfs=/mnt/t", "stat=/mnt/t"]);
    let seen = runtime.see(&bundle);
    let size = &seen["statfs"]["/mnt/t"];
    assert_eq!(size["blocks"].as_u64().unwrap() * size["block_size"].as_u64().unwrap(), 1 << 20);
    assert_eq!(size["files"], 50);
    let about = &seen["stat"]["/mnt/t"];
    assert_eq!((&about["mode"], &about["uid"], &about["gid"]), (&json!(0o1750), &json!(5), &json!(6)));
    assert_eq!(mount(&seen, "/mnt/t")["source"], "name");
}

#[test]
fn a_tmpfs_takes_the_mode_of_what_it_covers() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for (name, mode, options, expected) in [
        ("sticky", 0o1777, vec![], 0o1777),
        ("private", 0o700, vec![], 0o700),
        ("said", 0o700, vec!["mode=0755"], 0o755),
        ("copied", 0o711, vec!["tmpcopyup"], 0o711),
    ] {
        if name == "said" && stand_in_lacks("runc 1.1.5 prefers the covered directory's") {
            continue;
        }
        let covered = bundle.rootfs().join("mnt").join(name);
        fs::create_dir(&covered).unwrap();
        fs::set_permissions(&covered, fs::Permissions::from_mode(mode)).unwrap();
        let point = format!("/mnt/{name}");
        bundle.unmount(&point).mount(&point, "tmpfs", "tmpfs", &options);
        bundle.probe(&["see", &format!("stat={point}")]);
        let seen = runtime.see(&bundle);
        assert_eq!(seen["stat"][&point]["mode"], expected, "{name}");
    }
    // One that is made has the kernel's mode.
    bundle.mount("/mnt/new", "tmpfs", "tmpfs", &[]).probe(&["see", "stat=/mnt/new"]);
    if !stand_in_lacks("runc 1.1.5 gives the made directory's") {
        assert_eq!(runtime.see(&bundle)["stat"]["/mnt/new"]["mode"], 0o1777);
    }
}

#[test]
fn tmpcopyup_copies_what_it_covers() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let covered = bundle.rootfs().join("mnt/full");
    fs::create_dir_all(covered.join("deep")).unwrap();
    fs::write(covered.join("deep/file"), "copied").unwrap();
    fs::set_permissions(covered.join("deep/file"), fs::Permissions::from_mode(0o4640)).unwrap();
    chown(covered.join("deep"), Some(7), Some(8)).unwrap();
    std::os::unix::fs::symlink("deep/file", covered.join("link")).unwrap();
    bundle.mount("/mnt/full", "tmpfs", "tmpfs", &["tmpcopyup", "nodev"]);
    bundle.probe(&[
        "write",
        "/mnt/full/new",
        "+",
        "see",
        "file=/mnt/full/link",
        "stat=/mnt/full/deep",
        "stat=/mnt/full/deep/file",
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(mount(&seen, "/mnt/full")["type"], "tmpfs");
    assert_eq!(seen["file"]["/mnt/full/link"], "copied");
    assert_eq!(seen["stat"]["/mnt/full/deep"]["uid"], 7);
    assert_eq!(seen["stat"]["/mnt/full/deep"]["gid"], 8);
    assert_eq!(seen["stat"]["/mnt/full/deep/file"]["mode"].as_u64().unwrap() & 0o777, 0o640);
    // And nothing comes back.
    assert!(!covered.join("new").exists());
}

#[test]
fn an_unknown_word_goes_to_the_file_system_which_refuses_it() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosuchword=1"]);
    runtime.run(&bundle).refuses(&["/mnt", "nosuchword", "invalid argument"]);
    runtime.leaves_nothing(bundle.id());
}

/// There is no file system to ask: the word would silently mean nothing.
#[test]
fn an_unknown_word_of_a_bind_is_refused() {
    if stand_in_lacks("runc 1.1.5 ignores it") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount("/mnt", "bind", "/tmp", &["bind", "nosuchword"]);
    runtime.run(&bundle).refuses(&["/mnt", "nosuchword"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn an_idmapped_bind_shows_other_owners() {
    if stand_in_lacks("runc 1.1.5 is of before idmapped mounts") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source");
    chown(&source, Some(1000), Some(1000)).unwrap();
    let map = json!([{"containerID": 1000, "hostID": 5000, "size": 10}]);
    bundle.push(
        "/mounts",
        json!({
            "destination": "/mnt", "type": "bind", "source": source, "options": ["bind", "idmap"],
            "uidMappings": map, "gidMappings": map
        }),
    );
    bundle.probe(&["see", "stat=/mnt"]);
    assert_eq!(runtime.see(&bundle)["stat"]["/mnt"]["uid"], 5000);
}

#[test]
fn an_idmapped_bind_takes_the_containers_map() {
    if stand_in_lacks("runc 1.1.5 is of before idmapped mounts") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.map_users(100_000, 65_536);
    let source = bundle.make_beside("source").display().to_string();
    bundle.mount("/mnt", "bind", &source, &["bind", "idmap"]).probe(&[
        "write",
        "/mnt/made",
        "+",
        "see",
        "stat=/mnt",
    ]);
    assert_eq!(runtime.see(&bundle)["stat"]["/mnt"]["uid"], 0);
    // The volume stays the host's root's.
    assert_eq!(fs::metadata(bundle.beside("source/made")).unwrap().uid(), 0);
}
