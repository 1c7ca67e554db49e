//! Profiles in, verdicts out, by the simulated machine. What libseccomp would say is asked in the integration tests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::simulate::{Call, Instruction, check, run};
use super::{Arch, Filter, compile_for};
use crate::error::Result;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0;

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;

fn compile(profile: Value) -> Result<Option<Filter>> {
    compile_for(&serde_json::from_value(profile).unwrap(), Arch::X86_64)
}

fn program(profile: Value) -> Vec<Instruction> {
    let filter = compile(profile).unwrap().unwrap();
    let each = |i: &super::sock_filter| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k };
    let program: Vec<_> = filter.program().iter().map(each).collect();
    check(&program).unwrap();
    program
}

fn refusal(profile: Value) -> String {
    compile(profile).unwrap_err().to_string()
}

fn call(arch: u32, nr: u32, args: &[u64]) -> Call {
    let mut call = Call { nr, arch, ..Call::default() };
    call.args[..args.len()].copy_from_slice(args);
    call
}

#[test]
fn every_architecture_may_be_named_and_only_those_of_the_machine_count() {
    let profile = |archs: Value| {
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": archs,
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]})
    };
    let native = program(profile(json!(["SCMP_ARCH_X86_64"])));
    for arch in super::known::ARCHS {
        let both = program(profile(json!(["SCMP_ARCH_X86_64", arch])));
        let runs_here = arch.starts_with("SCMP_ARCH_X");
        assert!(runs_here || both.len() == native.len(), "{arch}");
    }
}

/// An allow-list of those rules, whose newest call is `listns`.
fn allowing(rules: &[Value]) -> Value {
    let mut syscalls = vec![json!({ "names": ["listns"], "action": "SCMP_ACT_ALLOW" })];
    syscalls.extend_from_slice(rules);
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls })
}

fn arg(index: u32, op: &str, value: u64) -> Value {
    json!({ "index": index, "op": op, "value": value })
}

#[test]
fn what_is_not_native_and_not_named_is_killed() {
    let native = program(allowing(&[json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" })]));
    assert_eq!(run(&native, &call(X86_64, 0, &[])), ALLOW);
    assert_eq!(run(&native, &call(X86_64, 1, &[])), EPERM);
    assert_eq!(run(&native, &call(X86_64, 471, &[])), ENOSYS);
    for other in [X86, 0xc000_00b7, 0] {
        assert_eq!(run(&native, &call(other, 3, &[])), KILL, "{other:#x}");
    }
    let mut profile = allowing(&[json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" })]);
    profile["architectures"] =
        json!(["SCMP_ARCH_X86", "SCMP_ARCH_MIPS", "SCMP_ARCH_NATIVE", "SCMP_ARCH_X86"]);
    let both = program(profile);
    assert_eq!(run(&both, &call(X86_64, 0, &[])), ALLOW, "the native architecture needs no name");
    assert_eq!(run(&both, &call(X86, 3, &[])), ALLOW);
    assert_eq!(run(&both, &call(X86, 0, &[])), EPERM);
}

#[test]
fn x32_calls_are_told_by_their_bit() {
    let mut profile = allowing(&[json!({ "names": ["execve", "read"], "action": "SCMP_ACT_ALLOW" })]);
    let without = program(profile.clone());
    profile["architectures"] = json!(["SCMP_ARCH_X32"]);
    let with = program(profile);
    for (number, alone, both) in [
        (59, ALLOW, ALLOW),
        (520, ENOSYS, ENOSYS),
        (0x4000_0000, KILL, ALLOW),
        (0x4000_0000 + 59, KILL, EPERM),
        (0x4000_0000 + 520, KILL, ALLOW),
        (0x4000_0000 + 521, KILL, ENOSYS),
    ] {
        assert_eq!(run(&without, &call(X86_64, number, &[])), alone, "{number:#x}");
        assert_eq!(run(&with, &call(X86_64, number, &[])), both, "{number:#x}");
    }
}

#[test]
fn i386_sockets_have_two_doors() {
    let rule =
        json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [arg(0, "SCMP_CMP_NE", 40)] });
    let mut profile = allowing(&[rule]);
    profile["architectures"] = json!(["SCMP_ARCH_X86"]);
    let program = program(profile);
    for (number, first, answer) in [
        (359, 2, ALLOW),
        (359, 40, EPERM),
        (102, 1, ALLOW), // socketcall(SYS_SOCKET): the family lies in memory, out of a filter's sight
        (102, 2, EPERM),
        (117, 1, EPERM),
    ] {
        assert_eq!(run(&program, &call(X86, number, &[first])), answer, "{number} {first}");
    }
}

#[test]
fn conditions_hold_together_or_one_by_one() {
    let program = program(allowing(&[
        json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW",
            "args": [arg(1, "SCMP_CMP_EQ", 9), arg(0, "SCMP_CMP_GT", 100)] }),
        json!({ "names": ["personality"], "action": "SCMP_ACT_ALLOW",
            "args": [arg(0, "SCMP_CMP_EQ", 0), arg(0, "SCMP_CMP_EQ", 0xffff_ffff), arg(1, "SCMP_CMP_EQ", 7)] }),
    ]));
    for (number, args, answer) in [
        (62, [101, 9], ALLOW),
        (62, [100, 9], EPERM),
        (62, [101, 8], EPERM),
        (135, [0, 1], ALLOW),
        (135, [0xffff_ffff, 1], ALLOW),
        (135, [0x1_0000_0000, 1], EPERM),
        (135, [5, 7], ALLOW),
        (135, [5, 6], EPERM),
    ] {
        assert_eq!(run(&program, &call(X86_64, number, &args)), answer, "{number} {args:?}");
    }
}

#[test]
fn a_rule_without_conditions_decides_alone() {
    let always = json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW" });
    let sometimes =
        json!({ "names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [arg(1, "SCMP_CMP_EQ", 9)] });
    let empty_mask = json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 0, "valueTwo": 3 }] });
    let later = json!({ "names": ["kill"], "action": "SCMP_ACT_LOG" });
    for rules in [
        [always.clone(), sometimes.clone(), later.clone()],
        [sometimes.clone(), always, later.clone()],
        [sometimes, empty_mask, later],
    ] {
        assert_eq!(run(&program(allowing(&rules)), &call(X86_64, 62, &[1, 9])), ALLOW, "{rules:?}");
    }
}

