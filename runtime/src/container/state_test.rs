//! Tests of the state directory, state.json and the status, on real files and the test's own process. Tests only.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::container::list::list;
use crate::container::process::ProcessId;
use crate::error::Kind;
use crate::spec;

/// A state root that is removed at the end of its test.
struct Root(Runtime);

impl Root {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("state-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Runtime { root: std::env::temp_dir().join(name).join("root"), ..Runtime::default() })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(self.0.root.parent().unwrap()));
    }
}

fn id(name: &str) -> Id {
    Id::parse(name).unwrap()
}

fn state(name: &str) -> State {
    State {
        id: id(name),
        init: ProcessId::own().unwrap(),
        created: crate::container::time::now(),
        bundle: "/bundles/b=1".into(),
        rootfs: "/bundles/b=1/rootfs".into(),
        annotations: BTreeMap::from([
            ("org.x".to_owned(), "a=b".to_owned()),
            ("empty".to_owned(), String::new()),
        ]),
        cgroup_paths: BTreeMap::new(),
        flags: Flags { no_pivot: true, ..Flags::default() },
        external_descriptors: vec!["/dev/null".to_owned(), "pipe:[1]".to_owned(), "/dev/null".to_owned()],
        intel_rdt_path: None,
        intel_rdt_mon_path: Some("/sys/fs/resctrl/mon_groups/x".into()),
        later_hooks: LaterHooks { poststart: false, poststop: true },
    }
}

const CONFIG: &str = r#"{
    "ociVersion": "1.0.2",
    "process": {"args": ["sh"], "cwd": "/", "user": {"umask": 18}, "noNewPrivileges": true, "oomScoreAdj": -5,
        "capabilities": {"bounding": ["CAP_KILL"]}, "scheduler": {"policy": "SCHED_BATCH", "nice": 3}},
    "root": {"path": "rootfs", "readonly": true},
    "hostname": "h",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/data", "source": "vol", "options": ["rbind", "rprivate", "ro", "exec", "rro", "idmap"],
         "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}]}
    ],
    "hooks": {"poststop": [{"path": "/bin/x", "timeout": 2}]},
    "annotations": {"org.x": "a=b", "empty": ""},
    "linux": {
        "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "pid", "path": "/proc/1/ns/pid"}],
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
        "rootfsPropagation": "rslave",
        "maskedPaths": ["/proc/kcore"],
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "personality": {"domain": "LINUX32"},
        "cgroupsPath": "/docker/x",
        "resources": {
            "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}],
            "memory": {"limit": 1000000, "swap": -1},
            "cpu": {"shares": 512, "cpus": "0-1", "idle": 0},
            "pids": {"limit": 0},
            "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 7}]},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 3}],
            "network": {"classID": 5, "priorities": [{"name": "eth0", "priority": 2}]},
            "rdma": {"mlx5": {"hcaHandles": 4}},
            "unified": {"memory.high": "5"}
        }
    }
}"#;

fn json(state: &State) -> serde_json::Value {
    let spec = spec::parse(CONFIG.as_bytes()).unwrap();
    serde_json::from_slice(&state.to_json(&spec).unwrap()).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let mut written = state("a");
    written.cgroup_paths.insert("memory".to_owned(), "/sys/fs/cgroup/memory/a".into());
    for systemd_cgroup in [false, true] {
        written.flags.systemd_cgroup = systemd_cgroup;
        let bytes = written.to_json(&spec::parse(CONFIG.as_bytes()).unwrap()).unwrap();
        assert_eq!(State::from_json(&bytes).unwrap(), written);
    }
}

