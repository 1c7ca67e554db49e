//! `manual`: the manual page pinnace(8), made of the tables. `make` writes it to docs/man. Pure but for the printing.

use std::fmt::Write as _;

use super::commands::GRAMMAR;
use super::grammar::{Flag, HELP, Kind, VERSION};
use super::{Call, help, print};
use crate::error::Result;

/// Prints the manual page as roff, for man(1).
pub(crate) fn page(_: &Call) -> Result<u8> {
    print(&roff()).map(|()| 0)
}

fn roff() -> String {
    let mut page = String::with_capacity(16384);
    let _ = writeln!(page, ".TH PINNACE 8 \"\" \"pinnace {}\" \"System Administration\"", help::RELEASE);
    let _ = writeln!(page, ".SH NAME\npinnace \\- {}", help::ABOUT);
    page.push_str(".SH SYNOPSIS\n.B pinnace\n[global options] command [options] [arguments...]\n");
    page.push_str(".SH DESCRIPTION\n");
    paragraphs(&mut page, help::DETAILS);
    page.push_str(".SH GLOBAL OPTIONS\n");
    flags(&mut page, GRAMMAR.global.iter().chain([&HELP, &VERSION]));
    page.push_str(".SH COMMANDS\n");
    for command in help::shown().filter(|command| command.name != "help") {
        let _ = writeln!(page, ".SS {}", escaped(&help::usage("pinnace", command)));
        let mut about = command.about.chars();
        let first = about.next().map(|c| c.to_ascii_uppercase());
        let _ = writeln!(page, "{}{}.", first.into_iter().collect::<String>(), escaped(about.as_str()));
        if !command.details.is_empty() {
            page.push_str(".PP\n");
            paragraphs(&mut page, command.details);
        }
        flags(&mut page, command.flags.iter());
    }
    page.push_str(
        ".SH EXIT STATUS\n\
         0 when all went well and 1 when not. 3 for an unknown command. \\fBrun\\fR without \\-\\-detach: the status of\n\
         the process, or 128 and the number of the signal that killed it. \\fBexec\\fR: the same, and 255 when the\n\
         process could not be run.\n\
         .SH FILES\n.TP\n.I /run/pinnace\nA directory for each container.\n\
         .SH SEE ALSO\n.BR containerd-shim-pinnace-v2 (8),\nhttps://github.com/opencontainers/runtime-spec\n",
    );
    page
}

fn flags<'a>(page: &mut String, flags: impl Iterator<Item = &'a Flag>) {
    for flag in flags.filter(|flag| !flag.hidden()) {
        let mut names = format!("\\fB\\-\\-{}\\fR", escaped(flag.name));
        if !flag.short.is_empty() {
            let _ = write!(names, ", \\fB\\-{}\\fR", flag.short);
        }
        if flag.kind != Kind::Switch {
            let _ = write!(names, " \\fI{}\\fR", escaped(flag.value));
        }
        let _ = writeln!(page, ".TP\n{names}\n{}", escaped(flag.help));
    }
}

/// Indented lines are examples, and stay as they are.
fn paragraphs(page: &mut String, text: &str) {
    let mut example = false;
    for line in text.lines() {
        let indented = line.starts_with("    ");
        if indented != example && !line.is_empty() {
            page.push_str(if indented { ".RS 4\n.nf\n" } else { ".fi\n.RE\n.PP\n" });
            example = indented;
        }
        match line {
            "" if example => {}
            "" => page.push_str(".PP\n"),
            line => {
                page.push_str(&escaped(line.trim_start()));
                page.push('\n');
            }
        }
    }
}

/// roff reads `\` as an escape, `-` as a hyphen, and a leading `.` or `'` as a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_tree_is_the_one_that_is_made() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/man/pinnace.8");
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(kept == roff(), "docs/man/pinnace.8 is stale: pinnace manual > docs/man/pinnace.8");
    }
}
