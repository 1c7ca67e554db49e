//! libseccomp as the oracle: feeds it a profile the way runc does and hands back its program. It never looks at ours.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use pinnace::seccomp::Arch;
use pinnace::spec::oci::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompOperator as Operator, LinuxSyscall,
};

use crate::simulate::Instruction;
use crate::stub;

/// A running `libseccomp/main.rs`.
pub(crate) struct Oracle {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Oracle {
    /// Starts it; the text says why this host has none.
    pub(crate) fn start() -> Result<Self, String> {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let mut child = Command::new(PROGRAM.get_or_init(program).clone()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the program that asks libseccomp does not start: {error}"))?;
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut oracle = Self { child, questions, answers };
        match oracle.answer().as_str() {
            "ready" => Ok(oracle),
            other => Err(other.to_owned()),
        }
    }

    fn ask(&mut self, question: &str) -> String {
        self.questions.write_all(question.as_bytes()).unwrap();
        self.questions.flush().unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The call's number: negative if `arch` has none, `None` if libseccomp has never heard of the name.
    pub(crate) fn number(&mut self, arch: Arch, name: &str) -> Option<i64> {
        let number = self.ask(&format!("name {} {name}\n", token(arch))).parse().unwrap();
        (number != -1).then_some(number)
    }

    /// The greatest of its numbers among the names of `profile`.
    pub(crate) fn newest(&mut self, profile: &LinuxSeccomp, arch: Arch) -> Option<u32> {
        let names = profile.syscalls().iter().flatten().flat_map(LinuxSyscall::names);
        let numbers = names.filter_map(|name| match self.number(arch, name) {
            Some(number) if number >= 0 => u32::try_from(number).ok(),
            Some(_) if arch == Arch::X86 => stub::greatest(name),
            _ => None,
        });
        numbers.max()
    }

    /// Its program for `profile` on `archs`, or what it refuses.
    pub(crate) fn program(
        &mut self,
        profile: &LinuxSeccomp,
        archs: &[Arch],
    ) -> Result<Vec<Instruction>, String> {
        let default = value(profile.default_action(), profile.default_errno_ret());
        let entries = profile.syscalls().as_deref().unwrap_or_default();
        // SCMP_FLTATR_CTL_OPTIMIZE 2, which runc sets for profiles of some length, is the better tested one; it needs rules.
        let rules = entries.iter().any(|entry| value(entry.action(), entry.errno_ret()) != default);
        let mut question = format!("filter {default} {}", if rules { 2 } else { 1 });
        for arch in archs {
            write!(question, " {}", token(*arch)).unwrap();
        }
        question.push('\n');
        for entry in entries {
            let action = value(entry.action(), entry.errno_ret());
            if action == default {
                continue;
            }
            let args = entry.args().as_deref().unwrap_or_default();
            let comparisons: Vec<(usize, String)> = args
                .iter()
                .map(|arg| {
                    let (a, b) = (arg.value(), arg.value_two().unwrap_or(0));
                    (arg.index(), format!(" {} {} {a} {b}", arg.index(), operator(arg.op())))
                })
                .collect();
            let twice = (0..comparisons.len())
                .any(|at| comparisons[..at].iter().any(|other| other.0 == comparisons[at].0));
            for name in entry.names() {
                if twice {
                    for (_, comparison) in &comparisons {
                        writeln!(question, "rule {action} {name}{comparison}").unwrap();
                    }
                } else {
                    let all: String = comparisons.iter().map(|(_, comparison)| comparison.as_str()).collect();
                    writeln!(question, "rule {action} {name}{all}").unwrap();
                }
            }
        }
        question.push_str("end\n");
        let answer = self.ask(&question);
        match answer.strip_prefix("program") {
            Some(program) => Ok(program.split_ascii_whitespace().map(instruction).collect()),
            None => Err(answer),
        }
    }
}

/// The program that asks, for the C library of the host: this test is a static program, which cannot open a shared
/// library. Made by the compiler that made this test.
fn program() -> Result<PathBuf, String> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/libseccomp/main.rs");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("libseccomp-answers");
    // Another run may be using the last one.
    let fresh = program.with_extension(std::process::id().to_string());
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let made = Command::new(rustc)
        .args(["--edition", "2024", "-O", "--target", &target, "-o"])
        .arg(&fresh)
        .arg(source)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| format!("no compiler for a program that can open libseccomp: {error}"))?;
    if made.status.success() {
        std::fs::rename(fresh, &program).unwrap();
        return Ok(program);
    }
    let errors = String::from_utf8_lossy(&made.stderr);
    let first = errors.lines().next().unwrap_or_default();
    Err(format!("no program for {target}, which could open libseccomp: {first}"))
}

fn instruction(words: &str) -> Instruction {
    let mut words = words.split(':');
    let mut next = || words.next().unwrap();
    Instruction {
        code: next().parse().unwrap(),
        jt: next().parse().unwrap(),
        jf: next().parse().unwrap(),
        k: next().parse().unwrap(),
    }
}

/// SCMP_ARCH_* of seccomp.h: the audit value, except for x32.
fn token(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0xc000_003e,
        Arch::X32 => 0x4000_003e,
        Arch::X86 => 0x4000_0003,
        Arch::Aarch64 => 0xc000_00b7,
        Arch::Arm => 0x4000_0028,
        Arch::Riscv64 => 0xc000_00f3,
    }
}

/// SCMP_ACT_* of seccomp.h, with runc's defaults.
pub(crate) fn value(action: Action, code: Option<u32>) -> u32 {
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => 0,
        Action::ScmpActKillProcess => 0x8000_0000,
        Action::ScmpActTrap => 0x0003_0000,
        Action::ScmpActErrno => 0x0005_0000 | code.unwrap_or(1),
        Action::ScmpActNotify => 0x7fc0_0000,
        Action::ScmpActTrace => 0x7ff0_0000 | code.unwrap_or(1),
        Action::ScmpActLog => 0x7ffc_0000,
        Action::ScmpActAllow => 0x7fff_0000,
    }
}

/// `enum scmp_compare` of seccomp.h.
fn operator(operator: Operator) -> u32 {
    match operator {
        Operator::ScmpCmpNe => 1,
        Operator::ScmpCmpLt => 2,
        Operator::ScmpCmpLe => 3,
        Operator::ScmpCmpEq => 4,
        Operator::ScmpCmpGe => 5,
        Operator::ScmpCmpGt => 6,
        Operator::ScmpCmpMaskedEq => 7,
    }
}
