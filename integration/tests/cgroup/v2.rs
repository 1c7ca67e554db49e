//! What cgroup v2 alone has: controllers handed down, threads, delegation, one process list.

use std::fs;
use std::os::unix::fs::MetadataExt;

use integration::skip;
use pinnace::cgroup::{Cgroup, Mode};
use pinnace::sys::bpf;

use super::{Process, Scene, resources, sleep};

/// systemd in a container moves itself and hands controllers on: the first cgroup is shut then, and exec goes where init
/// is.
#[test]
fn an_init_that_moved_shuts_the_door() {
    if Cgroup::mode() != Mode::V2 {
        return skip("only cgroup v2 forbids processes in a cgroup that hands controllers on");
    }
    let scene = Scene::made("{}");
    let init = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let directory = scene.directory("");
    fs::create_dir(format!("{directory}/init.scope")).unwrap();
    fs::write(format!("{directory}/init.scope/cgroup.procs"), init.pid.to_string()).unwrap();
    let recorded = scene.recorded();
    assert!(Process::born(&recorded.entry().unwrap(), sleep).runs(), "still open");
    fs::write(format!("{directory}/cgroup.subtree_control"), "+memory").unwrap();
    for result in [recorded.entry(), recorded.sub_entry(&["/".to_owned()])] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(" adding pid ") && error.contains("to cgroups"), "{error}");
        assert!(error.ends_with("device or resource busy"), "{error}");
    }
    let child = Process::born(&Cgroup::entry_of_init(init.pid).unwrap(), sleep);
    assert_eq!(child.cgroups().trim(), format!("0::{}/init.scope", scene.path));
}

/// The scene of a test of cgroup v2 alone; `None` notes a skip.
#[track_caller]
fn unified() -> Option<Scene> {
    if Cgroup::mode() == Mode::V2 {
        return Some(Scene::new());
    }
    skip("this host has cgroup v1");
    None
}

/// A place below another, which is made without limits, as somebody else would.
fn below(above: &Scene, name: &str) -> Scene {
    fs::create_dir_all(directory(above)).unwrap();
    Scene::at(&format!("{}/{name}", above.path))
}

fn directory(scene: &Scene) -> String {
    scene.directory("")
}

