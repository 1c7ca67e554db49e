//! `completion bash`: a completion script, made of the tables. It is sourced, so it must define functions and nothing
//! else.

use std::fmt::Write as _;

use super::commands::GRAMMAR;
use super::grammar::{Flag, HELP, Kind};
use super::{Call, help, print};
use crate::error::{Error, Result};

/// Prints the script for a shell.
pub(crate) fn bash(call: &Call) -> Result<u8> {
    match call.matches.first() {
        "bash" => print(&script()).map(|()| 0),
        shell => Err(Error::invalid(format!("no completion for shell {shell:?}; there is one for bash"))),
    }
}

fn script() -> String {
    let mut script = String::from("# bash completion of pinnace; made by \"pinnace completion bash\"\n");
    let commands: Vec<&str> = help::shown().map(|command| command.name).collect();
    let takers = |flags: &[Flag]| -> String {
        let names = flags.iter().filter(|flag| flag.kind != Kind::Switch).flat_map(dashed);
        names.collect::<Vec<_>>().join("|")
    };
    script.push_str(
        "_pinnace() {\n    local cur=${COMP_WORDS[COMP_CWORD]} cmd= root= skip= word i flags= values=\n",
    );
    // The command is the first word that is neither a flag nor the value of one.
    let _ = write!(
        script,
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n        \
         word=${{COMP_WORDS[i]}}\n        \
         if [[ -n $skip ]]; then [[ $skip == --root ]] && root=$word; skip=; continue; fi\n        \
         case $word in\n            \
         {}) skip=$word ;;\n            \
         -*) ;;\n            \
         *) [[ -z $cmd ]] && cmd=$word ;;\n        \
         esac\n    \
         done\n",
        takers(GRAMMAR.global)
    );
    let _ = writeln!(script, "    flags='{}'", words(GRAMMAR.global.iter().chain([&HELP])));
    script.push_str("    case $cmd in\n");
    let _ = writeln!(script, "        '') values='{}' ;;", commands.join(" "));
    for command in help::shown() {
        let values = match command.name {
            "help" => commands.join(" "),
            "list" | "spec" | "features" | "create" | "run" => String::new(),
            _ => "IDS".to_owned(),
        };
        let own = words(command.flags.iter());
        let _ = writeln!(script, "        {}) flags+=' {own}' values='{values}' ;;", command.name);
    }
    script.push_str("    esac\n");
    script.push_str(
        "    if [[ $cur == -* ]]; then values=$flags\n    \
         elif [[ $values == IDS ]]; then values=$(pinnace ${root:+--root \"$root\"} list -q 2>/dev/null)\n    \
         fi\n    \
         COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n\
         }\n\
         complete -o default -F _pinnace pinnace\n",
    );
    script
}

fn words<'a>(flags: impl Iterator<Item = &'a Flag>) -> String {
    flags.filter(|flag| !flag.hidden()).flat_map(dashed).collect::<Vec<_>>().join(" ")
}

fn dashed(flag: &Flag) -> Vec<String> {
    let short = (!flag.short.is_empty()).then(|| format!("-{}", flag.short));
    [format!("--{}", flag.name)].into_iter().chain(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shown_flag_is_offered_and_no_hidden_one() {
        let script = script();
        for command in help::shown() {
            let line =
                script.lines().find(|l| l.trim_start().starts_with(&format!("{})", command.name))).unwrap();
            for flag in command.flags {
                assert_eq!(line.contains(&format!("--{}", flag.name)), !flag.hidden(), "{line}");
            }
        }
    }
}
