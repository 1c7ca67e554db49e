//! The grammar of the command line, which is runc's, read from one table per command. It never prints, never touches
//! the host, and never fails: whatever was typed has an [`Outcome`].
//!
//! An own parser, because no argument crate speaks this dialect: every long flag may be said with one dash
//! (`-bundle x`), shorts are neither combined nor abbreviated, flags may follow the operands (except of `exec`, `kill`
//! and `ps`, whose operands belong to someone else), global flags may follow the command, and a switch takes a value
//! only behind `=`.

use super::{Verb, duration};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or a truth value behind `=`.
    Switch,
    /// A text; the last one counts.
    Text,
    /// A whole number; the last one counts.
    Number,
    /// A Go duration; the last one counts.
    Duration,
    /// A text each time; commas stay in it.
    Texts,
    /// A whole number each time.
    Numbers,
}

/// One flag: a row of a command's table.
#[derive(Debug)]
pub(crate) struct Flag {
    /// The long name, without dashes.
    pub(crate) name: &'static str,
    /// The one-letter name, or "".
    pub(crate) short: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What help calls its value.
    pub(crate) value: &'static str,
    /// One sentence. A hidden flag has none.
    pub(crate) help: &'static str,
}

impl Flag {
    /// Taken for compatibility, and not shown.
    pub(crate) fn hidden(&self) -> bool {
        self.help.is_empty()
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || (!self.short.is_empty() && self.short == name)
    }
}

/// How many operands a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operands {
    /// At least so many.
    pub(crate) min: usize,
    /// At most so many.
    pub(crate) max: usize,
}

impl Operands {
    /// Neither more nor less than `n`.
    pub(crate) const fn exactly(n: usize) -> Self {
        Self { min: n, max: n }
    }

    /// `n` or more.
    pub(crate) const fn at_least(n: usize) -> Self {
        Self { min: n, max: usize::MAX }
    }

    /// What runc answers to another number of operands, without the program's name before it.
    fn complaint(self, name: &str, count: usize) -> Option<String> {
        let Self { min, max } = self;
        if min == max && count != min {
            Some(format!("{name:?} requires exactly {min} argument(s)"))
        } else if count < min {
            Some(format!("{name:?} requires a minimum of {min} argument(s)"))
        } else if count > max {
            Some(format!("{name:?} requires a maximum of {max} argument(s)"))
        } else {
            None
        }
    }
}

/// One command: its table.
#[derive(Debug)]
pub(crate) struct Command {
    /// What it is called by.
    pub(crate) name: &'static str,
    /// One sentence. A hidden command has none.
    pub(crate) about: &'static str,
    /// The operands as help shows them.
    pub(crate) usage: &'static str,
    /// Paragraphs of help, or "".
    pub(crate) details: &'static str,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// How many operands it takes.
    pub(crate) operands: Operands,
    /// Everything behind the first operand is somebody else's, flags too.
    pub(crate) rest_is_foreign: bool,
    /// It enters a container, so this program must not be there to be written to.
    pub(crate) enters: bool,
    /// The exit status when it fails.
    pub(crate) failure: u8,
    /// What it does.
    pub(crate) verb: Verb,
}