/// Names, units and numbers as runc's Go types have them (runc libcontainer/configs, opencontainers/cgroups).
#[test]
fn config_has_the_shape_of_runc() {
    let json = json(&state("a"));
    let at = |pointer: &str| json.pointer(pointer).cloned().unwrap_or_default();
    for (pointer, expected) in [
        ("/id", serde_json::json!("a")),
        ("/init_process_pid", serde_json::json!(std::process::id())),
        ("/namespace_paths/NEWNS", serde_json::json!(format!("/proc/{}/ns/mnt", std::process::id()))),
        ("/config/rootfs", serde_json::json!("/bundles/b=1/rootfs")),
        ("/config/readonlyfs", serde_json::json!(true)),
        ("/config/umask", serde_json::json!(18)),
        ("/config/rootPropagation", serde_json::json!(libc::MS_SLAVE | libc::MS_REC)),
        ("/config/labels", serde_json::json!(["empty=", "org.x=a=b", "bundle=/bundles/b=1"])),
        ("/config/namespaces/2", serde_json::json!({"type": "NEWPID", "path": "/proc/1/ns/pid"})),
        ("/config/networks", serde_json::json!([{"type": "loopback"}])),
        ("/config/capabilities", serde_json::json!({"Bounding": ["CAP_KILL"]})),
        ("/config/personality", serde_json::json!({"domain": 8})),
        ("/config/Hooks/poststop/0/timeout", serde_json::json!(2_000_000_000_u64)),
        ("/config/mounts/0", serde_json::json!({"source": "proc", "destination": "/proc", "device": "proc"})),
        ("/config/mounts/1/flags", serde_json::json!(libc::MS_NOSUID | libc::MS_STRICTATIME)),
        ("/config/mounts/1/data", serde_json::json!("mode=755,size=65536k")),
        ("/config/mounts/2/source", serde_json::json!("/bundles/b=1/vol")),
        ("/config/mounts/2/device", serde_json::json!("bind")),
        ("/config/mounts/2/flags", serde_json::json!(libc::MS_BIND | libc::MS_REC | libc::MS_RDONLY)),
        ("/config/mounts/2/cleared_flags", serde_json::json!(libc::MS_NOEXEC)),
        ("/config/mounts/2/propagation_flags", serde_json::json!([libc::MS_PRIVATE | libc::MS_REC])),
        ("/config/mounts/2/rec_attr/Attr_set", serde_json::json!(1)),
        (
            "/config/mounts/2/id_mapping/uid_mappings/0",
            serde_json::json!({"container_id": 0, "host_id": 1000, "size": 10}),
        ),
        ("/config/devices/0/type", serde_json::json!(u32::from(b'c'))),
        ("/config/devices/0/file_mode", serde_json::json!(0o666)),
        ("/config/cgroups/path", serde_json::json!("/docker/x")),
        ("/config/cgroups/devices/0/major", serde_json::json!(-1)),
        ("/config/cgroups/memory", serde_json::json!(1_000_000)),
        ("/config/cgroups/memory_swap", serde_json::json!(-1)),
        ("/config/cgroups/cpu_shares", serde_json::json!(512)),
        ("/config/cgroups/pids_limit", serde_json::json!(0)),
        ("/config/cgroups/blkio_throttle_read_bps_device/0/rate", serde_json::json!(7)),
        ("/config/cgroups/hugetlb_limit/0", serde_json::json!({"page_size": "2MB", "limit": 3})),
        ("/config/cgroups/net_prio_ifpriomap/0", serde_json::json!({"interface": "eth0", "priority": 2})),
        ("/config/cgroups/rdma/mlx5", serde_json::json!({"hca_handles": 4})),
        ("/config/cgroups/unified", serde_json::json!({"memory.high": "5"})),
    ] {
        assert_eq!(at(pointer), expected, "{pointer}");
    }
}

#[test]
fn systemd_place_is_taken_apart() {
    let mut state = state("a");
    state.flags.systemd_cgroup = true;
    let mut spec = spec::parse(CONFIG.as_bytes()).unwrap();
    let mut cgroup = |path: Option<&str>| {
        spec.linux.as_mut().unwrap().cgroups_path = path.map(str::to_owned);
        let json: serde_json::Value = serde_json::from_slice(&state.to_json(&spec).unwrap()).unwrap();
        let cgroup = &json["config"]["cgroups"];
        (cgroup["parent"].clone(), cgroup["scope_prefix"].clone(), cgroup["name"].clone())
    };
    assert_eq!(cgroup(Some("x.slice:docker:abc")), ("x.slice".into(), "docker".into(), "abc".into()));
    assert_eq!(cgroup(None), (serde_json::Value::Null, serde_json::Value::Null, "a".into()));
}

