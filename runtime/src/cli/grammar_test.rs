//! Every rule of runc's grammar, on the real tables.

use super::commands::GRAMMAR;
use super::grammar::{Matches, Outcome, parse, truth};

fn read(line: &str) -> (Matches, Outcome) {
    parse(&GRAMMAR, line.split_whitespace().map(str::to_owned).collect())
}

/// The matches of a line that must run the command it names.
fn ran(line: &str) -> Matches {
    match read(line) {
        (matches, Outcome::Run(command)) => {
            assert!(line.contains(command.name), "{line}: ran {}", command.name);
            matches
        }
        (_, outcome) => panic!("{line}: {outcome:?}"),
    }
}

fn misused(line: &str) -> String {
    match read(line).1 {
        Outcome::Misused(_, text) => text,
        outcome => panic!("{line}: {outcome:?}"),
    }
}

fn miscounted(line: &str) -> String {
    match read(line).1 {
        Outcome::Miscounted(_, text) => text,
        outcome => panic!("{line}: {outcome:?}"),
    }
}

#[test]
fn a_value_has_four_spellings() {
    for line in [
        "run --bundle /b c",
        "run --bundle=/b c",
        "run -bundle /b c",
        "run -bundle=/b c",
        "run -b /b c",
        "run -b=/b c",
        "run --b /b c",
        "run c --bundle /b",
        "run --bundle /x --bundle /b c",
    ] {
        let matches = ran(line);
        assert_eq!(matches.text("bundle"), Some("/b"), "{line}");
        assert_eq!(matches.operands, ["c"], "{line}");
    }
}

#[test]
fn a_value_may_look_like_a_flag_or_be_empty() {
    assert_eq!(ran("update --pids-limit -1 c").number("pids-limit"), Some(-1));
    assert_eq!(ran("run --pid-file --keep c").text("pid-file"), Some("--keep"));
    assert_eq!(ran("run --bundle= c").text("bundle"), Some(""));
    assert_eq!(ran("run --bundle= c").path("bundle"), None);
    assert_eq!(ran("exec --env A=B=C c sh").text("env"), Some("A=B=C"));
    assert_eq!(ran("exec --env=A=B c sh").text("env"), Some("A=B"));
}

#[test]
fn switches_take_a_value_only_behind_an_equals_sign() {
    for (line, quiet) in [
        ("list", None),
        ("list --quiet", Some(true)),
        ("list -q", Some(true)),
        ("list -quiet", Some(true)),
        ("list --quiet=true", Some(true)),
        ("list --quiet=T", Some(true)),
        ("list --quiet=1", Some(true)),
        ("list --quiet=", Some(true)),
        ("list --quiet=false", Some(false)),
        ("list -q=0", Some(false)),
        ("list -q --quiet=F", Some(false)),
    ] {
        assert_eq!(ran(line).switch("quiet"), quiet, "{line}");
    }
    assert_eq!(miscounted("list --quiet false"), "\"list\" requires exactly 0 argument(s)");
    assert_eq!(misused("list --quiet=yes"), "invalid value \"yes\" for flag -quiet: parse error");
}

#[test]
fn shorts_are_not_combined_and_longs_not_abbreviated() {
    assert_eq!(misused("exec -te A=1 c sh"), "flag provided but not defined: -te");
    assert_eq!(misused("list --quie"), "flag provided but not defined: -quie");
    assert_eq!(misused("list -x"), "flag provided but not defined: -x");
    assert_eq!(misused("list ---quiet"), "flag provided but not defined: --quiet");
    assert_eq!(misused("list --foo=bar"), "flag provided but not defined: -foo");
    assert_eq!(misused("--foo"), "flag provided but not defined: -foo");
    assert_eq!(misused("-foo list"), "flag provided but not defined: -foo");
    assert_eq!(misused("state --version c"), "flag provided but not defined: -version");
}

