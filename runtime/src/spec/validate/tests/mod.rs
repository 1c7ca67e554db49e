//! Tests of what a config.json may not say: a whole one, one field changed at a time. Tests only.

#![allow(clippy::needless_pass_by_value, reason = "json! makes its value where it is passed")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod limits;
mod mounts;
mod namespaces;
mod process;

/// Puts `patch` over `base` (RFC 7386): objects are merged, null removes, everything else replaces.
fn merge(base: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *base = patch;
        return;
    };
    if !base.is_object() {
        *base = json!({});
    }
    let object = base.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn spec(patch: Value) -> Spec {
    let mut base = json!({
        "ociVersion": "1.3.0",
        "process": {"args": ["sh"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [
            {"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}
        ]}
    });
    merge(&mut base, patch);
    serde_json::from_value(base).unwrap()
}

fn linux(patch: Value) -> Value {
    Value::Object([("linux".to_owned(), patch)].into_iter().collect())
}

fn process(patch: Value) -> Value {
    Value::Object([("process".to_owned(), patch)].into_iter().collect())
}

fn only(types: &[&str], patch: Value) -> Value {
    let mut linux = json!({"namespaces": types.iter().map(|t| json!({"type": t})).collect::<Vec<_>>()});
    merge(&mut linux, patch);
    json!({ "linux": linux })
}

fn allowed(patches: impl IntoIterator<Item = Value>) {
    for patch in patches {
        let shown = patch.to_string();
        if let Err(error) = validate(&spec(patch)) {
            panic!("{shown}: {error}");
        }
    }
}

fn refused(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (patch, expected) in cases {
        let shown = patch.to_string();
        let text = match validate(&spec(patch)) {
            Ok(()) => panic!("allowed: {shown}"),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(expected), "{shown}: {text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn versions() {
    allowed(
        ["1.0.0", "1.0.2-dev", "1.2.0+dev", "1.99.0", "1.0.0-rc.5+build.7"].map(|v| json!({"ociVersion": v})),
    );
    for version in
        ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1..0", "a.b.c", "1.0.-1", "1.0.99999999999"]
    {
        refused([(json!({"ociVersion": version}), "is no version")]);
    }
    refused([
        (json!({"ociVersion": "2.0.0"}), "ociVersion: \"2.0.0\" is not supported"),
        (json!({"ociVersion": "0.5.0"}), "is not supported"),
    ]);
}

#[test]
fn parts_that_a_container_must_have() {
    refused([
        (json!({"process": null}), "process property must not be empty"),
        (json!({"root": null}), "root must be specified"),
        (json!({"root": {"path": ""}}), "root.path: must not be empty"),
        (json!({"linux": null}), "linux.namespaces: a container needs a mount namespace"),
        (only(&["pid"], json!({})), "a container needs a mount namespace"),
        (json!({"annotations": {"": "x"}}), "annotations: \"\" is no key"),
    ]);
}

#[test]
fn hook_commands() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let text = |hook: Value| {
            validate(&spec(json!({"hooks": {kind: [{"path": "/a"}, hook]}}))).unwrap_err().to_string()
        };
        assert!(text(json!({"path": "b"})).starts_with(&format!("hooks.{kind}[1]: path \"b\"")));
        assert!(text(json!({"path": ""})).starts_with(&format!("hooks.{kind}[1]: path")));
        assert!(
            text(json!({"path": "/b", "timeout": 0})).starts_with(&format!("hooks.{kind}[1]: timeout 0"))
        );
        assert!(text(json!({"path": "/b", "timeout": -5})).contains("not greater than zero"));
        allowed([json!({"hooks": {kind: [{"path": "/b", "timeout": 1}]}})]);
    }
}

#[test]
fn without_privileges() {
    let text = |patch: Value| validate_rootless(&spec(patch)).unwrap_err().to_string();
    assert!(text(json!({})).starts_with("rootless container requires user namespaces"));
    assert!(text(only(&["mount", "user"], json!({}))).contains("at least one UID mapping"));
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    assert!(text(only(&["mount", "user"], json!({"uidMappings": map}))).contains("at least one GID mapping"));
    let good = only(&["mount", "user"], json!({"uidMappings": map, "gidMappings": map}));
    validate_rootless(&spec(good.clone())).unwrap();
    validate_rootless(&spec(linux(json!({"namespaces": [{"type": "user", "path": "/proc/1/ns/user"}]}))))
        .unwrap();
    let mut id_mapped = good;
    merge(&mut id_mapped, json!({"mounts": [{"destination": "/a", "options": ["bind", "idmap"]}]}));
    assert!(text(id_mapped).contains("id-mapped mounts are not supported for rootless containers"));
}

/// A config.json with strange words in the places that are looked at.
fn strange() -> impl Strategy<Value = Value> {
    let word = || {
        prop_oneof![
            "[/.a-z%: \n-]{0,12}",
            Just("/proc".to_owned()),
            Just("net.x/..".to_owned()),
            any::<String>()
        ]
    };
    let number = || prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)];
    let map = move || {
        prop::collection::vec((number(), number(), number()), 0..4).prop_map(|maps| {
            maps.iter().map(|(a, b, c)| json!({"containerID": a, "hostID": b, "size": c})).collect::<Vec<_>>()
        })
    };
    let types = prop::sample::subsequence(vec!["mount", "user", "time", "network", "uts", "ipc"], 0..=6);
    (word(), word(), word(), (number(), any::<i64>(), any::<i32>()), map(), map(), types).prop_map(
        |(a, b, c, (id, big, small), uids, gids, types)| {
            json!({
                "ociVersion": "1.0.0",
                "hostname": a,
                "annotations": {b.clone(): c},
                "process": {"args": [a], "cwd": format!("/{a}"), "env": [format!("A={b}")], "oomScoreAdj": small,
                    "user": {"uid": id, "gid": id, "umask": id}},
                "mounts": [{"destination": format!("/{b}"), "type": c, "options": [a, b], "uidMappings": uids}],
                "hooks": {"poststop": [{"path": format!("/{c}"), "timeout": big}]},
                "linux": {
                    "namespaces": types.iter().map(|t| json!({"type": t, "path": format!("/{a}")})).collect::<Vec<_>>(),
                    "uidMappings": uids, "gidMappings": gids,
                    "sysctl": {a.clone(): b.clone(), format!("net.{c}"): ""},
                    "netDevices": {a.clone(): {"name": b}},
                    "timeOffsets": {c.clone(): {"secs": big, "nanosecs": id}},
                    "devices": [{"path": format!("/{a}"), "type": "c", "major": big, "minor": small}],
                    "maskedPaths": [b],
                    "intelRdt": {"closID": a, "schemata": [b]},
                    "resources": {"memory": {"limit": big}, "cpu": {"cpus": c, "quota": big, "burst": id},
                        "hugepageLimits": [{"pageSize": a, "limit": id}], "rdma": {b.clone(): {"hcaHandles": id}}}
                }
            })
        },
    )
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(config in strange()) {
        if let Ok(spec) = serde_json::from_value::<Spec>(config) {
            drop(validate(&spec));
            drop(validate_rootless(&spec));
        }
    }

    #[test]
    fn what_was_parsed_can_be_written_and_parsed_again(config in strange()) {
        if let Ok(spec) = serde_json::from_value::<Spec>(config) {
            let written = serde_json::to_vec(&spec).unwrap();
            match crate::spec::parse(&written) {
                Ok(again) => prop_assert_eq!(again, spec),
                // Only a NUL, which a file may not have.
                Err(error) => prop_assert!(error.to_string().contains("NUL"), "{}", error),
            }
        }
    }

    #[test]
    fn a_parameter_never_leads_out_of_its_directory(key in "[a-z./]{0,20}") {
        if let Ok(path) = sysctl_path(&key) {
            prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            prop_assert!(path.is_relative());
        }
    }
}
