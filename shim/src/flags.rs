//! The command line as containerd gives it, in the style of Go's flag package: one dash or two, `-name value` or
//! `-name=value`, no abbreviations. Only reads.

use std::path::PathBuf;

use pinnace::error::{Error, Result};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Print the version.
    Version,
    /// Print what the runtime can do.
    Info,
    /// Start the process that serves, or find the one that does.
    Start,
    /// Clean up after a shim that is gone.
    Delete,
    /// Serve: what `start` starts.
    Serve,
}

/// What containerd has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub action: Action,
    pub namespace: String,
    pub id: String,
    /// containerd's own socket.
    pub address: String,
    pub bundle: Option<PathBuf>,
    pub debug: bool,
}

impl Flags {
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut flags = Self {
            action: Action::Serve,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: None,
            debug: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                flags.act(&word)?;
                break;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if matches!(name, "v" | "version" | "info" | "debug") {
                flags.switch(name, value.is_none_or(|value| matches!(value.as_str(), "1" | "t" | "true")));
                continue;
            }
            let value = value.or_else(|| words.next());
            flags.set(
                name,
                value.ok_or_else(|| Error::invalid(format!("flag needs an argument: -{name}")))?,
            )?;
        }
        if matches!(flags.action, Action::Start | Action::Delete | Action::Serve)
            && (flags.namespace.is_empty() || flags.id.is_empty())
        {
            return Err(Error::invalid("a shim is started by containerd, with -namespace and -id")
                .hint("-v shows the version"));
        }
        Ok(flags)
    }

    fn act(&mut self, word: &str) -> Result<()> {
        self.action = match word {
            "start" => Action::Start,
            "delete" => Action::Delete,
            other => return Err(Error::invalid(format!("unknown action {other:?}"))),
        };
        Ok(())
    }

    fn switch(&mut self, name: &str, on: bool) {
        match name {
            "debug" => self.debug = on,
            "info" if on => self.action = Action::Info,
            "v" | "version" if on => self.action = Action::Version,
            _ => {}
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "bundle" => self.bundle = Some(value.into()),
            // Of no use here: events go to TTRPC_ADDRESS, and the socket is handed on by descriptor.
            "publish-binary" | "socket" | "debug-socket" => {}
            _ => return Err(Error::invalid(format!("flag provided but not defined: -{name}"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_containerd_s_order() {
        let old = parse("-namespace k8s.io -address /c.sock -publish-binary /usr/bin/containerd -id a start");
        let old = old.unwrap();
        assert_eq!((old.action, old.namespace.as_str(), old.id.as_str()), (Action::Start, "k8s.io", "a"));
        assert_eq!(old.address, "/c.sock");
        let new = parse("-debug -namespace=k8s.io --id=a -bundle /b delete").unwrap();
        assert!(new.debug && new.bundle == Some("/b".into()) && new.action == Action::Delete);
        assert_eq!(parse("-namespace n -id i").unwrap().action, Action::Serve);
    }

    #[test]
    fn questions_need_no_id() {
        assert_eq!(parse("-v").unwrap().action, Action::Version);
        assert_eq!(parse("-info").unwrap().action, Action::Info);
    }

    #[test]
    fn mistakes() {
        for line in ["start", "-namespace n start", "-id", "-what x start", "-id a -namespace n stop"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
