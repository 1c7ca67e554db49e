//! `ps`: the processes of a container, as ids or as the rows of ps(1). The one command that starts a helper program.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use super::{Call, print};
use crate::error::{Error, Kind, OrFail, Result};

/// Prints a container's processes.
pub(crate) fn ps(call: &Call) -> Result<u8> {
    let pids = call.container()?.processes()?;
    match call.matches.text("format") {
        None | Some("table") => print(&table(&pids, call.matches.operands.get(1..).unwrap_or_default())?)?,
        Some("json") => print(&json(&pids))?,
        Some(_) => return Err(Error::invalid("invalid format option")),
    }
    Ok(0)
}

/// Go writes a list that was never filled as `null`, and readers of runc's output know it.
fn json(pids: &[i32]) -> String {
    if pids.is_empty() {
        return "null\n".to_owned();
    }
    let mut text = String::from("[");
    for (at, pid) in pids.iter().enumerate() {
        let _ = write!(text, "{}{pid}", if at == 0 { "" } else { "," });
    }
    text.push_str("]\n");
    text
}

fn table(pids: &[i32], arguments: &[String]) -> Result<String> {
    let mut command = Command::new("ps");
    if arguments.is_empty() {
        command.arg("-ef");
    } else {
        command.args(arguments);
    }
    let output = command.stdin(Stdio::null()).output().or_fail("execve", || "run ps")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(Kind::Host, format!("run ps: {}: {}", output.status, said.trim())));
    }
    rows(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The title of ps' table and the rows whose PID is one of `pids`.
fn rows(table: &str, pids: &[i32]) -> Result<String> {
    let mut lines = table.lines();
    let title = lines.next().unwrap_or_default();
    let column = title.split_ascii_whitespace().position(|name| name == "PID").ok_or_else(|| {
        Error::invalid("couldn't find PID field in ps output").hint("let ps print the column PID")
    })?;
    let mut text = format!("{title}\n");
    for line in lines.filter(|line| !line.is_empty()) {
        let field = line.split_ascii_whitespace().nth(column).unwrap_or_default();
        let pid: i32 =
            field.parse().map_err(|_| Error::invalid(format!("unable to parse pid: {field:?}")))?;
        if pids.contains(&pid) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_processes_are_left_out() {
        let table = "UID          PID    PPID CMD\nroot           1       0 init 7\nroot           7       1 sh  -c  x\n\n";
        assert_eq!(
            rows(table, &[7, 9]).unwrap(),
            "UID          PID    PPID CMD\nroot           7       1 sh  -c  x\n"
        );
        assert_eq!(rows(table, &[]).unwrap(), "UID          PID    PPID CMD\n");
    }

    #[test]
    fn a_table_without_pids_is_no_use() {
        let text = rows("USER COMMAND\nroot sh\n", &[1]).unwrap_err().to_string();
        assert!(text.starts_with("couldn't find PID field in ps output"), "{text}");
        assert!(rows("", &[1]).is_err());
        assert_eq!(rows("PID\nx\n", &[1]).unwrap_err().to_string(), "unable to parse pid: \"x\"");
    }

    #[test]
    fn json_is_one_line() {
        assert_eq!(json(&[]), "null\n");
        assert_eq!(json(&[5]), "[5]\n");
        assert_eq!(json(&[5, 6]), "[5,6]\n");
    }
}
