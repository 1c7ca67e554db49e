//! `list`: the containers under one root, as a table, as JSON, or their ids.

use std::fmt::Write as _;

use super::{Call, print, table};
use crate::container::list::list as all;
use crate::container::state::OciState;
use crate::error::{Error, Kind, Result};

/// Prints the containers. That the default root is not there means that there are none; a root that the user named
/// must exist.
pub(crate) fn list(call: &Call) -> Result<u8> {
    let containers = match all(&call.runtime) {
        Err(error) if error.kind() == Kind::NotFound && !call.root_given => Vec::new(),
        other => other?,
    };
    let text = if call.matches.on("quiet") {
        ids(&containers)
    } else {
        match call.matches.text("format") {
            None | Some("table") => rows(&containers),
            Some("json") => json(&containers)?,
            Some(_) => return Err(Error::invalid("invalid format option")),
        }
    };
    print(&text)?;
    Ok(0)
}

fn ids(containers: &[OciState]) -> String {
    let mut text = String::new();
    for container in containers {
        let _ = writeln!(text, "{}", container.id);
    }
    text
}

fn rows(containers: &[OciState]) -> String {
    let title = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let row = |state: &OciState| {
        let OciState { id, pid, status, bundle, created, owner, .. } = state;
        [
            id.clone(),
            pid.to_string(),
            status.to_string(),
            bundle.display().to_string(),
            created.clone(),
            owner.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(title).chain(containers.iter().map(row)).collect();
    table::lines(&rows)
}

/// One line; `null` when there is none, which is what Go makes of an empty list.
fn json(containers: &[OciState]) -> Result<String> {
    if containers.is_empty() {
        return Ok("null\n".to_owned());
    }
    let mut text =
        serde_json::to_string(containers).map_err(|error| Error::invalid(format!("write JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}