#[test]
fn the_narrower_of_two_answers_is_given() {
    let program = program(allowing(&[
        json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [arg(1, "SCMP_CMP_LE", 15)] }),
        json!({ "names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [arg(1, "SCMP_CMP_EQ", 9)] }),
        json!({ "names": ["kill"], "action": "SCMP_ACT_LOG", "args": [arg(1, "SCMP_CMP_LT", 3)] }),
    ]));
    for (signal, answer) in [(9, 0x0003_0000), (2, 0x7ffc_0000), (3, ALLOW), (15, ALLOW), (16, EPERM)] {
        assert_eq!(run(&program, &call(X86_64, 62, &[1, signal])), answer, "{signal}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let rule =
        |names: Value, action: &str, args: Value| json!({ "names": names, "action": action, "args": args });
    let same = json!([arg(1, "SCMP_CMP_EQ", 9)]);
    let two = [
        rule(json!(["kill"]), "SCMP_ACT_ALLOW", same.clone()),
        rule(json!(["kill"]), "SCMP_ACT_TRAP", same.clone()),
    ];
    let six = [rule(json!(["kill"]), "SCMP_ACT_ALLOW", json!([arg(6, "SCMP_CMP_EQ", 9)]))];
    for (profile, text) in [
        (
            allowing(&two),
            "seccomp: kill: the same arguments get two different actions; leave one of the two rules out of the profile",
        ),
        (allowing(&six), "seccomp: a condition on argument 6: system calls have 0 to 5"),
        (
            allowing(&[rule(json!([""]), "SCMP_ACT_ALLOW", json!([]))]),
            "seccomp: a system call in the profile has no name",
        ),
        (
            allowing(&[rule(json!(["read", "write"]), "SCMP_ACT_NOTIFY", json!([]))]),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        ),
        (json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), "SCMP_ACT_NOTIFY cannot be used as default action"),
        (
            json!({ "defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] }),
            "seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV without SCMP_ACT_NOTIFY; \
             leave the flag out: the kernel refuses it without a listener",
        ),
    ] {
        assert_eq!(refusal(profile.clone()), text, "{profile}");
    }
    assert!(compile(allowing(&[rule(json!(["no_such_call"]), "SCMP_ACT_ALLOW", json!([]))])).is_ok());
}

#[test]
fn flags_are_runcs() {
    let flags = |flags: Value| {
        let mut profile = allowing(&[]);
        profile["flags"] = flags;
        compile(profile).unwrap().unwrap().flags()
    };
    assert_eq!(flags(Value::Null), 4);
    assert_eq!(flags(json!([])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC"])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])), 6);
    let notify = compile(json!({ "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{ "names": ["mount"], "action": "SCMP_ACT_NOTIFY" }] }));
    let notify = notify.unwrap().unwrap();
    assert_eq!(notify.flags(), 0x28);
    assert!(notify.needs_listener());
}

#[test]
fn only_a_filter_that_changes_nothing_is_left_out() {
    let all = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let open = |archs: &Value| json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": archs });
    assert_eq!(compile(open(&all)).unwrap(), None);
    let native = program(open(&Value::Null));
    assert_eq!(run(&native, &call(X86, 3, &[])), KILL, "other architectures are not covered");
    let mut one = open(&all);
    one["syscalls"] = json!([{ "names": ["read"], "action": "SCMP_ACT_LOG" }]);
    assert!(compile(one).unwrap().is_some());
}

/// Every jump of a program that is as long as the kernel takes it still lands.
#[test]
fn long_programs_are_exact_and_longer_ones_refused() {
    let rules = |count: u32| -> Vec<Value> {
        let rule = |i: u32| {
            let name =
                ["kill", "personality", "clone", "ioctl", "fcntl", "mmap"][usize::try_from(i % 6).unwrap()];
            json!({ "names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 2 + i % 50,
                "args": [arg(0, "SCMP_CMP_EQ", u64::from(i) << 16)] })
        };
        (0..count).map(rule).collect()
    };
    let program = program(allowing(&rules(780)));
    assert!(program.len() > 3800, "{}", program.len());
    for i in 0..780_u32 {
        let number = [62, 135, 56, 16, 72, 9][usize::try_from(i % 6).unwrap()];
        let answer = 0x0005_0000 + 2 + i % 50;
        assert_eq!(run(&program, &call(X86_64, number, &[u64::from(i) << 16])), answer, "{i}");
        assert_eq!(run(&program, &call(X86_64, number, &[(u64::from(i) << 16) + 1])), EPERM, "{i}");
    }
    assert!(refusal(allowing(&rules(900))).contains("instructions, the kernel takes 4096"));
    let crowd: Vec<Value> = (0..10_000_u64)
        .map(|i| json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [arg(1, "SCMP_CMP_EQ", i)] }))
        .collect();
    assert!(refusal(allowing(&crowd)).contains("seccomp: kill: more than 1365 rules for one call"));
}

fn edge() -> impl Strategy<Value = u64> {
    let edges =
        vec![0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, (1 << 32) + 1, u64::MAX - 1, u64::MAX];
    prop_oneof![any::<u64>(), 0..4_u64, prop::sample::select(edges)]
}

proptest! {
    #[test]
    fn comparisons_see_all_64_bits(value in edge(), mask in edge(), given in edge(), index in 0..6_usize) {
        let mut args = [3; 6];
        args[index] = given;
        for (op, holds) in [
            ("SCMP_CMP_NE", given != value),
            ("SCMP_CMP_LT", given < value),
            ("SCMP_CMP_LE", given <= value),
            ("SCMP_CMP_EQ", given == value),
            ("SCMP_CMP_GE", given >= value),
            ("SCMP_CMP_GT", given > value),
            ("SCMP_CMP_MASKED_EQ", given & mask == value & mask),
        ] {
            let arg = match op {
                "SCMP_CMP_MASKED_EQ" => json!({ "index": index, "op": op, "value": mask, "valueTwo": value }),
                _ => json!({ "index": index, "op": op, "value": value }),
            };
            let program = program(allowing(&[json!({ "names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [arg] })]));
            let answer = run(&program, &call(X86_64, 62, &args));
            prop_assert_eq!(answer, if holds { ALLOW } else { EPERM }, "{} {:?}", op, program);
        }
    }
}