#[test]
fn mkdir_is_the_lock() {
    let root = Root::new();
    let dir = Dir::create(&root.0, &id("a")).unwrap();
    let again = Dir::create(&root.0, &id("a")).unwrap_err();
    assert_eq!(again.kind(), Kind::Exists);
    assert!(again.to_string().starts_with("container with given ID already exists"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&root.0.root), 0o700);
    assert_eq!(mode(dir.path()) & 0o022, 0);
    dir.write_config(b"{}").unwrap();
    assert_eq!(mode(&dir.path().join("config.json")), 0o600);
    dir.remove().unwrap();
    dir.remove().unwrap();
    assert_eq!(Dir::open(&root.0, &id("a")).unwrap_err().kind(), Kind::NotFound);
    Dir::create(&root.0, &id("a")).unwrap();
}

#[test]
fn half_made_is_not_there_but_its_intent_is() {
    let root = Root::new();
    let dir = Dir::create(&root.0, &id("a")).unwrap();
    assert_eq!(dir.intent().unwrap(), None);
    let intent = Intent {
        creator: ProcessId::own().unwrap(),
        init: None,
        bundle: "/b".into(),
        cgroup_paths: BTreeMap::from([(String::new(), "/sys/fs/cgroup/a".to_owned())]),
        systemd_user: true,
        systemd_unit: Some("pinnace-a.scope".to_owned()),
        intel_rdt_path: None,
        intel_rdt_mon_path: None,
    };
    dir.write_intent(&intent).unwrap();
    let found = Dir::open(&root.0, &id("a")).unwrap();
    assert_eq!(found.intent().unwrap(), Some(intent));
    assert_eq!(Container::load(&root.0, &id("a")).unwrap_err().to_string(), "container does not exist");
}

#[test]
fn damaged_state_is_said_to_be() {
    let root = Root::new();
    let dir = Dir::create(&root.0, &id("a")).unwrap();
    let whole = state("a").to_json(&spec::parse(CONFIG.as_bytes()).unwrap()).unwrap();
    let foreign = state("b").to_json(&Spec::default()).unwrap();
    let half = whole.get(..whole.len() / 2).unwrap();
    for bytes in [&b""[..], b"null", b"{}", b"\0\0\0\0", b"[1]", half, &foreign] {
        std::fs::write(dir.path().join("state.json"), bytes).unwrap();
        let error = Container::load(&root.0, &id("a")).unwrap_err();
        assert_eq!(error.kind(), Kind::State);
        assert!(
            error.to_string().contains("state.json: ") && error.to_string().contains("delete --force a"),
            "{error}"
        );
        assert!(!error.to_string().contains('\n'));
    }
    std::fs::write(dir.path().join("intent.json"), "{").unwrap();
    assert_eq!(dir.intent().unwrap_err().kind(), Kind::State);
}

fn container(root: &Root, state: &State) -> Container {
    let dir = Dir::create(&root.0, &state.id).unwrap();
    dir.write_config(CONFIG.as_bytes()).unwrap();
    dir.write_state(state, &spec::parse(CONFIG.as_bytes()).unwrap()).unwrap();
    Container::load(&root.0, &state.id).unwrap()
}

#[test]
fn status_follows_from_the_world() {
    let root = Root::new();
    let freezer = root.0.root.parent().unwrap().join("freezer");
    let mut state = state("a");
    state.cgroup_paths.insert("freezer".to_owned(), freezer.to_str().unwrap().to_owned());
    let container = container(&root, &state);
    assert_eq!(container.status().unwrap(), Status::Running);
    std::fs::write(container.dir.fifo(), "").unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    std::fs::create_dir(&freezer).unwrap();
    for (word, status) in
        [("FROZEN\n", Status::Paused), ("FREEZING\n", Status::Paused), ("THAWED\n", Status::Created)]
    {
        std::fs::write(freezer.join("freezer.state"), word).unwrap();
        assert_eq!(container.status().unwrap(), status);
    }
    std::fs::write(freezer.join("freezer.state"), "FROZEN\n").unwrap();
    let mut recycled = container.clone();
    recycled.state.init.start += 1;
    assert_eq!(recycled.status().unwrap(), Status::Stopped);
    assert_eq!(recycled.oci_state().unwrap().pid, 0);
}

#[test]
fn unified_cgroup_is_asked_when_there_is_no_freezer() {
    let root = Root::new();
    let unified = root.0.root.parent().unwrap().join("unified");
    let mut state = state("a");
    state.cgroup_paths.insert(String::new(), unified.to_str().unwrap().to_owned());
    let container = container(&root, &state);
    std::fs::create_dir(&unified).unwrap();
    for (word, status) in [("1\n", Status::Paused), ("0\n", Status::Running)] {
        std::fs::write(unified.join("cgroup.freeze"), word).unwrap();
        assert_eq!(container.status().unwrap(), status);
    }
}

