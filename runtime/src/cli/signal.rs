//! Signals by name or number, as `kill` takes them. Pure.

use crate::error::{Error, Result};

/// The lowest realtime signal that a C library leaves to programs, and the highest (man 7 signal). The kernel's own
/// range begins at 32, but 32 to 34 belong to the C libraries' threads.
const REALTIME: std::ops::RangeInclusive<i32> = 34..=64;

/// The number of a signal: a decimal number (0 only asks if there is somebody to signal), or a name in any case, with
/// or without `SIG`, with `RTMIN+n`, `RTMAX-n`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let known = if let Ok(number) = text.parse() {
        (0..=*REALTIME.end()).contains(&number).then_some(number)
    } else {
        let name = text.to_ascii_uppercase();
        named(name.strip_prefix("SIG").unwrap_or(&name))
    };
    known.ok_or_else(|| Error::invalid(format!("unknown signal {text:?}")))
}

/// Standard signals and their other names. The numbers differ between processors.
const NAMES: [(&str, i32); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

fn named(name: &str) -> Option<i32> {
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i32>().ok() };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(up), _) => REALTIME.start().checked_add(offset(up)?)?,
        (_, Some(down)) => REALTIME.end().checked_add(offset(down)?)?,
        _ => return None,
    };
    REALTIME.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("0", 0),
            ("64", 64),
            ("KILL", 9),
            ("kill", 9),
            ("SIGKILL", 9),
            ("sigKill", 9),
            ("TERM", 15),
            ("WINCH", 28),
            ("STKFLT", 16),
            ("CLD", 17),
            ("SIGIOT", 6),
            ("POLL", 29),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("SIGRTMAX", 64),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn no_signals() {
        for text in [
            "",
            "SIG",
            "SIGFOO",
            "SIGSIGKILL",
            "RTMIN-1",
            "RTMIN+31",
            "RTMAX+1",
            "RTMINx",
            "9 ",
            "65",
            "-9",
            "4711",
            "KILL,TERM",
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("unknown signal {text:?}"), "{text}");
        }
    }

    #[test]
    fn fuzz() {
        crate::fuzz::run("signal", &[b"9", b"SIGTERM", b"rtmin+3", b"RTMAX-1"], |bytes| {
            parse(&String::from_utf8_lossy(bytes))
                .map_or_else(|error| error.to_string(), |_| "signal".to_owned())
        });
    }
}
