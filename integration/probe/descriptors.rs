//! What the process was handed: descriptors, terminal, working directory, environment. It opens nothing that stays.

use std::ffi::CStr;
use std::fs;
use std::io::IsTerminal;

use serde_json::{Map, Value, json};

use crate::see;

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// Open descriptors with what they lead to; without a procfs only their numbers, up to 4095.
pub(crate) fn fds() -> Value {
    let mut found = Map::new();
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        for name in names {
            let name = name.to_string_lossy().into_owned();
            // The directory's own descriptor is closed by now.
            if let Ok(target) = fs::read_link(format!("/proc/self/fd/{name}")) {
                found.insert(name, json!(target.to_string_lossy()));
            }
        }
        return Value::Object(found);
    }
    for fd in 0..4096 {
        // SAFETY: F_GETFD reads a flag and takes any number.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            found.insert(fd.to_string(), Value::Null);
        }
    }
    Value::Object(found)
}

/// The environment as it stands: order and duplicates kept.
pub(crate) fn environment() -> Value {
    let mut found = Vec::new();
    // SAFETY: `environ` is set by the C library to a NULL-terminated array that nothing here changes.
    let mut entry = unsafe { environ };
    // SAFETY: `entry` is within the array, whose last element is NULL.
    while let Some(text) = (unsafe { entry.as_ref() }).filter(|text| !text.is_null()) {
        // SAFETY: a non-NULL element is a NUL-terminated string.
        found.push(unsafe { CStr::from_ptr(*text) }.to_string_lossy().into_owned());
        // SAFETY: the element was not the terminating NULL, so there is a next one.
        entry = unsafe { entry.add(1) };
    }
    json!(found)
}

/// The working directory as the kernel names it: `(unreachable)` when it is outside the root (CVE-2024-21626). The C
/// library hides that, hence the bare call.
pub(crate) fn cwd() -> Value {
    let mut buffer = [0_u8; 4096];
    // SAFETY: the buffer is writable and its size is passed.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    let Ok(length @ 1..) = usize::try_from(length) else {
        return see::error(&std::io::Error::last_os_error());
    };
    let path = String::from_utf8_lossy(&buffer[..length - 1]).into_owned();
    json!({"path": path, "reachable": path.starts_with('/')})
}

/// Which of the three standard descriptors are terminals, the terminal's name and size, and whether it controls us.
pub(crate) fn tty() -> Value {
    let name = fs::read_link("/proc/self/fd/0").map(|t| t.to_string_lossy().into_owned()).ok();
    // SAFETY: winsize is plain data, for which all zeroes is a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize.
    let sized = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) } == 0;
    // SAFETY: TIOCGSID by tcgetsid takes any descriptor.
    let session = unsafe { libc::tcgetsid(0) };
    // SAFETY: getsid(0) has no memory operand.
    let ours = unsafe { libc::getsid(0) };
    json!({
        "stdin": std::io::stdin().is_terminal(),
        "stdout": std::io::stdout().is_terminal(),
        "stderr": std::io::stderr().is_terminal(),
        "name": name,
        "rows": sized.then_some(size.ws_row),
        "columns": sized.then_some(size.ws_col),
        "controlling": session > 0 && session == ours,
        "dev_tty": fs::File::open("/dev/tty").is_ok(),
    })
}