#[test]
fn printed_states_have_the_order_of_runc() {
    let root = Root::new();
    let mut state = state("a");
    state.created = "2026-11-20T18:05:23.5Z".to_owned();
    let container = container(&root, &state);
    let pid = std::process::id();
    let bundle = r#""bundle":"/bundles/b=1""#;
    let annotations = r#""annotations":{"empty":"","org.x":"a=b"}"#;
    assert_eq!(
        serde_json::to_string(&container.oci_state().unwrap()).unwrap(),
        format!(
            r#"{{"ociVersion":"1.3.0","id":"a","pid":{pid},"status":"running",{bundle},"rootfs":"/bundles/b=1/rootfs","created":"2026-11-20T18:05:23.5Z",{annotations},"owner":""}}"#
        )
    );
    let hook = |status, pid| String::from_utf8(container.hook_state(status, pid).to_json().unwrap()).unwrap();
    assert_eq!(
        hook(Status::Creating, 7),
        format!(r#"{{"ociVersion":"1.3.0","id":"a","status":"creating","pid":7,{bundle},{annotations}}}"#)
    );
    assert!(
        hook(Status::Stopped, 0).starts_with(r#"{"ociVersion":"1.3.0","id":"a","status":"stopped","bundle""#)
    );
}

#[test]
fn an_update_is_kept() {
    let root = Root::new();
    let container = container(&root, &state("a"));
    let mut spec = container.config().unwrap();
    spec.linux.as_mut().unwrap().resources.as_mut().unwrap().pids = Some(spec::Pids { limit: Some(77) });
    container.replace_config(&spec).unwrap();
    let again = Container::load(&root.0, &id("a")).unwrap();
    assert_eq!(again.config().unwrap(), spec);
    assert_eq!(again.state, container.state);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(again.dir.path().join("state.json")).unwrap()).unwrap();
    assert_eq!(json["config"]["cgroups"]["pids_limit"], 77);
}

#[test]
fn a_container_of_another_runtime_has_no_config() {
    let root = Root::new();
    let container = container(&root, &state("a"));
    std::fs::remove_file(container.dir.path().join("config.json")).unwrap();
    assert!(container.config().unwrap_err().to_string().contains("config.json: not there"));
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn one_bad_container_does_not_hide_the_others() {
    let root = Root::new();
    assert_eq!(list(&root.0).unwrap_err().kind(), Kind::NotFound);
    for name in ["b", "a", "c"] {
        container(&root, &state(name));
    }
    std::fs::write(root.0.root.join("b/state.json"), "{").unwrap();
    std::fs::create_dir(root.0.root.join("left-over")).unwrap();
    std::fs::create_dir(root.0.root.join("not an id")).unwrap();
    std::fs::write(root.0.root.join("file"), "").unwrap();
    let found = list(&root.0).unwrap();
    let names: Vec<_> = found.iter().map(|state| state.id.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert!(!found[0].owner.is_empty());
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let root = Root::new();
    let dir = Dir::create(&root.0, &id("a")).unwrap();
    // The target is a directory: the rename must fail.
    std::fs::create_dir(dir.path().join("config.json")).unwrap();
    let error = dir.write_config(b"{}").unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
        drop(State::from_json(&bytes));
    }

    /// A torn or changed state.json is refused, or is a state: never a panic, never half of one.
    #[test]
    fn no_damage_makes_the_reader_panic(cut in 0usize..4000, at in 0usize..4000, byte: u8) {
        let mut json = state("a").to_json(&spec::parse(CONFIG.as_bytes()).unwrap()).unwrap();
        if let Some(damaged) = json.get_mut(at) {
            *damaged = byte;
        }
        drop(State::from_json(&json));
        json.truncate(cut.min(json.len() - 1));
        proptest::prop_assert!(State::from_json(&json).is_err());
    }
}

/// state.json and intent.json, as whoever wrote them.
#[test]
fn fuzz() {
    crate::fuzz::run("state", &[b"{}"], |bytes| {
        let intent = serde_json::from_slice::<Intent>(bytes).is_ok();
        let state = State::from_json(bytes).map_or_else(|error| error.to_string(), |_| "state".to_owned());
        format!("{intent} {state}")
    });
}
