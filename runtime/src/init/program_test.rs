//! Environment, home and lookup of a program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn dir_of(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinnace-{test}-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    dir
}

fn env(list: &[&str]) -> Vec<String> {
    list.iter().map(|&pair| pair.to_owned()).collect()
}

#[test]
fn last_duplicate_wins_in_its_own_place_and_home_is_added() {
    let cases: [(&[&str], &[&str]); 8] = [
        (&[], &["HOME=/home/x"]),
        (&["A=1", "B=2", "A=3"], &["B=2", "A=3", "HOME=/home/x"]),
        (&["HOME=/override", "A=1"], &["HOME=/override", "A=1"]),
        (&["HOME=", "A=1"], &["A=1", "HOME=/home/x"]),
        (&["HOME=/override", "HOME="], &["HOME=/home/x"]),
        (&["HOME=", "HOME=/override"], &["HOME=/override"]),
        (&["ONE=two", "ONE=", "L=a\nb", "E=a=b"], &["ONE=", "L=a\nb", "E=a=b", "HOME=/home/x"]),
        (&["HOMER=1"], &["HOMER=1", "HOME=/home/x"]),
    ];
    for (given, kept) in cases {
        assert_eq!(
            environment_in(&env(given), || Some("/home/x".to_owned())).unwrap(),
            env(kept),
            "{given:?}"
        );
    }
    assert_eq!(environment_in(&[], || None).unwrap(), ["HOME=/"]);
    for (pair, why) in
        [("NAME", "missing '='"), ("=x", "name cannot be empty"), ("", "missing"), ("A=\0", "nul byte")]
    {
        let error = environment_in(&env(&["OK=1", pair]), || None).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn home_is_that_of_the_first_user_with_the_id() {
    let dir = dir_of("home");
    let passwd = dir.join("passwd");
    fs::write(
        &passwd,
        "# comment\n\nbroken\nx:x:abc:0::/wrong:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n\
         again:x:0:0::/second:/bin/sh\nshort:x:7:7\nempty:x:8:8:::\nrel:x:9:9::home:\nlast:x:1000:100::/home/last",
    )
    .unwrap();
    let home_of = |uid| home(&passwd, Uid::new(uid).unwrap());
    assert_eq!(home_of(0).as_deref(), Some("/root"));
    assert_eq!(home_of(1000).as_deref(), Some("/home/last"));
    for uid in [7, 8, 9, 5] {
        assert_eq!(home_of(uid), None, "{uid}");
    }
    assert_eq!(home(&dir.join("none"), Uid::ROOT), None);
    // A FIFO must not make us wait for a writer.
    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(home(&fifo, Uid::ROOT), None);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn lookup_speaks_as_engines_expect() {
    let dir = dir_of("find");
    let tool = dir.join("tool");
    fs::write(&tool, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let plain = dir.join("plain");
    fs::write(&plain, "").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(dir.join("sub")).unwrap();
    let shown = dir.display();
    let path = env(&[&format!("PATH=/nowhere:{shown}")]);
    let error = |name: &str, env: &[String]| find(name, env).unwrap_err().to_string();

    assert_eq!(find("tool", &path).unwrap(), tool);
    assert_eq!(find(tool.to_str().unwrap(), &[]).unwrap(), tool);
    assert!(find("sh", &[]).unwrap().is_absolute(), "without PATH the usual directories are searched");
    for name in ["none", "plain", "sub", "", ".", ".."] {
        let error = error(name, &path);
        assert!(error.starts_with(&format!("exec: {name:?}: executable file not found in $PATH")), "{error}");
    }
    assert!(error("tool", &env(&["PATH="])).contains("executable file not found in $PATH; PATH is empty"));
    let none = format!("{shown}/none");
    assert_eq!(error(&none, &path), format!("exec: \"{none}\": stat {none}: no such file or directory"));
    let denied = error(&format!("{shown}/plain"), &path);
    assert_eq!(denied, format!("exec: \"{shown}/plain\": permission denied; its mode is 0644: chmod +x it"));
    let directory = error(&format!("{shown}/sub"), &path);
    assert_eq!(directory, format!("exec: \"{shown}/sub\": is a directory: permission denied"));
    let under = format!("{shown}/plain/x");
    assert_eq!(error(&under, &path), format!("exec: \"{under}\": stat {under}: not a directory"));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_relative_path_entry_is_refused_when_it_would_be_used() {
    // The tests run in the crate's directory, where nothing is executable but what cargo builds.
    let error = find("Cargo.toml", &env(&["PATH=:."])).unwrap_err().to_string();
    assert!(error.contains("not found in $PATH"), "{error}");
}

#[test]
fn execute_explains_itself() {
    let dir = dir_of("execute");
    let script = dir.join("script");
    for (text, ending) in [
        (
            "#!/no/such/shell\n",
            "no such file or directory; its interpreter /no/such/shell is not in the container",
        ),
        (
            "echo\n",
            "exec format error; it is neither an ELF program nor a script: a script begins with #!/bin/sh or the like",
        ),
        (
            "#!/bin/sh\r\n",
            "no such file or directory; its first line ends with CR LF: convert its line ends to LF (dos2unix)",
        ),
        ("", "exec format error; it is empty"),
    ] {
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        // A test beside this one may fork while the script is still open for writing here.
        let error = loop {
            let error = execute(&script, &env(&["script"]), &[]).to_string();
            if !error.contains("text file busy") {
                break error;
            }
        };
        assert_eq!(error, format!("exec {}: {ending}", script.display()));
    }
    assert!(execute(&script, &env(&["a\0b"]), &[]).to_string().contains("nul byte"));
    fs::remove_dir_all(dir).unwrap();
}
