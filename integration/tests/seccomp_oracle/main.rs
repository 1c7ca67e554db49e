//! Does a compiled profile say of every call what libseccomp says, and ENOSYS for calls that are newer than the
//! profile? Asks both programs in a simulated machine; nothing is loaded into the kernel here.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod generate;
mod model;
mod oracle;
#[path = "../../../runtime/src/seccomp/simulate.rs"]
mod simulate;
mod stub;

use pinnace::seccomp::{self, Arch};
use pinnace::spec::oci::LinuxSeccomp;

use generate::{Calls, Kind, Random};
use model::Model;
use oracle::Oracle;
use simulate::{Call, Instruction};
use stub::Stub;

/// A machine's architectures as profiles name them, the native one first.
struct Machine {
    archs: &'static [(Arch, &'static str)],
}

const PC: Machine = Machine {
    archs: &[(Arch::X86_64, "SCMP_ARCH_X86_64"), (Arch::X32, "SCMP_ARCH_X32"), (Arch::X86, "SCMP_ARCH_X86")],
};
const ARM: Machine = Machine { archs: &[(Arch::Aarch64, "SCMP_ARCH_AARCH64"), (Arch::Arm, "SCMP_ARCH_ARM")] };
const RISCV: Machine = Machine { archs: &[(Arch::Riscv64, "SCMP_ARCH_RISCV64")] };

impl Machine {
    /// Those of its architectures that `profile` covers.
    fn covered(&self, profile: &LinuxSeccomp) -> Vec<Arch> {
        let named: Vec<String> = profile.architectures().iter().flatten().map(ToString::to_string).collect();
        let native = self.archs[0].0;
        let covers =
            |(arch, name): &&(Arch, &str)| *arch == native || named.iter().any(|named| named == name);
        self.archs.iter().filter(covers).map(|(arch, _)| *arch).collect()
    }

    fn audits(&self) -> Vec<u32> {
        let mut audits: Vec<u32> = self.archs.iter().map(|(arch, _)| audit(*arch)).collect();
        audits.dedup();
        audits
    }
}

/// AUDIT_ARCH_* of linux/audit.h.
fn audit(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 | Arch::X32 => 0xc000_003e,
        Arch::X86 => 0x4000_0003,
        Arch::Aarch64 => 0xc000_00b7,
        Arch::Arm => 0x4000_0028,
        Arch::Riscv64 => 0xc000_00f3,
    }
}

/// The numbers of a test; SEED makes them others, to look further than one run does.
fn random(seed: u64) -> Random {
    Random(seed + std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap()))
}

/// The oracle, or a noted skip.
fn oracle() -> Option<Oracle> {
    Oracle::start().inspect_err(|reason| integration::skip(reason)).ok()
}

/// Takes out what libseccomp does not know, and nothing else: it is a year or two behind the kernel.
fn known_to_both(oracle: &mut Oracle, profile: &mut LinuxSeccomp) {
    let Some(mut entries) = profile.syscalls().clone() else { return };
    for entry in &mut entries {
        let mut names = entry.names().clone();
        names.retain(|name| oracle.number(Arch::X86_64, name).is_some());
        entry.set_names(names);
    }
    profile.set_syscalls(Some(entries));
}

/// Our program; without one, everything is allowed.
fn ours(profile: &LinuxSeccomp, native: Arch) -> Result<Option<Vec<Instruction>>, String> {
    let filter = seccomp::compile_for(profile, native).map_err(|error| error.to_string())?;
    let each = |i: &seccomp::sock_filter| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k };
    let program: Option<Vec<Instruction>> = filter.map(|filter| filter.program().iter().map(each).collect());
    if let Some(program) = &program {
        simulate::check(program).unwrap();
    }
    Ok(program)
}

/// Holds our program against `right` on every border of the profile and on `count` more calls; how many it were.
fn compare(
    random: &mut Random,
    machine: &Machine,
    profile: &LinuxSeccomp,
    count: usize,
    right: impl Fn(&Call) -> u32,
) -> usize {
    let archs = machine.covered(profile);
    let ours = ours(profile, archs[0]).unwrap();
    let about = Calls::about(profile, &archs, &machine.audits());
    let mut calls = about.borders(random);
    calls.extend((0..count).map(|_| about.any(random)));
    if ours.is_none() {
        // Calls of another machine, which nobody can make.
        calls.retain(|call| machine.audits().contains(&call.arch));
    }
    for call in &calls {
        let said = ours.as_ref().map_or(0x7fff_0000, |program| simulate::run(program, call));
        let right = right(call);
        assert_eq!(
            said,
            right,
            "{said:#x} for {right:#x}: {call:x?} {}",
            serde_json::to_string(profile).unwrap()
        );
    }
    calls.len()
}

/// Compares with libseccomp; 0 if it refuses the profile.
fn compare_with_libseccomp(
    oracle: &mut Oracle,
    random: &mut Random,
    machine: &Machine,
    profile: &LinuxSeccomp,
    count: usize,
) -> usize {
    let archs = machine.covered(profile);
    let Ok(theirs) = oracle.program(profile, &archs) else { return 0 };
    simulate::check(&theirs).unwrap();
    let newest: Vec<_> = archs.iter().map(|arch| (*arch, oracle.newest(profile, *arch))).collect();
    let stub = Stub::of(profile, &archs, |arch| {
        newest.iter().find(|(known, _)| *known == arch).and_then(|(_, newest)| *newest)
    });
    compare(random, machine, profile, count, |call| {
        stub.answer(call).unwrap_or_else(|| simulate::run(&theirs, call))
    })
}

