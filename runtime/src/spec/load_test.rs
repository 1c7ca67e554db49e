//! Tests of the strict parser: what it refuses, where it says it is, and that no input makes it panic. Tests only.

use proptest::prelude::*;

use super::*;

fn refusal(json: &str) -> String {
    let text = parse(json.as_bytes()).unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn errors_name_the_place() {
    for (json, expected) in [
        (
            "{\n\"process\": {\n\"user\": {\"uid\": \"x\"}}}",
            "process.user.uid: invalid type: string \"x\", expected u32 at line 3 column 19",
        ),
        (r#"{"process":{"user":{"uid":-1}}}"#, "process.user.uid: invalid value: integer `-1`, expected u32"),
        (r#"{"process":{"user":{"uid":4294967296}}}"#, "process.user.uid: invalid value"),
        (
            r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"nope"}]}}"#,
            "linux.namespaces[1].type: unknown variant `nope`",
        ),
        (r#"{"mounts":[{"destination":5}]}"#, "mounts[0].destination: invalid type: integer `5`"),
        (r#"{"root":{"path":"a","path":"b"}}"#, "root: duplicate field `path`"),
        (r#"{"annotations":{"a":"1","a":"2"}}"#, "annotations"),
        (r#"{"hostname":"a","hostname":"a"}"#, "duplicate field `hostname`"),
    ] {
        let text = refusal(json);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    for (json, expected) in [
        ("", "the file ends within a value"),
        ("{", "the file ends within an object"),
        ("{\"hostname\": \"a", "the file ends within a string"),
        ("{} {}", "trailing characters"),
        ("{}\0", "trailing characters"),
        ("null", "invalid type: null"),
        ("5", "invalid type: integer"),
        ("\"a\"", "invalid type: string"),
        ("{'a':1}", "key must be a string"),
        ("{\"hostname\":\"a\n\"}", "control character"),
        ("{\"hostname\":\"a\0\"}", "control character"),
        ("{\"unknown\":\"a\0\"}", "control character"),
        ("{\"hostname\":\"\\ud800\"}", "unexpected end of hex escape"),
        (&deep, "nested deeper than 64 levels"),
    ] {
        let text = refusal(json);
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let flat = format!("{{\"x\":[{}{{}}],\"hostname\":\"{}\\\"\"}}", "{},".repeat(500), "[".repeat(500));
    assert!(parse(flat.as_bytes()).is_ok());
    assert!(parse(b"\xef\xbb\xbf{}").unwrap_err().to_string().contains("byte order mark"));
    assert!(parse(b"{\n\"hostname\":\"\xff\"}").unwrap_err().to_string().starts_with("line 2 is not UTF-8"));
}

#[test]
fn an_escaped_nul_is_one_wherever_it_stands() {
    for json in [
        r#"{"hostname":"a\u0000b"}"#,
        r#"{"process":{"args":["\\\u0000"]}}"#,
        r#"{"unknown":{"a\u0000":1}}"#,
        "{\n\n\"mounts\":[{\"destination\":\"/\\u0000\"}]}",
    ] {
        assert!(refusal(json).contains("NUL"), "{json}");
    }
    assert!(refusal("{\n\n\"hostname\":\"\\u0000\"}").starts_with("line 3 "));
    // A backslash, then letters.
    let spec = parse(br#"{"hostname":"a\\u0000","domainname":"\\\\u0000"}"#).unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("a\\u0000"));
}

#[test]
fn long_and_strange_content_is_not_quoted_whole() {
    let text = refusal(&format!(r#"{{"process":{{"user":{{"uid":"{}"}}}}}}"#, "x".repeat(100_000)));
    assert!(text.len() < 1000 && text.contains('…'), "{}", text.len());
    let text = refusal(r#"{"linux":{"namespaces":[{"type":"a\nb\u001b[2J"}]}}"#);
    assert!(!text.chars().any(char::is_control), "{text}");
}

#[test]
fn what_engines_write_is_read() {
    let spec = parse(
        br#"{"ociVersion":"1.0.2","mounts":null,"hooks":null,"annotations":null,"vm":{"x":1},"windows":{},
            "process":{"args":null,"env":null,"user":{"additionalGids":null,"username":"x"},"capabilities":{"bounding":null}},
            "linux":{"namespaces":null,"resources":{"devices":null,"pids":{}},"sysctl":null,"seccomp":null}}"#,
    )
    .unwrap();
    assert_eq!(spec.linux.unwrap().resources.unwrap().pids.unwrap().limit, None);
}

#[test]
fn files_are_bounded_and_pipes_are_read() {
    let dir = std::env::temp_dir().join(format!("load-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("config.json");
    let missing = load(&path).unwrap_err();
    assert_eq!(missing.errno(), Some(nix::errno::Errno::ENOENT));
    File::create(&path).unwrap().set_len(MAX + 1).unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("larger than 16 MiB"));
    std::fs::write(&path, r#"{"hostname":1}"#).unwrap();
    assert!(load(&path).unwrap_err().to_string().starts_with(&format!("{}: hostname: ", path.display())));
    assert_eq!(load(&dir).unwrap_err().errno(), Some(nix::errno::Errno::EISDIR));
    assert!(load(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than"));
    let (from, mut to) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut to, br#"{"cwd":"/"}"#).unwrap();
    drop(to);
    let process = load_process(&crate::sys::fs::fd_path(&from)).unwrap();
    assert_eq!(process.cwd, "/");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// JSON that looks like a config.json: known and unknown keys, values of any type.
fn any_json() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("process".to_owned()),
        Just("linux".to_owned()),
        Just("mounts".to_owned()),
        Just("resources".to_owned()),
        Just("namespaces".to_owned()),
        Just("type".to_owned()),
        Just("annotations".to_owned()),
        "[a-z\\\\u0]{0,8}",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        word.clone().prop_map(|w| format!("{w:?}")),
    ];
    leaf.prop_recursive(6, 64, 5, move |inner| {
        let pairs = prop::collection::vec((word.clone(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            pairs.prop_map(|pairs| {
                let pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        drop(parse(&bytes));
        drop(parse_resources(&bytes));
    }

    #[test]
    fn no_json_makes_it_panic(json in any_json()) {
        if let Err(error) = parse(json.as_bytes()) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn no_cut_of_a_config_is_one(cut in 0usize..1000) {
        let whole = serde_json::to_string(&crate::spec::default_spec(&crate::spec::Defaults::default())).unwrap();
        let cut = cut % whole.len();
        prop_assert!(parse(whole.get(..cut).unwrap_or("").as_bytes()).is_err());
    }

    #[test]
    fn a_nul_is_found_as_by_a_parser(text in "[\\\\u0a]{0,24}") {
        let json = format!("\"{text}\"");
        if let Ok(value) = serde_json::from_str::<String>(&json) {
            prop_assert_eq!(escaped_nul(&json).is_some(), value.contains('\0'));
        }
    }
}

/// From the file to the plan and the filter: no input makes any of it panic, and an error is one line.
#[test]
fn fuzz() {
    use crate::plan::Plan;
    use crate::seccomp::{Arch, compile_for};

    let perform = |bytes: &[u8]| {
        let spec = parse(bytes)?;
        crate::spec::validate(&spec)?;
        let rootless = crate::spec::validate_rootless(&spec).is_ok();
        let plan = Plan::decide(spec, Path::new("/bundle"), false)?;
        if let Some(profile) = &plan.linux().seccomp {
            compile_for(profile, Arch::native().unwrap())?;
        }
        Ok(format!("{rootless} {:?}", plan.namespaces))
    };
    crate::fuzz::run("config", &[b"{}"], |bytes| {
        let answer: Result<String> = perform(bytes);
        answer.unwrap_or_else(|error| {
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text}");
            text
        })
    });
}

#[test]
fn fuzz_process() {
    crate::fuzz::run("process", &[b"{}"], |bytes| {
        let decided = parse_process(bytes).and_then(|process| {
            crate::spec::validate_process(&process)?;
            crate::plan::creds::Credentials::decide(&process)
        });
        decided.map_or_else(|error| error.to_string(), |_| "decided".to_owned())
    });
}

#[test]
fn fuzz_resources() {
    crate::fuzz::run("resources", &[b"{}", br#"{"memory":{"limit":1},"cpu":{"shares":2,"quota":-1,"period":5,"cpus":"0-1"},"pids":{"limit":3},"blockIO":{"weight":10},"unified":{"a.b":"c"},"devices":[{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}],"hugepageLimits":[{"pageSize":"2MB","limit":1}],"rdma":{"a":{"hcaHandles":1}}}"#], |bytes| {
        let valid = parse_resources(bytes).and_then(|resources| crate::spec::validate_resources(&resources));
        valid.map_or_else(|error| error.to_string(), |()| "valid".to_owned())
    });
}
