//! Device rules in the language of cgroup v2: a small eBPF program that the kernel asks at each open and mknod
//! (Documentation/admin-guide/cgroup-v2.rst, device controller). What the program says is decided here; it is attached
//! so that there is no moment without one.

use nix::errno::Errno;

use super::device::{Access, Policy, Type};
use super::device_files::excused;
use super::dir::Dir;
use crate::error::{Error, OrFail, Result};
use crate::sys::bpf::{self, Insn, Reg};

/// `struct bpf_cgroup_dev_ctx` (linux/bpf.h): the type in the lower half of the first word, the access in the upper.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

/// Makes `policy` the program of the cgroup, in the place of one that is there. A `fresh` cgroup has none.
pub(super) fn apply(dir: &Dir, policy: &Policy, fresh: bool) -> Result<()> {
    if fresh && policy.allows_all() {
        return Ok(());
    }
    match attach(dir, policy, fresh) {
        Err(error) if error.errno().is_some_and(excused) => Ok(()),
        result => result,
    }
}

fn attach(dir: &Dir, policy: &Policy, fresh: bool) -> Result<()> {
    let what = || format!("limit the devices of {}", dir.path());
    let program =
        bpf::load_device_filter(&program(policy)).or_fail("bpf(BPF_PROG_LOAD)", what).map_err(|e| {
            if e.errno() == Some(Errno::EPERM) { e.hint("it takes CAP_BPF, or CAP_SYS_ADMIN") } else { e }
        })?;
    let mut old = Vec::new();
    if !fresh {
        for id in bpf::device_filters(dir).or_fail("bpf(BPF_PROG_QUERY)", what)? {
            match bpf::by_id(id) {
                Ok(fd) => old.push(fd),
                // A security module hides it, or it is gone. All programs must allow an access, so one that stays only
                // takes away.
                Err(Errno::EPERM | Errno::EACCES | Errno::ENOENT) => {}
                Err(errno) => return Err(Error::os("bpf(BPF_PROG_GET_FD_BY_ID)", errno, what())),
            }
        }
    }
    // One is replaced in one step. More than one were not left by us alone: the new one is added before they go.
    let replaced = if let [one] = &old[..] { Some(one) } else { None };
    bpf::attach_device_filter(dir, &program, replaced).or_fail("bpf(BPF_PROG_ATTACH)", what)?;
    if replaced.is_none() {
        for program in &old {
            bpf::detach_device_filter(dir, program).or_fail("bpf(BPF_PROG_DETACH)", what)?;
        }
    }
    Ok(())
}

/// The policy as a program: each exception is a row of comparisons that falls through to its verdict or jumps to the
/// next one.
fn program(policy: &Policy) -> Vec<Insn> {
    let mut code = vec![
        Insn::load(Reg::R2, Reg::R1, ACCESS_TYPE),
        Insn::copy(Reg::R3, Reg::R2),
        Insn::and(Reg::R2, 0xffff),
        Insn::shift_right(Reg::R3, 16),
        Insn::load(Reg::R4, Reg::R1, MAJOR),
        Insn::load(Reg::R5, Reg::R1, MINOR),
    ];
    for (devices, access) in &policy.exceptions {
        let mut tests = vec![Test::Differs(Reg::R2, kind(devices.kind))];
        if *access != Access::ALL {
            tests.push(if policy.allow {
                // One denied kind of access denies the whole request …
                Test::Lacks(Reg::R3, access.bits().into())
            } else {
                // … and a request is allowed only if all of it is.
                Test::Has(Reg::R3, !u32::from(access.bits()))
            });
        }
        tests.extend(devices.major.map(|n| Test::Differs(Reg::R4, n)));
        tests.extend(devices.minor.map(|n| Test::Differs(Reg::R5, n)));
        emit(&mut code, &tests, !policy.allow);
    }
    code.extend(verdict(policy.allow));
    code
}

fn kind(kind: Type) -> u32 {
    // BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
    match kind {
        Type::Block => 1,
        Type::Char => 2,
    }
}

/// A reason to go on to the next exception.
enum Test {
    /// The register is not this number.
    Differs(Reg, u32),
    /// The register has one of these bits.
    Has(Reg, u32),
    /// The register has none of these bits.
    Lacks(Reg, u32),
}

impl Test {
    fn length(&self) -> i16 {
        if matches!(self, Self::Lacks(..)) { 2 } else { 1 }
    }
}