/// Compares with the plain reading of the profile.
fn compare_with_model(random: &mut Random, machine: &Machine, profile: &LinuxSeccomp, count: usize) -> usize {
    let archs = machine.covered(profile);
    if ours(profile, archs[0]).is_err_and(|error| error.contains("two different actions")) {
        return 0;
    }
    let model = Model::of(profile, &archs);
    let stub = Stub::of(profile, &archs, |arch| model::newest(profile, arch));
    compare(random, machine, profile, count, |call| stub.answer(call).unwrap_or_else(|| model.answer(call)))
}

/// The seccomp section that dockerd 20.10.24 writes into config.json on x86_64.
fn docker() -> LinuxSeccomp {
    serde_json::from_str(include_str!("../../data/docker-seccomp.json")).unwrap()
}

#[test]
fn dockers_profile() {
    let mut random = random(41);
    assert!(compare_with_model(&mut random, &PC, &docker(), 200_000) > 200_000);
    let Some(mut oracle) = oracle() else { return };
    let mut profile = docker();
    known_to_both(&mut oracle, &mut profile);
    assert!(compare_with_libseccomp(&mut oracle, &mut random, &PC, &profile, 200_000) > 200_000);
}

/// A program is loaded at every start of a container, in time that grows with its length.
#[test]
fn dockers_profile_is_short() {
    let program = ours(&docker(), Arch::X86_64).unwrap().unwrap();
    println!("{} instructions", program.len());
    assert!(program.len() < 600, "{}", program.len());
}

#[test]
fn names_have_libseccomps_numbers() {
    let Some(mut oracle) = oracle() else { return };
    let mut compared = 0;
    for arch in [PC.archs, ARM.archs, RISCV.archs].concat().into_iter().map(|(arch, _)| arch) {
        for name in seccomp::call_names() {
            let name = name.as_str();
            let number = seccomp::call_number(name, arch).map(i64::from);
            match oracle.number(arch, name) {
                // Newer than libseccomp. Calls since Linux 5.1 have one number everywhere.
                None => assert!(number.is_none_or(|number| number & 0x3fff_ffff > 200), "{name} {arch:?}"),
                Some(theirs) if theirs >= 0 => assert_eq!(number, Some(theirs), "{name} {arch:?}"),
                Some(_) if arch == Arch::X86 => {
                    let own = stub::multiplexed(name).and_then(|(.., own)| own);
                    assert_eq!(number, own.map(i64::from), "{name}");
                }
                Some(_) => assert_eq!(number, None, "{name} {arch:?}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 2000, "{compared}");
}

/// Names that both know.
fn common_names(oracle: &mut Oracle) -> Vec<String> {
    seccomp::call_names().filter(|name| oracle.number(Arch::X86_64, name).is_some()).collect()
}

/// Rules with one condition each that disagree about a call: where the words of an argument are not split, libseccomp's
/// order is plain to see.
#[test]
fn disagreements_are_settled_in_libseccomps_order() {
    let Some(mut oracle) = oracle() else { return };
    let machine = Machine { archs: &[(Arch::X86, "SCMP_ARCH_X86")] };
    let names = common_names(&mut oracle);
    let mut random = random(31);
    let (mut compared, mut refused) = (0, 0);
    for _ in 0..600 {
        let kind = Kind { names: &names, archs: &[], mixed: true, simple: false, conditions: 1 };
        let profile = generate::profile(&mut random, kind);
        match compare_with_libseccomp(&mut oracle, &mut random, &machine, &profile, 800) {
            0 => refused += 1,
            calls => compared += calls,
        }
    }
    println!("{compared} calls, {refused} profiles refused");
    assert!(compared > 100_000, "{compared}");
}

/// The other architectures of a machine, as profiles name them.
fn others(machine: &Machine) -> Vec<&'static str> {
    machine.archs.iter().skip(1).map(|(_, name)| *name).collect()
}

/// Profiles that name a call once, and an argument of it once: there is one way to read them.
fn generated(seed: u64, machine: &Machine) {
    let Some(mut oracle) = oracle() else { return };
    let names = common_names(&mut oracle);
    let mut random = random(seed);
    let mut compared = 0;
    for _ in 0..200 {
        let kind = Kind { names: &names, archs: &others(machine), mixed: true, simple: true, conditions: 4 };
        let profile = generate::profile(&mut random, kind);
        compared += compare_with_libseccomp(&mut oracle, &mut random, machine, &profile, 800);
    }
    println!("{compared} calls");
    assert!(compared > 100_000, "{compared}");
}

#[test]
fn generated_profiles_on_a_pc() {
    generated(1, &PC);
}

#[test]
fn generated_profiles_on_arm() {
    generated(2, &ARM);
}

#[test]
fn generated_profiles_on_riscv() {
    generated(3, &RISCV);
}

/// Anything goes: alternatives, arguments that are there twice, rules that disagree.
fn read_plainly(seed: u64, machine: &Machine, mixed: bool) {
    let names: Vec<String> = seccomp::call_names().collect();
    let mut random = random(seed);
    let mut compared = 0;
    for _ in 0..200 {
        let kind = Kind { names: &names, archs: &others(machine), mixed, simple: false, conditions: 4 };
        let profile = generate::profile(&mut random, kind);
        compared += compare_with_model(&mut random, machine, &profile, 800);
    }
    println!("{compared} calls");
    assert!(compared > 100_000, "{compared}");
}

#[test]
fn alternatives_read_plainly() {
    for (seed, machine) in (11..).zip([&PC, &ARM, &RISCV]) {
        read_plainly(seed, machine, false);
    }
}

#[test]
fn disagreements_read_plainly() {
    for (seed, machine) in (21..).zip([&PC, &ARM, &RISCV]) {
        read_plainly(seed, machine, true);
    }
}