fn words(directory: &str, file: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{directory}/{file}")).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

/// cgroup-v2.rst, top-down constraint: a controller is on where all above hand it down.
#[test]
fn every_controller_comes_down_to_the_container() {
    let Some(top) = unified() else { return };
    let scene = below(&top, "a/b");
    scene.cgroup.create(&resources("{}")).unwrap();
    let offered = words("/sys/fs/cgroup", "cgroup.controllers");
    assert!(offered.iter().any(|c| c == "memory"), "{offered:?}");
    for controller in offered.iter().filter(|c| *c != "cpuset" || above_has_no_partition()) {
        for level in [directory(&top), format!("{}/a", directory(&top))] {
            assert!(words(&level, "cgroup.subtree_control").contains(controller), "{controller}: {level}");
        }
        assert!(words(&directory(&scene), "cgroup.controllers").contains(controller), "{controller}");
    }
    assert!(
        words(&directory(&scene), "cgroup.subtree_control").is_empty(),
        "that is the container's to decide"
    );
}

fn above_has_no_partition() -> bool {
    fs::read_to_string("/sys/fs/cgroup/cpuset.cpus.isolated").is_ok_and(|cpus| cpus.trim().is_empty())
}

/// Somebody runs in the cgroup above: it can hand on what threads can have and no more, so another limit is an error and
/// not passed over.
#[test]
fn a_controller_that_is_not_handed_down_is_an_error() {
    let Some(top) = unified() else { return };
    top.cgroup.create(&resources("{}")).unwrap();
    let _in_the_way = Process::born(&top.cgroup.entry().unwrap(), sleep);
    for json in [
        r#"{"memory": {"limit": 33554432}}"#,
        r#"{"pids": {"limit": 5}, "memory": {"limit": 33554432}}"#,
        r#"{"unified": {"memory.high": "33554432"}}"#,
        r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 7, "minor": 0, "rate": 1048576}]}}"#,
    ] {
        let scene = below(&top, "below");
        let error = scene.cgroup.create(&resources(json)).unwrap_err().to_string();
        assert!(error.contains("with domain controllers") && error.contains(&top.path), "{json}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(scene.is_gone(), "{json}: {error}");
    }
    let scene = below(&top, "below");
    scene.cgroup.create(&resources(r#"{"pids": {"limit": 5}}"#)).unwrap();
    assert_eq!(scene.read("pids", "", "pids.max"), "5");
    assert!(Process::born(&scene.cgroup.entry().unwrap(), sleep).runs());
}

/// What the kernel refuses, by its errno, is told with the file and the value, and nothing stays.
#[test]
fn a_limit_that_the_kernel_refuses() {
    let Some(scene) = unified() else { return };
    for (json, parts) in [
        (r#"{"cpu": {"quota": 1, "period": 100000}}"#, &["cpu.max", "\"1 100000\"", "invalid argument"][..]),
        (r#"{"cpu": {"quota": 5000, "period": 100000, "burst": 9000}}"#, &["cpu.max", "invalid argument"]),
        (
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 99, "rate": 1}]}}"#,
            &["io.max", "250:99", "no such device"],
        ),
        (r#"{"unified": {"memory.max": "much"}}"#, &["memory.max", "invalid argument"]),
        (r#"{"unified": {"pids.max": "99999999999999"}}"#, &["pids.max", "invalid argument"]),
        (r#"{"unified": {"memory.nosuch": "1"}}"#, &["memory.nosuch", "no such file"]),
        (r#"{"unified": {"nosuch.max": "1"}}"#, &["nosuch.max", "\"nosuch\" not available"]),
        (r#"{"unified": {"memory.current": "1"}}"#, &["memory.current"]),
        (r#"{"unified": {"cgroup.type": "domain"}}"#, &["cgroup.type", "invalid argument"]),
        (
            r#"{"unified": {"cgroup.subtree_control": "+nosuch"}}"#,
            &["cgroup.subtree_control", "invalid argument"],
        ),
    ] {
        let error = scene.cgroup.create(&resources(json)).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no {part} in {error}");
        }
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(scene.is_gone(), "{json}: {error}");
    }
}

/// cgroup-v2.rst, threads: below a threaded domain no cgroup takes a domain controller, but the others work.
#[test]
fn a_threaded_place_takes_the_limits_of_threads_and_refuses_the_others() {
    let Some(top) = unified() else { return };
    fs::create_dir_all(format!("{}/thread", directory(&top))).unwrap();
    fs::write(format!("{}/thread/cgroup.type", directory(&top)), "threaded").unwrap();
    assert_eq!(words(&directory(&top), "cgroup.type"), ["domain", "threaded"]);
    let scene = below(&top, "container");
    let error =
        scene.cgroup.create(&resources(r#"{"memory": {"limit": 33554432}}"#)).unwrap_err().to_string();
    assert!(error.contains("with domain controllers -- it is in domain threaded mode"), "{error}");
    assert!(scene.is_gone(), "{error}");
    let scene = below(&top, "container");
    scene.cgroup.create(&resources(r#"{"pids": {"limit": 5}}"#)).unwrap();
    assert_eq!(words(&directory(&scene), "cgroup.type"), ["threaded"]);
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    assert_eq!(child.cgroups().trim(), format!("0::{}", scene.path));
    assert_eq!(scene.read("pids", "", "pids.max"), "5");
}

/// A new policy takes the place of the old one in one step, and of what others have left.
#[test]
fn one_device_program_stands_whatever_was_there() {
    let Some(scene) = unified() else { return };
    let filters = || bpf::device_filters(fs::File::open(directory(&scene)).unwrap()).unwrap();
    let none = r#"{"devices": [{"allow": false, "access": "rwm"}]}"#;
    scene.cgroup.create(&resources(none)).unwrap();
    let first = filters();
    assert_eq!(first.len(), 1);
    let again = || Cgroup::place("unused", Some(&scene.path)).unwrap().create(&resources(none)).unwrap();
    again();
    let second = filters();
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    let open = bpf::load_device_filter(&[bpf::Insn::set(bpf::Reg::R0, 1), bpf::Insn::exit()]).unwrap();
    bpf::attach_device_filter(fs::File::open(directory(&scene)).unwrap(), &open, None).unwrap();
    assert_eq!(filters().len(), 2);
    again();
    assert_eq!(filters().len(), 1);
}

/// Every file that the kernel lists is the user's, every other one stays root's (delegation, cgroup-v2.rst).
#[test]
fn all_that_the_kernel_lists_is_delegated_and_no_limit() {
    let Some(scene) = unified() else { return };
    scene.cgroup.create(&resources(r#"{"pids": {"limit": 7}}"#)).unwrap();
    scene.cgroup.delegate(1000).unwrap();
    let listed = words("/sys/kernel/cgroup", "delegate");
    assert!(listed.iter().any(|file| file == "cgroup.threads"), "{listed:?}");
    assert_eq!(fs::metadata(directory(&scene)).unwrap().uid(), 1000);
    for entry in fs::read_dir(directory(&scene)).unwrap().flatten() {
        let status = entry.metadata().unwrap();
        let theirs = listed.contains(&entry.file_name().into_string().unwrap());
        let owner = if theirs { 1000 } else { 0 };
        assert_eq!((status.uid(), status.gid()), (owner, 0), "{:?}", entry.file_name());
    }
}

/// What the kernel tells of memory and of pressure comes with the other figures.
#[test]
fn events_and_pressure_are_told() {
    let Some(scene) = unified() else { return };
    scene.cgroup.create(&resources(r#"{"memory": {"limit": 33554432}}"#)).unwrap();
    let _child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let stats = scene.cgroup.stats().unwrap();
    for event in ["low", "high", "max", "oom", "oom_kill"] {
        assert_eq!(stats.memory.events.get(event), Some(&0), "{event}");
    }
    if !std::path::Path::new(&format!("{}/memory.pressure", directory(&scene))).exists() {
        assert!(stats.memory.psi.is_none() && stats.cpu.psi.is_none());
        return skip("this kernel measures no pressure");
    }
    assert!(stats.memory.psi.is_some() && stats.cpu.psi.is_some() && stats.blkio.psi.is_some());
}
