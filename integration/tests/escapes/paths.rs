//! Class A: a path that is resolved in what the container controls.

use std::fs;
use std::os::unix::fs::symlink;

use integration::{Bundle, stand_in_lacks};
use serde_json::json;

use crate::race::{Racer, race};

/// CVE-2021-30465, CVE-2024-45310: between a look at a mount's destination and the mount, a directory that another
/// container shares becomes a link to the host.
#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere() {
    if stand_in_lacks("runc 1.1.5 makes directories on the host") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let (shared, outside) = (bundle.make_beside("shared"), bundle.make_beside("outside"));
    let source = bundle.make_beside("source").display().to_string();
    fs::create_dir(shared.join("a")).unwrap();
    symlink(&outside, shared.join("b")).unwrap();
    bundle.mount("/mnt", "bind", shared.to_str().unwrap(), &["rbind"]);
    bundle.probe(&["exit", "0"]);
    let racer = Racer::exchange(&shared.join("a"), &shared.join("b"));
    let plain = bundle.config["mounts"].as_array().unwrap().len();
    let mut round = 0;
    race(&runtime, &mut bundle, |bundle, _| {
        // Made, or refused for what was there at the moment.
        bundle.config["mounts"].as_array_mut().unwrap().truncate(plain);
        bundle.mount(&format!("/mnt/a/dir-{round}/deep"), "bind", &source, &["rbind"]);
        bundle.mount(&format!("/mnt/b/tmp-{round}/deep"), "tmpfs", "tmpfs", &[]);
        round += 1;
    });
    drop(racer);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host");
}

/// CVE-2025-24965 (crun) and its kin: what a runtime or an engine puts into the root file system is put behind its
/// links, inside.
#[test]
fn files_behind_links_of_the_image_are_not_made_on_the_host() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let outside = bundle.make_beside("outside");
    let rootfs = bundle.rootfs();
    let source = bundle.beside("source");
    fs::write(&source, "from the engine").unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    for name in [".krun_config.json", "etc/hosts", "etc/resolv.conf", "etc/hostname", ".containerenv"] {
        symlink(outside.join(name.replace('/', "-")), rootfs.join(name)).unwrap();
        bundle.mount(&format!("/{name}"), "bind", source.to_str().unwrap(), &["rbind"]);
    }
    symlink(outside.join("kept"), rootfs.join("etc/mtab")).unwrap();
    bundle.mount("/etc/mtab", "bind", source.to_str().unwrap(), &["rbind"]);
    bundle.set("/process/cwd", json!("/etc/work"));
    symlink(outside.join("work"), rootfs.join("etc/work")).unwrap();
    bundle.probe(&["see", "file=/etc/hosts", "file=/etc/mtab"]);
    let seen = runtime.see(&bundle);
    for path in ["/etc/hosts", "/etc/mtab"] {
        assert_eq!(seen["file"][path], "from the engine", "{path}");
    }
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was made on the host");
}

/// Class I, youki GHSA-3q8j-pf29-vwv8: a path that is to be read-only is swapped while it is made so. What is mounted is
/// read-only, whatever it lies on, or the container is refused.
#[test]
fn a_swapped_path_never_gets_a_writable_mount() {
    if stand_in_lacks("runc 1.1.5 goes by the name twice") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let shared = bundle.make_beside("shared");
    for name in ["a", "other"] {
        fs::create_dir(shared.join(name)).unwrap();
    }
    symlink("/mnt/other", shared.join("b")).unwrap();
    bundle.mount("/mnt", "bind", shared.to_str().unwrap(), &["rbind"]);
    bundle.set("/linux/readonlyPaths", json!(["/mnt/a"])).set("/linux/maskedPaths", json!(["/mnt/b"]));
    bundle.probe(&["see"]);
    let racer = Racer::exchange(&shared.join("a"), &shared.join("b"));
    race(&runtime, &mut bundle, |_, outcome| {
        if outcome.code != 0 {
            return;
        }
        let seen = outcome.json();
        let below = seen["mounts"].as_array().unwrap().iter();
        for mount in below.filter(|mount| mount["point"].as_str().unwrap().starts_with("/mnt/")) {
            assert!(mount["options"].as_array().unwrap().contains(&json!("ro")), "{mount}");
        }
    });
    drop(racer);
}
