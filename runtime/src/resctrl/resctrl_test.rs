//! Tables and files of resctrl groups, in an ordinary directory that has the file system's layout.

use super::*;

/// A directory of this test alone with what resctrl shows, removed at its end.
struct Layout(Resctrl);

impl Layout {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("pinnace-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(Resctrl { root })
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.root);
    }
}

const MACHINE: [(&str, &str); 14] = [
    ("schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n"),
    ("tasks", ""),
    ("info/last_cmd_status", "mask f00000 has bits out of range\n"),
    ("info/L3/cbm_mask", "fffff\n"),
    ("info/L3/min_cbm_bits", "1\n"),
    ("info/L3/num_closids", "16\n"),
    ("info/MB/bandwidth_gran", "10\n"),
    ("info/MB/delay_linear", "1\n"),
    ("info/MB/min_bandwidth", "10\n"),
    ("info/MB/num_closids", "8\n"),
    ("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n"),
    ("class/mon_data/mon_L3_00/llc_occupancy", "4096\n"),
    ("class/mon_data/mon_L3_00/mbm_total_bytes", "7\n"),
    ("class/mon_data/mon_L3_00/mbm_local_bytes", "5\n"),
];

fn rdt(json: &str) -> IntelRdt {
    serde_json::from_str(json).unwrap()
}

#[test]
fn lines_are_written_in_runcs_order() {
    for (json, expected) in [
        ("{}", ""),
        (r#"{"l3CacheSchema": "", "schemata": ["", "x"]}"#, "x\n"),
        (
            r#"{"memBwSchema": "MB:0=20", "l3CacheSchema": "L3:0=f", "schemata": ["L2:0=3", "MB:1=30"]}"#,
            "L3:0=f\nMB:0=20\nL2:0=3\nMB:1=30\n",
        ),
    ] {
        assert_eq!(schemata(&rdt(json)), expected);
    }
}

#[test]
fn a_group_is_the_class_or_the_containers_own() {
    let layout = Layout::new("place", &MACHINE);
    let root = &layout.0.root;
    for (json, path, monitoring, own) in [
        ("{}", root.join("id"), None, true),
        (r#"{"closID": "/"}"#, root.clone(), None, false),
        (
            r#"{"closID": "class", "enableMonitoring": true}"#,
            root.join("class"),
            Some(root.join("class/mon_groups/id")),
            false,
        ),
    ] {
        assert_eq!(layout.0.place(&rdt(json), "id"), Group { path, monitoring, own }, "{json}");
    }
    fs::create_dir(root.join("id")).unwrap();
    assert!(!layout.0.place(&rdt("{}"), "id").own, "it was there before");
}

#[test]
fn groups_are_made_limited_and_removed() {
    let layout = Layout::new("make", &MACHINE);
    let wanted = rdt(r#"{"l3CacheSchema": "L3:0=f"}"#);
    let group = layout.0.place(&wanted, "id");
    layout.0.make(&group, &wanted).unwrap();
    assert_eq!(fs::read_to_string(group.path.join("schemata")).unwrap(), "L3:0=f\n");
    layout.0.set(&group.path, &rdt(r#"{"memBwSchema": "MB:0=20"}"#)).unwrap();
    assert_eq!(fs::read_to_string(group.path.join("schemata")).unwrap(), "MB:0=20\n");
    assert_eq!(doors(Some(&layout.0.root), None).unwrap().len(), 1);
    assert!(doors(Some(&group.path), None).unwrap_err().to_string().contains("id/tasks"));
    // In resctrl a directory's files go with it; here they don't.
    fs::remove_file(group.path.join("schemata")).unwrap();
    remove(&group.path).unwrap();
    remove(&group.path).unwrap();
    assert!(!group.path.exists());
}

#[test]
fn a_class_that_is_only_named_must_be_there() {
    let layout = Layout::new("class", &MACHINE);
    let named = rdt(r#"{"closID": "nosuch"}"#);
    let error = layout.0.make(&layout.0.place(&named, "id"), &named).unwrap_err().to_string();
    assert!(error.contains("must be pre-created") && error.contains("no such file"), "{error}");
    let there = rdt(r#"{"closID": "class"}"#);
    layout.0.make(&layout.0.place(&there, "id"), &there).unwrap();
}

#[test]
fn what_the_machine_lacks_is_refused_and_what_it_said_is_told() {
    let layout = Layout::new("lacks", &[("schemata", ""), ("info/last_cmd_status", "ok\n")]);
    for (json, word) in [(r#"{"l3CacheSchema": "L3:0=f"}"#, "CAT"), (r#"{"memBwSchema": "MB:0=1"}"#, "MBA")] {
        let error = layout.0.check(&rdt(json)).unwrap_err().to_string();
        assert!(error.contains(&format!("Intel RDT/{word} is not enabled")), "{error}");
    }
    layout.0.check(&rdt(r#"{"schemata": ["L3:0=f"]}"#)).unwrap();
    let nowhere = Group { path: layout.0.root.join("no/such"), ..Group::default() };
    let error = layout.0.make(&nowhere, &rdt("{}")).unwrap_err().to_string();
    assert!(error.ends_with("no such file or directory; last_cmd_status: ok"), "{error}");
}

#[test]
fn statistics_have_runcs_names() {
    let layout = Layout::new("stats", &MACHINE);
    let class = layout.0.root.join("class");
    fs::write(class.join("schemata"), "    MB:0=20\n    L3:0=f\n").unwrap();
    let stats = serde_json::to_value(layout.0.stats(&class, None).unwrap()).unwrap();
    assert_eq!(
        stats,
        serde_json::json!({
            "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 1, "num_closids": 16},
            "l3_cache_schema_root": "L3:0=fffff;1=fffff", "l3_cache_schema": "L3:0=f",
            "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8},
            "mem_bw_schema_root": "MB:0=100;1=100", "mem_bw_schema": "MB:0=20",
            "schemata": ["MB:0=20", "L3:0=f"],
            "mbm_stats": [{"mbm_total_bytes": 7, "mbm_local_bytes": 5}],
            "cmt_stats": [{"llc_occupancy": 4096}],
        })
    );
    assert_eq!(serde_json::to_string(&Stats::default()).unwrap(), "{}");
}
