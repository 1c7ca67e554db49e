//! The help pages, made of the tables. Pure but for the command that prints them.

use std::fmt::Write as _;

use super::commands::GRAMMAR;
use super::grammar::{Command, Flag, HELP, Kind, VERSION};
use super::{Call, print};
use crate::error::Result;
use crate::spec::OCI_VERSION;

/// The program's one sentence; runc's own suite looks for it.
pub(crate) const ABOUT: &str = "Open Container Initiative runtime";

/// What the program does, in a few lines.
pub(crate) const DETAILS: &str = "\
Runs a container from a bundle: a directory with a config.json and a root file system, as the Open Container
Initiative's runtime-spec has them.

    pinnace spec --bundle web      write a config.json to start from
    pinnace run ./web/             run it, and delete it when it ends

Engines (docker, containerd, podman) use create, start, kill and delete. All flags but --version may also stand behind
the command, and a long flag may have one dash or two.";

/// The release of this program.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What was built: the build sets PINNACE_COMMIT.
pub const COMMIT: &str = match option_env!("PINNACE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// `--version`. Engines take the release from the only line with "version" in it, and `commit: ` and `spec: ` by name.
pub(crate) fn version(program: &str) -> String {
    format!("{program} version {RELEASE}\ncommit: {COMMIT}\nspec: {OCI_VERSION}\n")
}

/// `help`, which the parser answers before it gets here.
pub(crate) fn help(call: &Call) -> Result<u8> {
    print(&page(call.program, None)).map(|()| 0)
}

/// The page of a command, or of the program.
pub(crate) fn page(program: &str, command: Option<&Command>) -> String {
    let mut page = String::with_capacity(4096);
    match command {
        None => program_page(&mut page, program),
        Some(command) => command_page(&mut page, program, command),
    }
    page
}

fn program_page(page: &mut String, program: &str) {
    let _ = write!(page, "NAME:\n   {program} - {ABOUT}\n\n");
    let _ = write!(page, "USAGE:\n   {program} [global options] command [options] [arguments...]\n\n");
    page.push_str("VERSION:\n");
    let named = format!("{program} version ");
    for line in version(program).lines() {
        let _ = writeln!(page, "   {}", line.strip_prefix(&named).unwrap_or(line));
    }
    page.push_str("\nDESCRIPTION:\n");
    indent(page, DETAILS);
    page.push_str("\nCOMMANDS:\n");
    let rows = shown().map(|command| {
        let name = if command.name == "help" { "help, h".to_owned() } else { command.name.to_owned() };
        (name, command.about)
    });
    columns(page, rows.collect());
    page.push_str("\nGLOBAL OPTIONS:\n");
    columns(page, GRAMMAR.global.iter().chain([&HELP, &VERSION]).filter(|f| !f.hidden()).map(row).collect());
}

fn command_page(page: &mut String, program: &str, command: &Command) {
    let name = command.name;
    let _ = write!(page, "NAME:\n   {program} {name}");
    if !command.about.is_empty() {
        let _ = write!(page, " - {}", command.about);
    }
    let _ = writeln!(page, "\n\nUSAGE:\n   {}", usage(program, command));
    if !command.details.is_empty() {
        page.push_str("\nDESCRIPTION:\n");
        indent(page, command.details);
    }
    page.push_str("\nOPTIONS:\n");
    columns(page, command.flags.iter().chain([&HELP]).filter(|f| !f.hidden()).map(row).collect());
    page.push_str("\nGLOBAL OPTIONS:\n");
    columns(page, GRAMMAR.global.iter().filter(|f| !f.hidden()).map(row).collect());
}

/// One line that says how a command is called.
pub(crate) fn usage(program: &str, command: &Command) -> String {
    let blank = if command.usage.is_empty() { "" } else { " " };
    format!("{program} {} [options]{blank}{}", command.name, command.usage)
}

/// The commands that help shows.
pub(crate) fn shown() -> impl Iterator<Item = &'static Command> {
    GRAMMAR.commands.iter().filter(|command| !command.about.is_empty())
}

fn row(flag: &'static Flag) -> (String, &'static str) {
    let blank = if flag.kind == Kind::Switch { "" } else { " " };
    let mut names = format!("--{}{blank}{}", flag.name, flag.value);
    if !flag.short.is_empty() {
        let _ = write!(names, ", -{}{blank}{}", flag.short, flag.value);
    }
    (names, flag.help)
}

fn columns(page: &mut String, rows: Vec<(String, &'static str)>) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or_default();
    for (left, right) in rows {
        let _ = writeln!(page, "   {left:width$}  {right}");
    }
}

fn indent(page: &mut String, text: &str) {
    for line in text.lines() {
        let line = if line.is_empty() { String::new() } else { format!("   {line}") };
        page.push_str(&line);
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_version_is_in_one_line_with_the_name_before_it() {
        let text = version("runc");
        assert!(text.starts_with("runc version "), "{text}");
        assert_eq!(text.matches("version").count(), 1, "{text}");
        assert_eq!(text.lines().nth(1).unwrap().split(' ').next(), Some("commit:"));
        assert_eq!(text.lines().nth(2), Some("spec: 1.3.0"));
    }

    #[test]
    fn pages_begin_as_runc_suite_expects() {
        assert!(page("runc", None).starts_with("NAME:\n   runc - Open Container Initiative runtime\n"));
        for command in shown() {
            let page = page("runc", Some(command));
            assert!(page.starts_with(&format!("NAME:\n   runc {} - ", command.name)), "{page}");
            for flag in command.flags {
                assert_eq!(
                    page.contains(&format!("--{}", flag.name)),
                    !flag.hidden(),
                    "{}: {page}",
                    flag.name
                );
            }
        }
    }

    #[test]
    fn every_line_fits_the_terminal_of_a_reader() {
        for page in shown().map(|c| page("pinnace", Some(c))).chain([page("pinnace", None)]) {
            for line in page.lines() {
                assert!(line.chars().count() <= 130, "{line}");
            }
        }
    }
}
