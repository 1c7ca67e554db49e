//! What a process may not ask for. Tests only.

use serde_json::json;

use super::{allowed, process, refused};

#[test]
fn processes() {
    refused([
        (process(json!({"cwd": ""})), "Cwd property must not be empty"),
        (process(json!({"cwd": "tmp"})), "Cwd must be an absolute path"),
        (process(json!({"args": []})), "args must not be empty"),
        (process(json!({"env": ["A=1", "B"]})), "invalid environment variable \"B\": missing '='"),
        (process(json!({"env": ["=1"]})), "name cannot be empty"),
        (process(json!({"user": {"uid": 4_294_967_295_u32}})), "process.user.uid: 4294967295 is not an id"),
        (process(json!({"user": {"gid": 4_294_967_295_u32}})), "process.user.gid: 4294967295 is not an id"),
        (
            process(json!({"user": {"additionalGids": [1, 4_294_967_295_u32]}})),
            "process.user.additionalGids: ",
        ),
        (process(json!({"user": {"umask": 4_294_967_295_u32}})), "process.user.umask: "),
        (process(json!({"user": {"umask": 0o1000}})), "process.user.umask: "),
        (process(json!({"oomScoreAdj": -1001})), "process.oomScoreAdj: -1001 is out of range"),
        (process(json!({"oomScoreAdj": 1001})), "process.oomScoreAdj: 1001 is out of range"),
        (
            process(json!({"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]})),
            "process.rlimits[0]: RLIMIT_CPU: soft 2 is above hard 1",
        ),
        (
            process(
                json!({"rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_AS", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]}),
            ),
            "process.rlimits[2]: RLIMIT_CPU is there twice",
        ),
        (process(json!({"apparmorProfile": "a\nb"})), "process.apparmorProfile: "),
        (
            process(json!({"terminal": true, "consoleSize": {"height": 70_000, "width": 1}})),
            "process.consoleSize.height",
        ),
    ]);
    allowed([
        process(
            json!({"user": {"uid": 4_294_967_294_u32, "umask": 0o777}, "env": ["A=", "A==", "A=1", "A=2", "B=\n"]}),
        ),
        process(json!({"oomScoreAdj": -1000, "consoleSize": {"height": 70_000, "width": 1}})),
        process(json!({"rlimits": [{"type": "RLIMIT_CPU", "soft": u64::MAX, "hard": u64::MAX}]})),
    ]);
}
