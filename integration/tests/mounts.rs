//! Where mounts come from and where they go: sources, missing destinations, links, order, and what is refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use integration::{Bundle, stand_in_lacks};
use serde_json::json;

/// A bundle with a file and a directory beside it, as sources.
fn with_sources() -> (Bundle, String, String) {
    let bundle = Bundle::new();
    let directory = bundle.make_beside("source");
    fs::write(directory.join("file"), "from the host").unwrap();
    let file = directory.join("file").display().to_string();
    (bundle, directory.display().to_string(), file)
}

#[test]
fn a_missing_destination_is_made_as_what_the_source_is() {
    let (mut bundle, directory, file) = with_sources();
    let runtime = bundle.runtime();
    bundle.mount("/new/deep/dir", "bind", &directory, &["rbind"]);
    bundle.mount("/new/deep/file", "bind", &file, &["bind", "ro"]);
    bundle.mount("/new/fs", "tmpfs", "tmpfs", &[]);
    bundle.probe(&[
        "see",
        "file=/new/deep/dir/file",
        "file=/new/deep/file",
        "create=/new/deep/dir/made",
        "create=/new/deep/file",
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(
        seen["file"],
        json!({"/new/deep/dir/file": "from the host", "/new/deep/file": "from the host"})
    );
    assert_eq!(seen["create"], json!({"/new/deep/dir/made": "ok", "/new/deep/file": "EROFS"}));
    assert!(bundle.beside("source/made").exists());
    let made = |name: &str| fs::symlink_metadata(bundle.rootfs().join("new").join(name)).unwrap();
    assert!(made("deep/dir").is_dir() && made("deep/file").is_file() && made("fs").is_dir());
    assert_eq!((made("deep").mode() & 0o777, made("deep").uid()), (0o755, 0));
    assert_eq!(made("deep/file").len(), 0);
}

/// The type is nothing but a name: with a bind option it is a bind.
#[test]
fn a_bind_may_have_any_type() {
    let (mut bundle, directory, _) = with_sources();
    let runtime = bundle.runtime();
    bundle.mount("/mnt/a", "none", &directory, &["bind"]).mount("/mnt/b", "", &directory, &["rbind"]);
    bundle.push("/mounts", json!({"destination": "/mnt/c", "source": directory, "options": ["bind"]}));
    bundle.probe(&["see", "file=/mnt/a/file", "file=/mnt/b/file", "file=/mnt/c/file"]);
    let seen = runtime.see(&bundle);
    for (path, text) in seen["file"].as_object().unwrap() {
        assert_eq!(text, "from the host", "{path}");
    }
}

#[test]
fn a_source_may_be_anything() {
    let (mut bundle, directory, file) = with_sources();
    let runtime = bundle.runtime();
    let place = bundle.beside("source");
    symlink("file", place.join("link")).unwrap();
    symlink(&directory, bundle.beside("link")).unwrap();
    let _socket = UnixListener::bind(place.join("socket")).unwrap();
    fs::create_dir(place.join("odd \t\"\\ näme")).unwrap();
    for (number, source) in [
        format!("{directory}/link"),
        bundle.beside("link").display().to_string(),
        format!("{directory}/socket"),
        format!("{directory}/odd \t\"\\ näme"),
        "/dev/null".to_owned(),
        format!("{directory}//./../source/"),
        file,
    ]
    .iter()
    .enumerate()
    {
        bundle.mount(&format!("/mnt/{number} ö"), "bind", source, &["rbind"]);
    }
    bundle.probe(&["see", "list=/mnt", "file=/mnt/0 ö", "list=/mnt/5 ö"]);
    let seen = runtime.see(&bundle);
    let kinds: Vec<_> =
        (0..7).map(|n| seen["list"]["/mnt"][format!("{n} ö")]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["file", "dir", "socket", "dir", "char", "dir", "file"]);
    assert_eq!(seen["file"]["/mnt/0 ö"], "from the host");
    assert!(seen["list"]["/mnt/5 ö"]["file"].is_object());
}

#[test]
fn a_relative_source_is_relative_to_the_bundle() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    fs::write(bundle.beside("bundle/file"), "of the bundle").unwrap();
    bundle.mount("/mnt/file", "bind", "file", &["bind"]).probe(&["read", "/mnt/file"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    command.current_dir("/");
    assert_eq!(runtime.finish(command).ok().stdout, "of the bundle");
}

/// Deprecated by runtime-spec 1.2, and relative to the root.
#[test]
fn a_relative_destination_is_relative_to_the_root() {
    let (mut bundle, directory, _) = with_sources();
    let runtime = bundle.runtime();
    bundle.mount("mnt/here", "bind", &directory, &["rbind"]).probe(&["read", "/mnt/here/file"]);
    assert_eq!(runtime.run(&bundle).ok().stdout, "from the host");
}

#[test]
fn mounts_are_made_in_their_order() {
    let (mut bundle, directory, file) = with_sources();
    let runtime = bundle.runtime();
    bundle.mount("/mnt", "bind", &directory, &["rbind"]);
    bundle.mount("/mnt", "tmpfs", "tmpfs", &[]);
    bundle.mount("/mnt/in", "tmpfs", "tmpfs", &[]);
    bundle.mount("/mnt/in/file", "bind", &file, &["bind"]);
    bundle.probe(&["see", "list=/mnt", "file=/mnt/in/file"]);
    let seen = runtime.see(&bundle);
    let names: Vec<_> = seen["list"]["/mnt"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["in"]);
    assert_eq!(seen["file"]["/mnt/in/file"], "from the host");
    // Nothing of it was made in the covered source.
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

/// runc CVE-2021-30465 and its kin: whatever a link says, it is resolved below the root.
#[test]
fn links_in_a_destination_stay_inside() {
    let (mut bundle, directory, file) = with_sources();
    let runtime = bundle.runtime();
    let outside = bundle.make_beside("outside");
    let rootfs = bundle.rootfs();
    symlink(&outside, rootfs.join("absolute")).unwrap();
    symlink("../../../../../../../../../../../mnt", rootfs.join("climbing")).unwrap();
    symlink("climbing/x", rootfs.join("chain")).unwrap();
    symlink(outside.join("new"), rootfs.join("dangling")).unwrap();
    bundle.mount("/absolute/made", "bind", &directory, &["rbind"]);
    bundle.mount("/climbing/x", "tmpfs", "tmpfs", &[]);
    bundle.mount("/chain/y", "bind", &directory, &["rbind"]);
    bundle.mount("/dangling", "bind", &file, &["bind"]);
    bundle.mount("/../../../../../etc/up", "bind", &file, &["bind"]);
    bundle.probe(&[
        "see",
        "file=/mnt/x/y/file",
        "file=/etc/up",
        &format!("file={}/made/file", outside.display()),
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["file"].as_object().unwrap().len(), 3);
    for (path, text) in seen["file"].as_object().unwrap() {
        assert_eq!(text, "from the host", "{path}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host");
}

/// The container's /dev is a link to a directory of the host (CVE-2026-41579, crun CVE-2026-47766).
#[test]
fn a_link_for_dev_leaves_the_host_alone() {
    if stand_in_lacks("runc 1.1.5 removes the host's file") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let outside = bundle.make_beside("outside");
    fs::write(outside.join("ptmx"), "mine").unwrap();
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(&outside, bundle.rootfs().join("dev")).unwrap();
    for with_mount in [true, false] {
        if !with_mount {
            for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
                bundle.unmount(point);
            }
        }
        let outcome = runtime.run(&bundle);
        println!("{}", outcome.code);
        assert_eq!(fs::read_to_string(outside.join("ptmx")).unwrap(), "mine");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was made on the host");
        runtime.leaves_nothing(bundle.id());
    }
}

/// With a procfs bound in, a magic link leads to the host (crun CVE-2019-18837).
#[test]
fn a_magic_link_in_a_destination_is_not_followed() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let outside = bundle.make_beside("outside");
    bundle.mount("/hp", "bind", "/proc", &["rbind"]);
    bundle.mount(&format!("/hp/self/root/{}/made", outside.display()), "tmpfs", "tmpfs", &[]);
    let outcome = runtime.run(&bundle);
    println!("{}", outcome.code);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host");
    runtime.leaves_nothing(bundle.id());
}

/// Labels and sysctls are written through /proc: nothing may stand there but a procfs (CVE-2019-16884, CVE-2023-27561).
#[test]
fn nothing_is_mounted_over_proc() {
    for point in ["/proc", "/proc/self/attr", "/proc/sys", "/proc/1", "/proc/sys/kernel", "/mnt/../proc/self"]
    {
        let (mut bundle, directory, _) = with_sources();
        let runtime = bundle.runtime();
        bundle.mount(point, "bind", &directory, &["rbind"]);
        println!("{point}");
        runtime.run(&bundle).refuses(&["/proc"]);
        runtime.leaves_nothing(bundle.id());
    }
}

/// What lxcfs shows in place of the host's.
#[test]
fn files_that_lxcfs_replaces_may_be_mounted_over_proc() {
    let (mut bundle, _, file) = with_sources();
    let runtime = bundle.runtime();
    for name in ["cpuinfo", "meminfo", "stat", "uptime", "loadavg", "diskstats", "swaps"] {
        bundle.mount(&format!("/proc/{name}"), "bind", &file, &["bind", "ro"]);
    }
    bundle.probe(&["read", "/proc/meminfo"]);
    assert_eq!(runtime.run(&bundle).ok().stdout, "from the host");
}

#[test]
fn a_proc_or_sys_that_is_a_link_is_refused() {
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        fs::create_dir_all(bundle.rootfs().join("evil").join(name)).unwrap();
        fs::remove_dir(bundle.rootfs().join(name)).unwrap();
        symlink(format!("evil/{name}"), bundle.rootfs().join(name)).unwrap();
        bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        runtime.run(&bundle).refuses(&[&format!("/{name}"), "director"]);
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn a_missing_source_is_named() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount("/mnt", "bind", "/no/such/source", &["rbind"]);
    runtime.run(&bundle).refuses(&["/mnt", "/no/such/source", "no such file or directory"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_destination_of_the_wrong_kind_is_named() {
    let (mut bundle, directory, _) = with_sources();
    let runtime = bundle.runtime();
    bundle.mount("/etc/passwd", "bind", &directory, &["rbind"]);
    runtime.run(&bundle).refuses(&["/etc/passwd", "not a directory"]);
    bundle.unmount("/etc/passwd").mount("/etc/passwd/below", "tmpfs", "tmpfs", &[]);
    runtime.run(&bundle).refuses(&["/etc/passwd", "not a directory"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn an_unknown_file_system_is_named() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.mount("/mnt", "nosuchfs", "none", &[]);
    runtime.run(&bundle).refuses(&["/mnt", "nosuchfs", "no such device"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_hundred_mounts_are_no_trouble() {
    let (mut bundle, directory, _) = with_sources();
    let runtime = bundle.runtime();
    for number in 0..100 {
        bundle.mount(&format!("/mnt/{number}"), "bind", &directory, &["rbind", "ro"]);
    }
    let seen = runtime.see(&bundle);
    let there = seen["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["point"].as_str().unwrap().starts_with("/mnt/"));
    assert_eq!(there.count(), 100);
}

/// fsconfig(2) takes values of 255 bytes, engines write layers of any number into one.
#[test]
fn an_overlay_may_have_many_layers_and_long_names() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let layers = bundle.make_beside("layers");
    let make = |name: &str| {
        let path = layers.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(name.rsplit('/').next().unwrap()), "a layer").unwrap();
        path.display().to_string()
    };
    let many: Vec<String> = (0..30).map(|n| make(&format!("layer-{n}"))).collect();
    // The parent of one that lies deep is a layer of its own, with one of the others' files.
    let deep = make(&format!("{0}/{0}/last", "x".repeat(120)));
    let (upper, work) = (make("upper"), make("work"));
    fs::remove_file(layers.join("work/work")).unwrap();
    for (lower, found) in [
        (many.join(":"), ["layer-0", "layer-29"]),
        // Too long for a value of its own: the text of mount(2) takes it.
        (format!("{}:{deep}", many[..5].join(":")), ["layer-0", "last"]),
    ] {
        assert!(lower.len() > 255);
        bundle.unmount("/mnt/o").mount(
            "/mnt/o",
            "overlay",
            "overlay",
            &[
                "nosuid",
                &format!("lowerdir={lower}"),
                &format!("upperdir={upper}"),
                &format!("workdir={work}"),
            ],
        );
        let paths = found.map(|name| format!("file=/mnt/o/{name}"));
        bundle.probe(&["see", &paths[0], &paths[1], "file=/mnt/o/upper", "create=/mnt/o/made"]);
        let seen = runtime.see(&bundle);
        for (path, text) in seen["file"].as_object().unwrap() {
            assert_eq!(text, "a layer", "{path}");
        }
        assert_eq!(seen["create"]["/mnt/o/made"], "ok");
        let new_file = layers.join("upper/made");
        assert!(new_file.exists());
        fs::remove_file(new_file).unwrap();
    }
    let long = vec![deep; 20].join(":");
    bundle.unmount("/mnt/o").mount("/mnt/o", "overlay", "overlay", &[&format!("lowerdir={long}")]);
    if !stand_in_lacks("runc hands the kernel what it cuts") {
        runtime.run(&bundle).refuses(&["/mnt/o", "argument list too long", "4095"]);
    }
}
