//! The process of `exec`, from a file or from the container's own process and the flags. Pure but for the read of
//! that file.

use std::path::Path;

use super::grammar::Matches;
use crate::error::{Error, Result};
use crate::spec::{self, Process};

/// The process that `--process` names.
pub(crate) fn from_file(path: &str) -> Result<Process> {
    spec::load_process(Path::new(path))
}

/// `own`, the process of the container's config.json, with what the flags and the operands behind the id say instead.
pub(crate) fn from_flags(matches: &Matches, own: Process) -> Result<Process> {
    let mut process = own;
    process.args = matches.operands.get(1..).unwrap_or_default().to_vec();
    if process.args.is_empty() {
        return Err(Error::invalid("exec args cannot be empty"));
    }
    if let Some(cwd) = matches.path("cwd") {
        cwd.clone_into(&mut process.cwd);
    }
    if let Some(profile) = matches.path("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if let Some(label) = matches.path("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    process.env.extend(matches.all("env").map(str::to_owned));
    process.terminal = matches.on("tty");
    if let Some(forbid) = matches.switch("no-new-privs") {
        process.no_new_privileges = forbid;
    }
    if let Some(user) = matches.path("user") {
        set_user(&mut process, user)?;
    }
    for gid in matches.all("additional-gids") {
        let gid = id(gid)
            .ok_or_else(|| Error::invalid(format!("additional-gids must be a positive number {gid}")))?;
        process.user.additional_gids.push(gid);
    }
    add_capabilities(&mut process, matches);
    Ok(process)
}

fn set_user(process: &mut Process, user: &str) -> Result<()> {
    let bad = |what: &str, text: &str| {
        Error::invalid(format!("bad {what}: {text:?} is no id")).hint("give numbers, UID[:GID]")
    };
    let (uid, gid) = match user.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (user, None),
    };
    if let Some(gid) = gid {
        process.user.gid = id(gid).ok_or_else(|| bad("gid", gid))?;
    }
    process.user.uid = id(uid).ok_or_else(|| bad("uid", uid))?;
    Ok(())
}

/// 2^32-1 is no id: the kernel takes it for "leave it as it is" (man 2 setresuid).
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// An ambient capability must be inheritable, which `--cap` does not make it: so it is only added where the
/// container's config has inheritable ones.
fn add_capabilities(process: &mut Process, matches: &Matches) {
    for capability in matches.all("cap") {
        let sets = process.capabilities.get_or_insert_default();
        let ambient = !sets.inheritable.is_empty();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(capability.to_owned());
        }
        if ambient {
            sets.ambient.push(capability.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::GRAMMAR;
    use crate::cli::grammar::{Outcome, parse};
    use crate::spec::{Capabilities, User};

    fn own() -> Process {
        Process {
            terminal: true,
            args: vec!["init".into()],
            env: vec!["A=1".into()],
            cwd: "/srv".into(),
            user: User { uid: 7, gid: 8, umask: Some(0o27), additional_gids: vec![9] },
            no_new_privileges: true,
            ..Process::default()
        }
    }

    fn process(line: &str) -> Result<Process> {
        let (matches, outcome) = parse(&GRAMMAR, line.split_whitespace().map(str::to_owned).collect());
        assert!(matches!(outcome, Outcome::Run(_)), "{line}: {outcome:?}");
        from_flags(&matches, own())
    }

    #[test]
    fn without_flags_all_but_the_command_and_the_terminal_stays() {
        let expected = Process { terminal: false, args: vec!["sh".into(), "-c".into()], ..own() };
        assert_eq!(process("exec c sh -c").unwrap(), expected);
    }

    #[test]
    fn flags_replace_and_add() {
        let got = process(
            "exec -t --cwd /x -e B=2 -e A=3 --no-new-privs=false --apparmor p --process-label l -g 10 -g 11 c sh",
        )
        .unwrap();
        assert!(got.terminal && !got.no_new_privileges);
        assert_eq!((got.cwd.as_str(), got.env.join(" ").as_str()), ("/x", "A=1 B=2 A=3"));
        assert_eq!((got.apparmor_profile.as_deref(), got.selinux_label.as_deref()), (Some("p"), Some("l")));
        assert_eq!(got.user.additional_gids, [9, 10, 11]);
    }

    #[test]
    fn users_are_numbers_in_range() {
        let user =
            |text: &str| process(&format!("exec --user {text} c sh")).map(|p| (p.user.uid, p.user.gid));
        assert_eq!(user("5").unwrap(), (5, 8));
        assert_eq!(user("5:6").unwrap(), (5, 6));
        assert_eq!(user("4294967294:0").unwrap(), (4_294_967_294, 0));
        for (text, error) in [
            ("root", "bad uid: \"root\""),
            ("4294967295", "bad uid: \"4294967295\""),
            ("4294967296", "bad uid"),
            ("-1", "bad uid"),
            ("5:", "bad gid: \"\""),
            ("5:4294967295", "bad gid"),
            (":6", "bad uid: \"\""),
            ("5:6:7", "bad gid: \"6:7\""),
        ] {
            let text = user(text).unwrap_err().to_string();
            assert!(text.starts_with(error), "{text}");
        }
        for gid in ["-1", "4294967295", "4294967296"] {
            let text = process(&format!("exec -g {gid} c sh")).unwrap_err().to_string();
            assert_eq!(text, format!("additional-gids must be a positive number {gid}"));
        }
    }

    #[test]
    fn capabilities_become_ambient_only_beside_inheritable_ones() {
        let sets = process("exec -c CAP_A --cap CAP_B c sh").unwrap().capabilities.unwrap();
        assert_eq!(sets.bounding, ["CAP_A", "CAP_B"]);
        assert_eq!((&sets.effective, &sets.permitted), (&sets.bounding, &sets.bounding));
        assert!(sets.ambient.is_empty() && sets.inheritable.is_empty());

        let (matches, _) = parse(&GRAMMAR, ["exec", "-c", "X", "c", "sh"].map(str::to_owned).into());
        let capabilities = Capabilities { inheritable: vec!["I".into()], ..Capabilities::default() };
        let own = Process { capabilities: Some(capabilities), ..own() };
        assert_eq!(from_flags(&matches, own).unwrap().capabilities.unwrap().ambient, ["X"]);
    }

    #[test]
    fn a_command_is_needed() {
        assert_eq!(process("exec c").unwrap_err().to_string(), "exec args cannot be empty");
    }
}