#[test]
fn wrong_values_are_named() {
    assert_eq!(misused("run c --pid-file"), "flag needs an argument: --pid-file");
    assert_eq!(misused("run c -b"), "flag needs an argument: -b");
    assert_eq!(misused("--root"), "flag needs an argument: --root");
    assert_eq!(misused("run --preserve-fds x c"), "invalid value \"x\" for flag -preserve-fds: parse error");
    assert_eq!(misused("exec -g 1,2 c sh"), "invalid value \"1,2\" for flag -g: parse error");
    assert_eq!(misused("events --interval 5 c"), "invalid value \"5\" for flag -interval: parse error");
}

#[test]
fn flags_may_follow_the_id() {
    let matches = ran("run c --detach --pid-file x -bundle b");
    assert!(matches.on("detach"));
    assert_eq!((matches.text("pid-file"), matches.text("bundle")), (Some("x"), Some("b")));
    assert!(ran("delete c -f").on("force"));
}

#[test]
fn behind_the_id_of_exec_kill_and_ps_everything_is_theirs() {
    for (line, operands) in [
        ("exec c sh -c true", &["c", "sh", "-c", "true"][..]),
        ("exec c -t --help", &["c", "-t", "--help"]),
        ("exec c --root x", &["c", "--root", "x"]),
        ("exec -- c sh -- x", &["c", "sh", "--", "x"]),
        ("exec c -- sh -- x", &["c", "sh", "--", "x"]),
        ("exec c sh -- x", &["c", "sh", "--", "x"]),
        ("kill c -9", &["c", "-9"]),
        ("kill c --all", &["c", "--all"]),
        ("ps c -e -x", &["c", "-e", "-x"]),
        ("ps c --format json", &["c", "--format", "json"]),
    ] {
        let matches = ran(line);
        assert_eq!(matches.operands, operands, "{line}");
        assert!(!matches.on("tty") && !matches.on("all") && matches.text("root").is_none(), "{line}");
    }
    assert!(ran("exec -t c sh").on("tty"));
    assert!(ran("kill -a c KILL").on("all"));
    assert_eq!(ran("ps -f json c").text("format"), Some("json"));
}

#[test]
fn two_dashes_end_the_flags() {
    assert_eq!(ran("state -- -c").operands, ["-c"]);
    assert_eq!(ran("state -- --").operands, ["--"]);
    assert_eq!(ran("-- state c").operands, ["c"]);
    assert_eq!(miscounted("delete -- c -f"), "\"delete\" requires exactly 1 argument(s)");
}

#[test]
fn what_does_not_begin_like_a_flag_is_none() {
    assert_eq!(ran("state -").operands, ["-"]);
    assert_eq!(ran("state -9").operands, ["-9"]);
    assert_eq!(miscounted("delete -9 -f"), "\"delete\" requires exactly 1 argument(s)");
}

#[test]
fn global_flags_stand_on_either_side() {
    for line in [
        "--root /r --debug list",
        "list --root /r -debug",
        "-root=/r list --debug=true",
        "list -root /r --debug",
    ] {
        let matches = ran(line);
        assert_eq!(matches.text("root"), Some("/r"), "{line}");
        assert!(matches.on("debug"), "{line}");
    }
    let matches = ran("--root /r state --root /s --log-format json c");
    assert_eq!((matches.text("root"), matches.text("log-format")), (Some("/s"), Some("json")));
}