fn emit(code: &mut Vec<Insn>, tests: &[Test], allow: bool) {
    let mut left: i16 = tests.iter().map(Test::length).sum::<i16>() + 2;
    for test in tests {
        left -= test.length();
        match *test {
            Test::Differs(register, number) => code.push(Insn::jump_if_differs(register, number, left)),
            Test::Has(register, bits) => code.push(Insn::jump_if_has(register, bits, left)),
            Test::Lacks(register, bits) => {
                code.push(Insn::jump_if_has(register, bits, 1));
                code.push(Insn::jump(left));
            }
        }
    }
    code.extend(verdict(allow));
}

fn verdict(allow: bool) -> [Insn; 2] {
    [Insn::set(Reg::R0, u32::from(allow)), Insn::exit()]
}

#[cfg(test)]
mod tests {
    use super::super::device::Devices;
    use super::super::device::tests::policy;
    use super::*;
    use proptest::prelude::*;

    /// One access as the kernel asks for it.
    #[derive(Clone, Copy, Debug)]
    struct Request {
        kind: Type,
        major: u32,
        minor: u32,
        access: u8,
    }

    /// What a v1 cgroup answers (security/device_cgroup.c): an allow list must cover the request by one exception, a
    /// deny list denies at the first overlap.
    fn reference(policy: &Policy, r: Request) -> bool {
        let fits = |d: &Devices| {
            d.kind == r.kind && d.major.is_none_or(|n| n == r.major) && d.minor.is_none_or(|n| n == r.minor)
        };
        let mut fitting = policy.exceptions.iter().filter(|(d, _)| fits(d)).map(|(_, a)| a.bits());
        if policy.allow { !fitting.any(|a| a & r.access != 0) } else { fitting.any(|a| r.access & !a == 0) }
    }

    /// Runs the program as the kernel would.
    fn run(code: &[Insn], r: Request) -> bool {
        let context = [kind(r.kind) | u32::from(r.access) << 16, r.major, r.minor];
        bpf::tests::run(code, &context) == 1
    }

    fn requests() -> impl Strategy<Value = Request> {
        let number = prop_oneof![0_u32..4, Just(136), Just(u32::MAX)];
        (any::<bool>(), number.clone(), number, 1_u8..8).prop_map(|(block, major, minor, access)| Request {
            kind: if block { Type::Block } else { Type::Char },
            major,
            minor,
            access,
        })
    }

    fn policies() -> impl Strategy<Value = Policy> {
        let number = prop_oneof![Just(None), (0_u32..4).prop_map(Some), Just(Some(u32::MAX))];
        let exception =
            (any::<bool>(), number.clone(), number, 1_u8..8).prop_map(|(block, major, minor, bits)| {
                let kind = if block { Type::Block } else { Type::Char };
                let letters = [(2, 'r'), (4, 'w'), (1, 'm')];
                let text: String =
                    letters.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, l)| *l).collect();
                (Devices { major, minor, kind }, Access::parse(&text))
            });
        (any::<bool>(), prop::collection::vec(exception, 0..12))
            .prop_map(|(allow, list)| Policy { allow, exceptions: list.into_iter().collect() })
    }

    proptest! {
        #[test]
        fn the_program_answers_as_a_v1_cgroup(policy in policies(), requests in prop::collection::vec(requests(), 1..40)) {
            let code = program(&policy);
            for request in requests {
                prop_assert_eq!(run(&code, request), reference(&policy, request), "{:?}", request);
            }
        }
    }

    #[test]
    fn a_usual_container() {
        let code = program(&policy(&["-a", "+b 8:* r"]).unwrap());
        let char = |major, minor, access| Request { kind: Type::Char, major, minor, access };
        let block = |major, minor, access| Request { kind: Type::Block, major, minor, access };
        for (request, allowed) in [
            (char(1, 3, 6), true),
            (char(1, 3, 7), true),
            (char(1, 1, 2), false),
            (char(1, 1, 1), true),
            (char(5, 1, 2), false),
            (char(136, 99, 6), true),
            (block(8, 7, 2), true),
            (block(8, 7, 6), false),
            (block(8, 7, 1), true),
            (block(9, 0, 2), false),
        ] {
            assert_eq!(run(&code, request), allowed, "{request:?}");
        }
        assert!(code.len() < 90, "{}", code.len());
    }
}
