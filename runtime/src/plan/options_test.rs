//! Tests of the mount option words. Tests only.

use super::*;

fn parsed(words: &[&str]) -> MountOptions {
    parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn table_is_sorted() {
    assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn names_are_those_of_runc() {
    let names: Vec<_> = names().collect();
    assert_eq!(names.len(), 33 + 8 + 18 + 1);
    assert!(!names.contains(&"idmap") && !names.contains(&"ridmap"));
    assert!(names.contains(&"tmpcopyup") && names.contains(&"rro"));
}

#[test]
fn attribute_words() {
    let table: [(&str, u64, u64); 16] = [
        ("nosuid", libc::MOUNT_ATTR_NOSUID, 0),
        ("suid", 0, libc::MOUNT_ATTR_NOSUID),
        ("nodev", libc::MOUNT_ATTR_NODEV, 0),
        ("dev", 0, libc::MOUNT_ATTR_NODEV),
        ("noexec", libc::MOUNT_ATTR_NOEXEC, 0),
        ("exec", 0, libc::MOUNT_ATTR_NOEXEC),
        ("nodiratime", libc::MOUNT_ATTR_NODIRATIME, 0),
        ("diratime", 0, libc::MOUNT_ATTR_NODIRATIME),
        ("nosymfollow", libc::MOUNT_ATTR_NOSYMFOLLOW, 0),
        ("symfollow", 0, libc::MOUNT_ATTR_NOSYMFOLLOW),
        ("noatime", libc::MOUNT_ATTR_NOATIME, libc::MOUNT_ATTR__ATIME),
        ("atime", 0, libc::MOUNT_ATTR__ATIME),
        ("strictatime", libc::MOUNT_ATTR_STRICTATIME, libc::MOUNT_ATTR__ATIME),
        ("nostrictatime", 0, libc::MOUNT_ATTR__ATIME),
        ("relatime", libc::MOUNT_ATTR_RELATIME, libc::MOUNT_ATTR__ATIME),
        ("norelatime", 0, libc::MOUNT_ATTR__ATIME),
    ];
    for (word, set, clear) in table {
        // What mount(2) in a remount takes as "leave the times alone" (man 2 mount, MS_REMOUNT).
        let chooses_atime = matches!(word, "noatime" | "strictatime" | "relatime" | "nodiratime");
        let plain = MountOptions { set, clear, chooses_atime, ..Default::default() };
        assert_eq!(parsed(&[word]), plain, "{word}");
        let recursive = MountOptions { recursive_set: set, recursive_clear: clear, ..Default::default() };
        assert_eq!(parsed(&[&format!("r{word}")]), recursive, "r{word}");
    }
    assert_eq!(parsed(&["rro"]).recursive_set, libc::MOUNT_ATTR_RDONLY);
    assert_eq!(parsed(&["rrw"]).recursive_clear, libc::MOUNT_ATTR_RDONLY);
    assert!(parsed(&["rro"]).super_flags.is_empty());
}

#[test]
fn propagation_words() {
    let table: [(&str, libc::c_ulong); 8] = [
        ("private", libc::MS_PRIVATE),
        ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
        ("slave", libc::MS_SLAVE),
        ("rslave", libc::MS_SLAVE | libc::MS_REC),
        ("shared", libc::MS_SHARED),
        ("rshared", libc::MS_SHARED | libc::MS_REC),
        ("unbindable", libc::MS_UNBINDABLE),
        ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
    ];
    for (word, flags) in table {
        assert_eq!(
            parsed(&[word]),
            MountOptions { propagation: vec![flags], ..Default::default() },
            "{word}"
        );
        assert_eq!(propagation(word), Some(flags));
    }
    assert_eq!(parsed(&["rprivate", "shared"]).propagation, [MS_PRIVATE | MS_REC, MS_SHARED]);
    assert_eq!(propagation("ro"), None);
}

#[test]
fn super_block_words() {
    for word in ["ro", "sync", "dirsync", "lazytime", "mand"] {
        assert_eq!(parsed(&[word]).super_flags, [word]);
    }
    for (word, opposite) in [("ro", "rw"), ("sync", "async"), ("lazytime", "nolazytime"), ("mand", "nomand")]
    {
        assert!(parsed(&[word, opposite]).super_flags.is_empty(), "{word},{opposite}");
        assert_eq!(parsed(&[opposite, word]).super_flags, [word]);
        assert_eq!(parsed(&["remount", opposite]).super_flags, [opposite]);
        assert_eq!(parsed(&[opposite, word, "remount"]).super_flags, [word]);
    }
    assert_eq!(parsed(&["sync", "ro", "sync"]).super_flags, ["ro", "sync"]);
}

#[test]
fn words_without_effect() {
    for word in ["defaults", "silent", "loud", "iversion", "noiversion", "", ","] {
        assert_eq!(parsed(&[word]), MountOptions::default(), "{word}");
    }
}

#[test]
fn kinds_of_mount() {
    assert!(parsed(&["bind"]).bind && !parsed(&["bind"]).recursive_bind);
    assert!(parsed(&["rbind"]).bind && parsed(&["rbind"]).recursive_bind);
    assert!(parsed(&["rbind", "bind"]).recursive_bind);
    assert!(parsed(&["tmpcopyup"]).copy_up);
    assert!(parsed(&["remount"]).remount);
    assert_eq!(parsed(&["idmap"]).idmap, Some(Idmap { recursive: false }));
    assert_eq!(parsed(&["idmap", "ridmap"]).idmap, Some(Idmap { recursive: true }));
    assert_eq!(parsed(&["bind"]).idmap, None);
}

#[test]
fn last_word_holds() {
    let rw = parsed(&["ro", "rw"]);
    assert_eq!((rw.set, rw.clear), (0, ATTR_RDONLY));
    let ro = parsed(&["rw", "ro"]);
    assert_eq!((ro.set, ro.clear), (ATTR_RDONLY, 0));
    let exec = parsed(&["noexec", "exec", "nosuid"]);
    assert_eq!((exec.set, exec.clear), (ATTR_NOSUID, ATTR_NOEXEC));
    // One field: two modes at once are EINVAL to the kernel.
    assert_eq!(parsed(&["noatime", "strictatime"]).set, ATTR_STRICTATIME);
    assert_eq!(parsed(&["strictatime", "relatime"]).set, ATTR_RELATIME);
    assert_eq!(parsed(&["noatime", "nostrictatime"]).set, ATTR_NOATIME);
    assert_eq!(parsed(&["noatime", "atime"]).set, 0);
    assert_eq!(parsed(&["rnoatime", "rstrictatime"]).recursive_set, ATTR_STRICTATIME);
    // A recursive word says nothing about the plain one.
    assert_eq!(parsed(&["rro", "rw"]).recursive_set, ATTR_RDONLY);
}

#[test]
fn everything_else_is_for_the_file_system() {
    let options = parsed(&["mode=755", "nosuid", "newinstance", "size=64k", "opt=a=b", "empty="]);
    let data: Vec<_> = options.data.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
    let expected = [
        ("mode", Some("755")),
        ("newinstance", None),
        ("size", Some("64k")),
        ("opt", Some("a=b")),
        ("empty", Some("")),
    ];
    assert_eq!(data, expected);
    assert!(parse(&["=x".to_owned()]).is_err());
}

#[test]
fn several_words_in_one_string() {
    let options = parsed(&["mode=755,size=1k,,nosuid"]);
    assert_eq!(options.data.len(), 2);
    assert_eq!(options.set, ATTR_NOSUID);
    let overlay = parsed(&[r"lowerdir=/a\,b:/c,upperdir=/u"]);
    assert_eq!(overlay.data[0], ("lowerdir".to_owned(), Some(r"/a\,b:/c".to_owned())));
    let label = parsed(&[r#"context="system_u:object_r:container_file_t:s0:c1,c2",mode=700"#]);
    let value = "system_u:object_r:container_file_t:s0:c1,c2";
    assert_eq!(label.data[0], ("context".to_owned(), Some(value.to_owned())));
    assert_eq!(label.data[1], ("mode".to_owned(), Some("700".to_owned())));
}

#[test]
fn docker_default_dev() {
    let dev = parsed(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
    assert_eq!(dev.set, ATTR_NOSUID | ATTR_STRICTATIME);
    assert_eq!(dev.clear, ATTR_ATIME);
    assert!(!dev.bind && dev.super_flags.is_empty());
}

#[test]
fn fuzz() {
    let seeds: [&[u8]; 4] = [
        b"nosuid\nnoexec\nnodev\nro\nrbind\nrslave\nmode=755\nsize=65536k",
        b"idmap=uids=0-100-10#10-200-5;gids=0-1-2\nrro\nrnosymfollow",
        b"lowerdir=/a:/b\\:c,upperdir=/d\nworkdir=/e,userxattr",
        b"bind\ntmpcopyup\nnostrictatime\nsource=a=b",
    ];
    crate::fuzz::run("mount-options", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let words: Vec<String> = text.split('\n').map(str::to_owned).collect();
        parse(&words).map_or_else(|error| error.to_string(), |options| format!("{options:?}"))
    });
}