#[test]
fn commas_stay_in_lists() {
    let matches = ran("exec --cgroup cpu,cpuacct:sub --env A=1,2 -e B=3 -g 1 -g 2 c sh");
    assert_eq!(matches.all("cgroup").collect::<Vec<_>>(), ["cpu,cpuacct:sub"]);
    assert_eq!(matches.all("env").collect::<Vec<_>>(), ["A=1,2", "B=3"]);
    assert_eq!(matches.all("additional-gids").collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn operands_are_counted() {
    for (line, text) in [
        ("create", "\"create\" requires exactly 1 argument(s)"),
        ("create a b", "\"create\" requires exactly 1 argument(s)"),
        ("list a", "\"list\" requires exactly 0 argument(s)"),
        ("exec", "\"exec\" requires a minimum of 1 argument(s)"),
        ("ps", "\"ps\" requires a minimum of 1 argument(s)"),
        ("kill", "\"kill\" requires a minimum of 1 argument(s)"),
        ("kill a b c", "\"kill\" requires a maximum of 2 argument(s)"),
    ] {
        assert_eq!(miscounted(line), text, "{line}");
    }
}

#[test]
fn help_is_had_in_many_ways() {
    for line in ["", "help", "h", "--help", "-h", "-help", "--root /r", "help help", "--debug -h", "-h --foo"]
    {
        assert!(matches!(read(line).1, Outcome::Help(None)), "{line}");
    }
    for line in ["help kill", "h kill", "kill -h", "kill --help", "-h kill", "kill -a -h --foo"] {
        assert!(matches!(read(line).1, Outcome::Help(Some(command)) if command.name == "kill"), "{line}");
    }
    assert!(matches!(read("state c -h").1, Outcome::Help(Some(command)) if command.name == "state"));
}

#[test]
fn version_belongs_to_the_program() {
    for line in ["-v", "--version", "-version", "--root /r -v", "-v list"] {
        assert!(matches!(read(line).1, Outcome::Version), "{line}");
    }
    assert!(matches!(read("-v -h").1, Outcome::Help(None)));
}

#[test]
fn unknown_commands_have_no_topic() {
    for line in ["foo", "foo -h", "--root /r foo", "help foo", "-h foo", "foo --bar", "lis", "--  foo"] {
        assert!(matches!(read(line).1, Outcome::NoTopic(name) if name == "foo" || name == "lis"), "{line}");
    }
}

#[test]
fn truth_is_as_go_has_it() {
    assert_eq!(truth("TRUE"), Some(true));
    assert_eq!(truth("f"), Some(false));
    assert_eq!(truth("yes"), None);
    assert_eq!(truth(""), None);
}

#[test]
fn a_command_s_own_flag_hides_the_global_one() {
    assert_eq!(ran("--rootless true spec").switch("rootless"), None);
    assert_eq!(ran("--rootless auto spec --rootless").switch("rootless"), Some(true));
    assert_eq!(ran("--rootless true list").text("rootless"), Some("true"));
}

#[test]
fn no_two_flags_of_a_command_share_a_name() {
    for command in GRAMMAR.commands {
        let mut names: Vec<&str> = command
            .flags
            .iter()
            .flat_map(|flag| [flag.name, flag.short])
            .chain(["help", "h"])
            .filter(|name| !name.is_empty())
            .collect();
        // "spec --rootless" is the one that is meant to hide a global flag.
        let globals = GRAMMAR.global.iter().flat_map(|flag| [flag.name, flag.short]);
        let hidden = if command.name == "spec" { "rootless" } else { "" };
        names.extend(globals.filter(|name| !["", hidden].contains(name)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{}: {names:?}", command.name);
    }
}

proptest::proptest! {
    #[test]
    fn no_line_panics(args in proptest::collection::vec("(-{0,3}[a-z=]{0,3})|exec|run|kill|list|help|--bundle|-v|\\PC{0,4}", 0..8)) {
        let (matches, outcome) = parse(&GRAMMAR, args);
        if let Outcome::Run(command) = outcome {
            let count = matches.operands.len();
            proptest::prop_assert!(command.operands.min <= count && count <= command.operands.max);
        }
    }
}

#[test]
fn fuzz() {
    let seeds: [&[u8]; 4] = [
        b"--root\n/r\n--log-format=json\ncreate\n-b\n/b\n--pid-file=x\nid",
        b"exec\n-e\nA=b\n-u\n1:2\n-t\nid\nsh\n-c\nls",
        b"update\n--memory\n1g\n-r\n-\nid",
        b"--debug\nkill\n-a\nid\nKILL\n--help",
    ];
    crate::fuzz::run("arguments", &seeds, |bytes| {
        let args = String::from_utf8_lossy(bytes).split('\n').map(str::to_owned).collect();
        let (_, outcome) = parse(&GRAMMAR, args);
        match outcome {
            Outcome::Run(command) => format!("run {}", command.name),
            outcome => format!("{outcome:?}"),
        }
    });
}
