//! `see`: one JSON document of everything the process has and sees. It only looks, except for what it was asked to try.
//!
//! Requests, each a word: `to=PATH` writes the document there (complete or not at all) instead of to standard output;
//! `sysctl=NAME`, `file=PATH`, `stat=PATH`, `statfs=PATH`, `list=PATH` add what they name; `create=PATH`,
//! `mkdir=PATH` try it and add "ok" or the errno's name.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use serde_json::{Map, Value, json};

use crate::{Failure, descriptors, identity, surroundings};

/// Prints or writes the document.
pub(crate) fn see(args: &[String], requests: &[String]) -> Result<(), Failure> {
    let mut seen = everything(args);
    let mut to = None;
    for request in requests {
        let (what, operand) =
            request.split_once('=').ok_or_else(|| format!("see {request}: expected WHAT=OPERAND"))?;
        let answer = match what {
            "to" => {
                to = Some(operand);
                continue;
            }
            "sysctl" => file(&format!("/proc/sys/{}", operand.replace('.', "/"))),
            "file" => file(operand),
            "stat" => {
                fs::symlink_metadata(operand).map_or_else(|e| error(&e), |m| stat(Path::new(operand), &m))
            }
            "statfs" => statfs(operand),
            "list" => list(operand),
            "create" => outcome(&fs::OpenOptions::new().create(true).append(true).open(operand)),
            "mkdir" => outcome(&fs::DirBuilder::new().mode(0o755).create(operand)),
            _ => return Err(format!("see {request}: no such request").into()),
        };
        let place = seen.entry(what).or_insert_with(|| json!({}));
        place[operand] = answer;
    }
    let text = Value::Object(seen).to_string();
    match to {
        None => writeln!(std::io::stdout(), "{text}")?,
        Some(path) => {
            fs::write(format!("{path}.part"), text)?;
            fs::rename(format!("{path}.part"), path)?;
        }
    }
    Ok(())
}

fn everything(args: &[String]) -> Map<String, Value> {
    let mut seen = Map::new();
    // Descriptors first: what comes later opens some.
    seen.insert("fds".into(), descriptors::fds());
    seen.insert("args".into(), json!(args));
    seen.insert("env".into(), descriptors::environment());
    seen.insert("cwd".into(), descriptors::cwd());
    seen.insert("tty".into(), descriptors::tty());
    identity::add(&mut seen);
    surroundings::add(&mut seen);
    seen
}

/// The errno's name, which is what tests compare; its text depends on the C library.
pub(crate) fn error(error: &std::io::Error) -> Value {
    match error.raw_os_error() {
        Some(code) => json!({"error": format!("{:?}", Errno::from_raw(code))}),
        None => json!({"error": error.to_string()}),
    }
}

fn outcome<T>(result: &std::io::Result<T>) -> Value {
    match result {
        Ok(_) => json!("ok"),
        Err(e) => error(e)["error"].take(),
    }
}

/// A file's first 64 KiB as text.
pub(crate) fn file(path: &str) -> Value {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|f| f.take(1 << 16).read_to_end(&mut bytes)) {
        Ok(_) => json!(String::from_utf8_lossy(&bytes)),
        Err(e) => error(&e),
    }
}

/// Type, mode, owner, device and, for a symbolic link, its target.
pub(crate) fn stat(path: &Path, meta: &fs::Metadata) -> Value {
    let kind = meta.file_type();
    let kind = match kind {
        _ if kind.is_dir() => "dir",
        _ if kind.is_symlink() => "link",
        _ if kind.is_char_device() => "char",
        _ if kind.is_block_device() => "block",
        _ if kind.is_fifo() => "fifo",
        _ if kind.is_socket() => "socket",
        _ => "file",
    };
    let mut entry = json!({
        "type": kind, "mode": meta.mode() & 0o7777, "uid": meta.uid(), "gid": meta.gid(),
        "ino": meta.ino(), "dev": meta.dev(), "size": meta.size(),
    });
    if matches!(kind, "char" | "block") {
        entry["major"] = json!(libc::major(meta.rdev()));
        entry["minor"] = json!(libc::minor(meta.rdev()));
    }
    if kind == "link" {
        entry["target"] =
            json!(fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default());
    }
    entry
}

fn list(path: &str) -> Value {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) => return error(&e),
    };
    let mut listed = Map::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let about =
            fs::symlink_metadata(entry.path()).map_or_else(|e| error(&e), |m| stat(&entry.path(), &m));
        listed.insert(name, about);
    }
    Value::Object(listed)
}

fn statfs(path: &str) -> Value {
    let Ok(path) = CString::new(path) else { return json!({"error": "EINVAL"}) };
    // SAFETY: statfs is plain data, for which all zeroes is a value.
    let mut buffer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a NUL-terminated path and a buffer of the right type, both alive during the call.
    if unsafe { libc::statfs(path.as_ptr(), &raw mut buffer) } != 0 {
        return error(&std::io::Error::last_os_error());
    }
    json!({
        "magic": buffer.f_type, "blocks": buffer.f_blocks, "block_size": buffer.f_bsize,
        "files": buffer.f_files, "flags": buffer.f_flags,
    })
}
