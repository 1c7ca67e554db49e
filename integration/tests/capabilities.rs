//! The five capability sets, seen from inside, and no_new_privs beside them.

use integration::{Bundle, host, skip, stand_in_lacks};
use serde_json::{Value, json};

fn sets(seen: &Value) -> [&Value; 5] {
    ["bounding", "effective", "permitted", "inheritable", "ambient"].map(|set| &seen["capabilities"][set])
}

#[test]
fn each_set_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYSLOG"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_CHOWN"],
            "inheritable": ["CAP_KILL", "CAP_NET_RAW"],
            "ambient": ["CAP_NET_RAW"],
        }),
    );
    for no_new_privs in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(no_new_privs));
        let seen = runtime.see(&bundle);
        let [bounding, effective, permitted, inheritable, ambient] = sets(&seen);
        assert_eq!(*bounding, json!(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYSLOG"]));
        assert_eq!(*inheritable, json!(["CAP_KILL", "CAP_NET_RAW"]));
        assert_eq!(*ambient, json!(["CAP_NET_RAW"]));
        // capabilities(7): an exec of root's raises the permitted set to inheritable + bounding, unless nothing may be
        // gained; and makes it all effective.
        let raised =
            if no_new_privs { json!(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]) } else { bounding.clone() };
        assert_eq!(*permitted, raised);
        assert_eq!(*effective, raised);
        assert_eq!(seen["securebits"], 0);
    }
}

#[test]
fn only_ambient_ones_outlast_the_exec_of_a_user() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "inheritable": ["CAP_NET_RAW"],
            "ambient": ["CAP_NET_RAW"],
        }),
    );
    let seen = runtime.see(&bundle);
    let [bounding, effective, permitted, inheritable, ambient] = sets(&seen);
    assert_eq!(*bounding, json!(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]));
    for set in [effective, permitted, inheritable, ambient] {
        assert_eq!(*set, json!(["CAP_NET_RAW"]));
    }
}

/// CVE-2022-24769, CVE-2022-29162: nothing is inheritable unless asked for.
#[test]
fn nothing_is_inheritable_unasked() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for uid in [0, 1000] {
        bundle.set("/process/user", json!({"uid": uid, "gid": uid}));
        let seen = runtime.see(&bundle);
        let [.., inheritable, ambient] = sets(&seen);
        assert_eq!((inheritable, ambient), (&json!([]), &json!([])));
    }
}

#[test]
fn no_capabilities_are_none_at_all() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for empty in [json!({}), json!({"bounding": [], "effective": null})] {
        bundle.set("/process/capabilities", empty);
        let seen = runtime.see(&bundle);
        for set in sets(&seen) {
            assert_eq!(*set, json!([]));
        }
    }
}

/// runtime-spec, config.md: a value that can't be mapped to a kernel interface is to be logged as a warning.
#[test]
fn an_unknown_capability_is_a_warning() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_KILL", "CAP_NO_SUCH", "CAP_CHOWN"]));
    }
    let outcome = runtime.run(&bundle).ok();
    assert_eq!(*sets(&outcome.json())[1], json!(["CAP_CHOWN", "CAP_KILL"]));
    assert!(outcome.stderr.contains("warn") && outcome.stderr.contains("CAP_NO_SUCH"), "{outcome}");
}

/// The same for one that exists but that the runtime itself was not given.
#[test]
fn a_capability_that_is_not_ours_to_give_is_a_warning() {
    const CAP_SYS_RESOURCE: u32 = 24;
    if host::has_capability(CAP_SYS_RESOURCE) {
        return skip("this host gives CAP_SYS_RESOURCE");
    }
    let mut bundle = Bundle::new();
    if stand_in_lacks("runc 1.1.5 fails") {
        return;
    }
    let runtime = bundle.runtime();
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_KILL", "CAP_SYS_RESOURCE"]));
    }
    let outcome = runtime.run(&bundle).ok();
    for set in sets(&outcome.json()) {
        assert_eq!(*set, json!(["CAP_KILL"]));
    }
    assert!(outcome.stderr.contains("warn") && outcome.stderr.contains("CAP_SYS_RESOURCE"), "{outcome}");
}

/// An ambient capability has to be permitted and inheritable: prctl(2).
#[test]
fn an_ambient_capability_that_is_not_inheritable_is_a_warning() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/process/capabilities",
        json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"], "ambient": ["CAP_KILL"]}),
    );
    let outcome = runtime.run(&bundle).ok();
    assert_eq!(*sets(&outcome.json())[4], json!([]));
    if stand_in_lacks("runc 1.1.5 says nothing") {
        return;
    }
    assert!(outcome.stderr.contains("can't raise ambient capability CAP_KILL"), "{outcome}");
}

#[test]
fn no_new_privs_is_what_was_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for asked in [true, false] {
        bundle.set("/process/noNewPrivileges", json!(asked));
        assert_eq!(runtime.see(&bundle)["no_new_privs"], asked);
    }
    bundle.remove("/process/noNewPrivileges");
    assert_eq!(runtime.see(&bundle)["no_new_privs"], false);
}
