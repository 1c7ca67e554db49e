//! The figures as a table between two marks of docs/performance.md, and the plot beside it. The rest of the page is
//! written by hand and never touched.

use std::fmt::Write as _;
use std::path::Path;

use crate::contender::Contender;
use crate::figures::{Figures, Row};
use crate::{Result, machine, plot};

const BEGIN: &str = "<!-- begin of what `make bench` writes -->\n";
const END: &str = "<!-- end of what `make bench` writes -->";

pub(crate) fn write(docs: &Path, contenders: &[Contender], figures: &Figures) -> Result<()> {
    let page = docs.join("performance.md");
    let text = std::fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
    let (head, rest) =
        text.split_once(BEGIN).ok_or("performance.md: the mark of the beginning is not there")?;
    let (_, tail) = rest.split_once(END).ok_or("performance.md: the mark of the end is not there")?;
    let table = table(contenders, figures);
    std::fs::write(&page, format!("{head}{BEGIN}{table}{END}{tail}"))?;
    std::fs::write(docs.join("performance.svg"), plot::plot(contenders, figures))?;
    Ok(())
}

fn table(contenders: &[Contender], figures: &Figures) -> String {
    let mut text = format!("\n{}. Medians.\n\n", machine::describe());
    for contender in contenders {
        let _ = writeln!(text, "* {}: {}", contender.name, version(contender));
    }
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name.as_str()).collect();
    let others: Vec<&str> = names.iter().copied().filter(|name| matches!(*name, "crun" | "floor")).collect();
    let _ = write!(text, "\n| | unit | {} |", names.join(" | "));
    for other in &others {
        let _ = write!(text, " of {other} |");
    }
    let _ = writeln!(text, "\n|---|---|{}", "---:|".repeat(names.len() + others.len()));
    for row in &figures.rows {
        let _ = writeln!(text, "{}", line(row, &names, &others));
    }
    text.push_str("\n![CPU time](performance.svg)\n\n");
    text
}

fn version(contender: &Contender) -> String {
    if contender.is_floor { "what the kernel alone takes, see below".to_owned() } else { contender.version() }
}

fn line(row: &Row, names: &[&str], others: &[&str]) -> String {
    let mut text = format!("| {} | {} |", row.case, row.unit.label());
    for name in names {
        let _ = write!(text, " {} |", row.of(name).map_or("–".to_owned(), shown));
    }
    let own = row.of("pinnace");
    for other in others {
        let ratio = own.zip(row.of(other)).map(|(own, other)| own / other).filter(|ratio| ratio.is_finite());
        let _ = write!(text, " {} |", ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
    }
    text
}

/// Three digits that count.
fn shown(value: f64) -> String {
    match value {
        value if !value.is_finite() => "none".to_owned(),
        value if value < 10.0 && value.fract() != 0.0 => format!("{value:.2}"),
        value if value < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
