//! What of scheduler, priorities, affinity and memory policy is taken, and the words for what is not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn process(value: &Value) -> Process {
    serde_json::from_value(value.clone()).unwrap()
}

fn linux(value: &Value) -> Linux {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn nothing_asked_is_the_kernels_default() {
    let schedule = Schedule::decide(&Process::default(), &Linux::default()).unwrap();
    assert_eq!(schedule, Schedule::default());
    assert_eq!(Affinity::decide(None).unwrap(), Affinity::default());
}

#[test]
fn schedulers() {
    let decide = |scheduler: Value| {
        Schedule::decide(&process(&json!({ "scheduler": scheduler })), &Linux::default())
            .map(|schedule| schedule.scheduler.unwrap())
            .map_err(|error| error.to_string())
    };
    let batch = decide(json!({ "policy": "SCHED_BATCH", "priority": 0, "nice": 19 })).unwrap();
    assert_eq!(batch, Attr { size: 48, policy: 3, nice: 19, ..Attr::default() });
    let deadline = decide(json!({
        "policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
        "nice": 19, "runtime": 42000, "deadline": 100_000, "period": 1_000_000
    }))
    .unwrap();
    assert_eq!(
        deadline,
        Attr {
            size: 48,
            policy: 6,
            flags: 5,
            nice: 19,
            runtime: 42000,
            deadline: 100_000,
            period: 1_000_000,
            priority: 0
        }
    );
    assert_eq!(decide(json!({ "policy": "SCHED_FIFO", "priority": 99 })).unwrap().priority, 99);
    for (scheduler, text) in [
        (json!({}), "scheduler policy is required"),
        (json!({ "policy": "SCHED_FAST" }), "invalid scheduler policy: SCHED_FAST"),
        (
            json!({ "policy": "SCHED_OTHER", "nice": 20 }),
            "invalid scheduler.nice: 20 when scheduler.policy is SCHED_OTHER",
        ),
        (json!({ "policy": "SCHED_OTHER", "nice": -21 }), "invalid scheduler.nice: -21"),
        (json!({ "policy": "SCHED_OTHER", "priority": 1 }), "scheduler.priority can only be specified for"),
        (json!({ "policy": "SCHED_FIFO", "priority": -1 }), "invalid scheduler.priority: -1"),
        (
            json!({ "policy": "SCHED_RR", "period": 1 }),
            "scheduler runtime/deadline/period can only be specified",
        ),
        (json!({ "policy": "SCHED_RR", "flags": ["X"] }), "invalid scheduler flag: X"),
    ] {
        let error = decide(scheduler).unwrap_err();
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn io_priorities() {
    let decide = |class: &str, priority: i64| {
        let asked = process(&json!({ "ioPriority": { "class": class, "priority": priority } }));
        Schedule::decide(&asked, &Linux::default()).map(|schedule| schedule.io_priority.unwrap())
    };
    assert_eq!(decide("IOPRIO_CLASS_RT", 7).unwrap(), 0x2007);
    assert_eq!(decide("IOPRIO_CLASS_BE", 4).unwrap(), 0x4004);
    assert_eq!(decide("IOPRIO_CLASS_IDLE", 0).unwrap(), 0x6000);
    for priority in [-1, 8, i64::MAX] {
        assert!(
            decide("IOPRIO_CLASS_BE", priority)
                .unwrap_err()
                .to_string()
                .contains("invalid ioPriority.Priority")
        );
    }
}

#[test]
fn memory_policies() {
    let decide = |policy: Value| {
        Schedule::decide(&Process::default(), &linux(&json!({ "memoryPolicy": policy })))
            .map(|schedule| schedule.memory.unwrap())
            .map_err(|error| error.to_string())
    };
    let bind =
        decide(json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] })).unwrap();
    assert_eq!((bind.mode, bind.nodes.words()), (0x8002, &[1][..]));
    assert_eq!(decide(json!({ "mode": "MPOL_DEFAULT" })).unwrap().nodes, Mask::default());
    assert_eq!(
        decide(json!({ "mode": "MPOL_PREFERRED", "flags": ["MPOL_F_RELATIVE_NODES"] })).unwrap().mode,
        0x4001
    );
    for (policy, text) in [
        (json!({}), "invalid memory policy mode \"\""),
        (json!({ "mode": "INTERLEAVE", "nodes": "0" }), "invalid memory policy mode \"INTERLEAVE\""),
        (json!({ "mode": "MPOL_PREFERRED", "flags": ["badflag"] }), "invalid memory policy flag \"badflag\""),
        (json!({ "mode": "MPOL_DEFAULT", "nodes": "0-7" }), "memory policy mode requires 0 nodes but got 8"),
        (json!({ "mode": "MPOL_BIND" }), "memory policy mode requires at least one node but got 0"),
        (
            json!({ "mode": "MPOL_BIND", "nodes": "0-9876543210" }),
            "invalid memory policy nodes \"0-9876543210\"",
        ),
    ] {
        let error = decide(policy).unwrap_err();
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn personalities() {
    let decide = |domain: &str| {
        Schedule::decide(&Process::default(), &linux(&json!({ "personality": { "domain": domain } })))
            .unwrap()
            .personality
    };
    assert_eq!(decide("LINUX"), 0);
    assert_eq!(decide("LINUX32"), 8);
}

#[test]
fn lists_of_numbers() {
    for (list, words) in [
        ("0", vec![1]),
        (" 0-3, 5,,7-9 ", vec![0b11_1010_1111]),
        ("63-64", vec![1 << 63, 1]),
        ("2-2", vec![4]),
    ] {
        assert_eq!(Mask::parse(list).unwrap().words(), words, "{list}");
    }
    for list in ["", ",", "a", "1-", "-1", "3-1", "1-2-3", "+1", "65537", "0x1", "1 2"] {
        assert!(Mask::parse(list).is_err(), "{list}");
    }
    assert_eq!(Mask::all().count(), 8192);
    let affinity = |initial: &str, last: &str| {
        Affinity::decide(Some(&ExecCpuAffinity { initial: Some(initial.into()), last: Some(last.into()) }))
    };
    assert_eq!(affinity("", "1").unwrap(), Affinity { initial: None, last: Some(Mask(vec![2])) });
    assert!(affinity("x", "").unwrap_err().to_string().starts_with("bad CPUAffinity.Initial: \"x\""));
}

proptest! {
    /// What is written as a list is what is in the mask.
    #[test]
    fn lists_are_read_back(numbers in proptest::collection::btree_set(0_u32..2000, 1..40)) {
        let list = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let mask = Mask::parse(&list).unwrap();
        prop_assert_eq!(mask.count(), numbers.len());
        for number in numbers {
            let word = mask.words()[usize::try_from(number / 64).unwrap()];
            prop_assert_eq!(word >> (number % 64) & 1, 1);
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(list in "[0-9, -]{0,20}") {
        let _ = Mask::parse(&list);
    }
}