/// A whole command line's tables.
#[derive(Debug)]
pub(crate) struct Grammar {
    /// Flags that stand before or behind the command.
    pub(crate) global: &'static [Flag],
    /// All commands in the order in which help shows them.
    pub(crate) commands: &'static [Command],
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Run this command.
    Run(&'static Command),
    /// Show the help of a command, or of the program.
    Help(Option<&'static Command>),
    /// Show the version.
    Version,
    /// A flag was wrong: why, and of which command the help is shown.
    Misused(Option<&'static Command>, String),
    /// The number of operands was wrong: why (the program's name comes before it).
    Miscounted(&'static Command, String),
    /// There is no such command.
    NoTopic(String),
}

/// The flags and operands that were read.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    values: Vec<(&'static str, String)>,
    /// The operands.
    pub(crate) operands: Vec<String>,
}

impl Matches {
    /// The last value of the flag `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// The last value of the flag `name`, unless it is empty: an empty path means "not given".
    pub(crate) fn path(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// Whether the switch `name` is on; `None` when it was not mentioned.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(truth)
    }

    /// Whether the switch `name` is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.switch(name) == Some(true)
    }

    /// The number given as the flag `name`.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|value| value.parse().ok())
    }

    /// All values of the flag `name`, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// The first operand, which is a container's id in most commands.
    pub(crate) fn first(&self) -> &str {
        self.operands.first().map_or("", String::as_str)
    }

    fn put(&mut self, flag: &'static Flag, value: String) {
        self.values.push((flag.name, value));
    }
}

/// Go's truth values (strconv.ParseBool).
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Flags that every command knows, and those that only the program knows.
pub(crate) static HELP: Flag =
    Flag { name: "help", short: "h", kind: Kind::Switch, value: "", help: "show this help" };
/// See [`HELP`].
pub(crate) static VERSION: Flag =
    Flag { name: "version", short: "v", kind: Kind::Switch, value: "", help: "show the version" };

enum Step {
    Operand(String),
    /// The rest is operands; the argument itself too, unless it was `--`.
    Rest(Option<String>),
    Taken,
    Wrong(String),
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(grammar: &'static Grammar, args: Vec<String>) -> (Matches, Outcome) {
    let mut args = args.into_iter();
    let mut matches = Matches::default();
    let mut topic = None;
    let own = [grammar.global, std::slice::from_ref(&HELP), std::slice::from_ref(&VERSION)];
    while let Some(arg) = args.next() {
        match step(&own, &mut matches, arg, &mut args) {
            Step::Taken => {}
            Step::Operand(name) => {
                topic = Some(name);
                break;
            }
            Step::Rest(name) => {
                topic = name.or_else(|| args.next());
                break;
            }
            Step::Wrong(_) if matches.on("help") => return (matches, Outcome::Help(None)),
            Step::Wrong(text) => return (matches, Outcome::Misused(None, text)),
        }
    }
    let help = matches.on("help");
    match topic {
        None if matches.on("version") && !help => (matches, Outcome::Version),
        None => (matches, Outcome::Help(None)),
        Some(name) if name == "help" || name == "h" => {
            let outcome = grammar.topic(args.find(|arg| !arg.starts_with('-')));
            (matches, outcome)
        }
        Some(name) if help => (matches, grammar.topic(Some(name))),
        Some(_) if matches.on("version") => (matches, Outcome::Version),
        Some(name) => match grammar.command(&name) {
            Some(command) => parse_command(grammar, command, matches, args),
            None => (matches, Outcome::NoTopic(name)),
        },
    }
}

fn parse_command(
    grammar: &'static Grammar,
    command: &'static Command,
    mut matches: Matches,
    mut args: std::vec::IntoIter<String>,
) -> (Matches, Outcome) {
    // A command's own flag hides the global one of the same name (`spec --rootless`).
    matches.values.retain(|(name, _)| !command.flags.iter().any(|flag| flag.is_called(name)));
    let known = [command.flags, grammar.global, std::slice::from_ref(&HELP)];
    while let Some(arg) = args.next() {
        // `--` behind the id is still the end of the flags, and not handed on.
        if command.rest_is_foreign && !matches.operands.is_empty() && arg != "--" {
            matches.operands.push(arg);
            matches.operands.extend(args);
            break;
        }
        match step(&known, &mut matches, arg, &mut args) {
            Step::Taken => {}
            Step::Operand(operand) => matches.operands.push(operand),
            Step::Rest(operand) => {
                matches.operands.extend(operand);
                matches.operands.extend(args);
                break;
            }
            Step::Wrong(_) if matches.on("help") => return (matches, Outcome::Help(Some(command))),
            Step::Wrong(text) => return (matches, Outcome::Misused(Some(command), text)),
        }
    }
    if matches.on("help") {
        return (matches, Outcome::Help(Some(command)));
    }
    match command.operands.complaint(command.name, matches.operands.len()) {
        Some(text) => (matches, Outcome::Miscounted(command, text)),
        None => (matches, Outcome::Run(command)),
    }
}

/// Reads one argument, and its value from `rest` if it takes one.
fn step(
    known: &[&'static [Flag]],
    matches: &mut Matches,
    arg: String,
    rest: &mut std::vec::IntoIter<String>,
) -> Step {
    let Some(dashed) = arg.strip_prefix('-') else { return Step::Operand(arg) };
    let body = match dashed.strip_prefix('-') {
        Some("") => return Step::Rest(None),
        Some(long) => long,
        None if dashed.is_empty() => return Step::Operand(arg),
        // `-9` is no flag, and nothing behind it is one.
        None if !dashed.starts_with(char::is_alphabetic) => return Step::Rest(Some(arg)),
        None => dashed,
    };
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let Some(flag) = known.iter().flat_map(|flags| flags.iter()).find(|flag| flag.is_called(name)) else {
        return Step::Wrong(format!("flag provided but not defined: -{name}"));
    };
    let value = match (flag.kind, value) {
        (Kind::Switch, None | Some("")) => "true".to_owned(),
        (_, Some(value)) => value.to_owned(),
        (_, None) => match rest.next() {
            Some(value) => value,
            None => return Step::Wrong(format!("flag needs an argument: {arg}")),
        },
    };
    let fits = match flag.kind {
        Kind::Switch => truth(&value).is_some(),
        Kind::Number | Kind::Numbers => value.parse::<i64>().is_ok(),
        Kind::Duration => duration::parse(&value).is_some(),
        Kind::Text | Kind::Texts => true,
    };
    if !fits {
        return Step::Wrong(format!("invalid value {value:?} for flag -{name}: parse error"));
    }
    matches.put(flag, value);
    Step::Taken
}

impl Grammar {
    /// The command that is called `name`.
    pub(crate) fn command(&'static self, name: &str) -> Option<&'static Command> {
        self.commands.iter().find(|command| command.name == name)
    }

    fn topic(&'static self, name: Option<String>) -> Outcome {
        match name {
            None => Outcome::Help(None),
            Some(name) if name == "help" || name == "h" => Outcome::Help(None),
            Some(name) => match self.command(&name) {
                Some(command) => Outcome::Help(Some(command)),
                None => Outcome::NoTopic(name),
            },
        }
    }
}
