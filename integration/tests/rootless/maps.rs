//! More ids than the user's own: newuidmap and newgidmap vouch for them.

use integration::skip;
use serde_json::json;

use super::Home;

/// An ordinary user with 65536 subordinate ids of each kind: his id, and the first of them.
pub(super) fn subordinate() -> Option<(u32, u32)> {
    let first = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
            (owner == name && count.parse::<u32>().ok()? >= 65_536)
                .then(|| first.parse::<u32>().ok())
                .flatten()
        })
    };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        let (uids, gids) = (first("/etc/subuid", name)?, first("/etc/subgid", name)?);
        (uid != 0 && uids == gids).then_some((uid, uids))
    })
}

#[test]
fn several_lines() {
    let Some((uid, sub)) = subordinate() else { return skip("no user of this host has subordinate ids") };
    let mut home = Home::of(uid);
    home.map(&json!([
        {"containerID": 0, "hostID": uid, "size": 1},
        {"containerID": 1, "hostID": sub, "size": 65_535}
    ]));
    let pid = home.start(&[]);
    let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    let numbers: Vec<u32> = map.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(numbers, [0, uid, 1, 1, sub, 65_535]);
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/setgroups")).unwrap().trim(), "allow");
    // Somebody else than root inside.
    let outcome = home.call(&["exec", "--user", "1000:1000", home.id(), "/bin/busybox", "id", "-u"]).ok();
    assert_eq!(outcome.stdout.trim(), "1000");
    home.delete();
    home.runtime().leaves_nothing(home.id());
}

#[test]
fn ids_that_are_not_his() {
    if subordinate().is_none() && !std::path::Path::new("/usr/bin/newuidmap").exists() {
        return skip("no newuidmap here");
    }
    let mut home = Home::new();
    home.map(&json!([{"containerID": 0, "hostID": 0, "size": 1}]));
    home.call(&["run", home.id()]).refuses(&["newgidmap", "/etc/subgid"]);
    home.runtime().leaves_nothing(home.id());
}
