//! Which devices a container may use: the rules of config.json, in order, as one set of exceptions to one default.
//! Pure; the two languages of the kernel are `device_files` (v1) and `filter` (v2).
//!
//! The order of the rules counts in config.json (runtime-spec, config-linux.md#allowed-device-list) and in a v1 cgroup,
//! where a later `a` wipes out what was before. Replayed here, what is left has no order: either everything is denied
//! but the exceptions, or everything is allowed but the exceptions.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::spec::oci;

/// Character or block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Block,
    Char,
}

/// Some of read, write and mknod, with the bits of linux/bpf.h (`BPF_DEVCG_ACC_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Access(u8);

impl Access {
    pub(super) const MKNOD: Self = Self(1);
    pub(super) const READ: Self = Self(2);
    pub(super) const WRITE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Letters that mean nothing are passed over, as with runc: engines write "rwa".
    pub(super) fn parse(text: &str) -> Self {
        text.chars().fold(Self::default(), |all, letter| match letter {
            'r' => all.or(Self::READ),
            'w' => all.or(Self::WRITE),
            'm' => all.or(Self::MKNOD),
            _ => all,
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if !self.and(bit).is_empty() {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Devices: a type and numbers, of which None is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Devices {
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) kind: Type,
}

impl fmt::Display for Devices {
    /// As the files of cgroup v1 have it: `c 136:*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = if self.kind == Type::Char { 'c' } else { 'b' };
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

/// One rule. No devices named means all of them, with every access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    devices: Option<Devices>,
    access: Access,
}

/// What the rules come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// What holds for a device that no exception names.
    pub(super) allow: bool,
    /// Where the opposite holds, and for which access.
    pub(super) exceptions: BTreeMap<Devices, Access>,
}

/// What every container may use, whatever its rules say: mknod of anything (a node that may not be opened harms
/// nobody), the harmless nodes, terminals of its own, tun. runc allows the same; images and engines depend on it.
const ALWAYS: [(Type, Option<u32>, Option<u32>, Access); 11] = [
    (Type::Char, None, None, Access::MKNOD),
    (Type::Block, None, None, Access::MKNOD),
    (Type::Char, Some(1), Some(3), Access::ALL),
    (Type::Char, Some(1), Some(5), Access::ALL),
    (Type::Char, Some(1), Some(7), Access::ALL),
    (Type::Char, Some(1), Some(8), Access::ALL),
    (Type::Char, Some(1), Some(9), Access::ALL),
    (Type::Char, Some(5), Some(0), Access::ALL),
    (Type::Char, Some(5), Some(2), Access::ALL),
    (Type::Char, Some(10), Some(200), Access::ALL),
    (Type::Char, Some(136), None, Access::ALL),
];

impl Policy {
    /// Replays the rules of config.json and then [`ALWAYS`]. Without a rule everything is denied.
    pub(super) fn new(rules: &[oci::LinuxDeviceCgroup]) -> Result<Self> {
        let mut policy = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            policy.take(parse(index, rule)?)?;
        }
        for (kind, major, minor, access) in ALWAYS {
            policy.take(Rule { allow: true, devices: Some(Devices { major, minor, kind }), access })?;
        }
        Ok(policy)
    }

    /// Whether nothing is denied.
    pub(super) fn allows_all(&self) -> bool {
        self.allow && self.exceptions.is_empty()
    }

    fn take(&mut self, rule: Rule) -> Result<()> {
        let Some(devices) = rule.devices else {
            *self = Self { allow: rule.allow, exceptions: BTreeMap::new() };
            return Ok(());
        };
        if rule.allow == self.allow {
            return self.shrink(devices, rule.access);
        }
        let access = self.exceptions.entry(devices).or_default();
        *access = access.or(rule.access);
        Ok(())
    }

    /// Takes `access` out of the exception for exactly these devices. A wider exception can't get a hole: the kernel's
    /// v1 files ignore the wish without a word, so it is refused here, for both versions alike.
    fn shrink(&mut self, devices: Devices, access: Access) -> Result<()> {
        let Devices { major, minor, kind } = devices;
        for (major, minor) in [(None, minor), (major, None), (None, None)] {
            let wider = Devices { major, minor, kind };
            let overlap = self.exceptions.get(&wider).map_or(Access::default(), |a| a.and(access));
            if wider != devices && !overlap.is_empty() {
                return Err(Error::invalid(format!(
                    "apply device rule \"{devices} {access}\": cannot punch a hole in \"{wider} {overlap}\" of an earlier rule"
                )));
            }
        }
        if let Some(left) = self.exceptions.get_mut(&devices) {
            *left = left.without(access);
            if left.is_empty() {
                self.exceptions.remove(&devices);
            }
        }
        Ok(())
    }
}

fn parse(index: usize, rule: &oci::LinuxDeviceCgroup) -> Result<Rule> {
    let access = match rule.access().as_deref() {
        None | Some("") => {
            return Err(Error::invalid(format!("device access at {index} field cannot be empty")));
        }
        Some(text) => Access::parse(text),
    };
    let number = |what: &str, n: Option<i64>| match n {
        None | Some(-1) => Ok(None),
        Some(n) => u32::try_from(n).map(Some).map_err(|_| {
            Error::invalid(format!("device rule {index}: {what} number {n} is not a device number"))
        }),
    };
    let (major, minor) = (number("major", rule.major())?, number("minor", rule.minor())?);
    let kind = match rule.typ().unwrap_or_default() {
        oci::LinuxDeviceType::A => {
            return Ok(Rule { allow: rule.allow(), devices: None, access: Access::ALL });
        }
        oci::LinuxDeviceType::B => Type::Block,
        oci::LinuxDeviceType::C => Type::Char,
        other => return Err(Error::invalid(format!("invalid cgroup device type {:?}", other.as_str()))),
    };
    Ok(Rule { allow: rule.allow(), devices: Some(Devices { major, minor, kind }), access })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::spec::parse_resources;

    /// The policy of a list of `+c 1:3 rw` and `-a` words, through the same JSON as config.json.
    pub(in super::super) fn policy(words: &[&str]) -> Result<Policy> {
        let rules: Vec<String> = words.iter().map(|w| json(w)).collect();
        let json = format!(r#"{{"devices":[{}]}}"#, rules.join(","));
        Policy::new(&parse_resources(json.as_bytes()).unwrap().devices)
    }

    fn json(word: &str) -> String {
        let allow = word.starts_with('+');
        let parts: Vec<&str> = word[1..].split([' ', ':']).collect();
        let number = |key: &str, n: &str| if n == "*" { String::new() } else { format!(r#","{key}":{n}"#) };
        match parts[..] {
            ["a"] => format!(r#"{{"allow":{allow},"access":"rwm"}}"#),
            [kind, major, minor, access] => format!(
                r#"{{"allow":{allow},"type":"{kind}","access":"{access}"{}{}}}"#,
                number("major", major),
                number("minor", minor)
            ),
            _ => panic!("{word}"),
        }
    }

    /// The exceptions that are not [`ALWAYS`] there.
    fn own(policy: &Policy) -> Vec<String> {
        let always = Policy::new(&[]).unwrap().exceptions;
        let mine = policy.exceptions.iter().filter(|(devices, access)| always.get(devices) != Some(access));
        mine.map(|(devices, access)| format!("{devices} {access}")).collect()
    }

    #[test]
    fn order_counts() {
        for (rules, allow, exceptions) in [
            (&[][..], false, &[][..]),
            (&["-a"], false, &[]),
            (&["-a", "+c 10:229 rwm", "+b 8:* r"], false, &["b 8:* r", "c 10:229 rwm"]),
            // A later `a` forgets what was before.
            (&["+c 10:229 rwm", "-a"], false, &[]),
            (&["-a", "+c 10:229 r", "+c 10:229 w"], false, &["c 10:229 rw"]),
            (&["+c 10:229 rwm", "-c 10:229 w"], false, &["c 10:229 rm"]),
            (&["+c 10:229 rwm", "-c 10:229 rwm"], false, &[]),
            (&["+a", "-b 8:0 rw"], true, &["b 8:0 rw"]),
            (&["+a"], true, &[]),
            // Denying what nothing allows changes nothing.
            (&["-b 8:0 rwm"], false, &[]),
            // Types do not mix.
            (&["+b *:* r", "-c 8:0 r"], false, &["b *:* rm"]),
        ] {
            let policy = policy(rules).unwrap();
            assert_eq!(policy.allow, allow, "{rules:?}");
            assert_eq!(own(&policy), exceptions, "{rules:?}");
        }
        assert!(policy(&["+a"]).unwrap().allows_all());
        assert!(!policy(&["+a", "-b 8:0 rw"]).unwrap().allows_all());
    }

    #[test]
    fn always_allowed_even_after_a_deny() {
        let policy = policy(&["-a", "-c 1:3 rwm", "-c *:* m"]).unwrap();
        assert_eq!(policy, Policy::new(&[]).unwrap());
        // Never the host's console: 5:1 is not among them.
        assert!(!policy.exceptions.contains_key(&Devices {
            major: Some(5),
            minor: Some(1),
            kind: Type::Char
        }));
    }

    #[test]
    fn no_holes() {
        for rules in [
            &["+c 10:* rwm", "-c 10:229 w"][..],
            &["+c *:229 rwm", "-c 10:229 w"],
            &["+c *:* rw", "-c 10:* w"],
            // In a deny list a wider denial can't be allowed in part, not even by the list that is always allowed.
            &["+a", "-c 1:* rw"],
            &["+a", "-c *:* m"],
        ] {
            let result = policy(rules);
            if rules == ["+a", "-c *:* m"] {
                // Exactly the same devices: taken back.
                assert!(result.unwrap().allows_all());
            } else {
                assert!(result.unwrap_err().to_string().contains("cannot punch a hole"), "{rules:?}");
            }
        }
        assert!(policy(&["+c 10:* r", "-c 10:229 w"]).is_ok(), "no overlap");
    }

    #[test]
    fn refused() {
        for (json, text) in [
            (r#"{"allow":true,"type":"c"}"#, "device access at 0 field cannot be empty"),
            (r#"{"allow":true,"access":""}"#, "device access at 0 field cannot be empty"),
            (r#"{"allow":true,"type":"p","access":"r"}"#, "invalid cgroup device type \"p\""),
            (
                r#"{"type":"c","major":4294967296,"access":"r"}"#,
                "device rule 0: major number 4294967296 is not a device number",
            ),
            (
                r#"{"type":"c","minor":-2,"access":"r"}"#,
                "device rule 0: minor number -2 is not a device number",
            ),
        ] {
            let json = format!(r#"{{"devices":[{json}]}}"#);
            let rules = parse_resources(json.as_bytes()).unwrap().devices;
            assert_eq!(Policy::new(&rules).unwrap_err().to_string(), text);
        }
    }
}
