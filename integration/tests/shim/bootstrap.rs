//! The shim's own command line, as containerd uses it, and what an idle shim is.

use crate::{CTR, asleep, shim_of};

/// The shim under test, for a shell line.
const SHIM: &str = "$(dirname $PINNACE)/containerd-shim-pinnace-v2";

#[test]
fn version_and_features() {
    assert!(CTR.output(&format!("{SHIM} -v")).contains("Version:"));
    let info = CTR.output(&format!("{SHIM} -info </dev/null | tr -d '\\0'"));
    assert!(info.contains("types.containerd.io/opencontainers/runtime-spec/1/features/Features"), "{info}");
    assert!(info.contains(r#""ociVersionMin":"1.0.0""#) && info.contains(r#""rro""#), "{info}");
}

#[test]
fn a_mistake_says_so_and_starts_nothing() {
    CTR.fails(&format!("{SHIM} start"), 1, &["-namespace and -id"]);
    CTR.fails(&format!("{SHIM} -what start"), 1, &["-what"]);
}

#[test]
fn delete_of_what_is_not_there_answers() {
    // pid 0, status 137 (varint 0x89 0x01), a time.
    let answer = "mkdir -p $ROOM/nothing && cd $ROOM/nothing && \
                  $SHIM -namespace n -id never-was -bundle $ROOM/nothing delete | head -c 3 | od -An -tx1 | tr -d ' '";
    CTR.prints(&answer.replace("$SHIM", SHIM), "108901");
}

#[test]
fn a_shim_is_one_thread_and_holds_nothing_of_containerd_s() {
    let name = asleep("idle", "");
    let shim = CTR.output(&shim_of("idle"));
    CTR.prints(&format!("grep '^Threads' /proc/{shim}/status"), "Threads:\t1");
    // Its executable can't be written: containers reach it as theirs (CVE-2019-5736).
    CTR.fails(&format!("chmod 755 /proc/{shim}/exe"), 1, &["Read-only file system"]);
    // The socket is for nobody else.
    CTR.prints("stat -c %a /run/containerd/s /run/containerd/s/* | sort -u | tr '\\n' ' '", "600 700");
    drop(name);
    CTR.comes_to(&format!("{} || true", shim_of("idle")), "");
}

#[test]
fn containers_of_a_group_share_a_shim() {
    let group = "--annotation io.containerd.runc.v2.group=pod";
    let flags = |name: &str| format!("{group} --label name={name}");
    if CTR.sh("ctr run --help | grep -q annotation").code != 0 {
        return integration::skip("this ctr has no --annotation");
    }
    let (_first, second) = (asleep("group-1", &flags("1")), asleep("group-2", &flags("2")));
    CTR.prints(&format!("{} | wc -l", shim_of("group-.")), "1");
    CTR.output(&format!("ctr task rm --force {second}"));
    CTR.prints("ctr task ls -q | grep group-1", "group-1");
}

#[test]
fn other_containers_are_seen_by_the_command() {
    let name = asleep("seen", "");
    let root = format!("/run/containerd/pinnace/{}", CTR.room().cgroup().trim_start_matches('/'));
    CTR.output(&format!("$PINNACE --root {root} state {name} | grep '\"status\": \"running\"'"));
    CTR.prints(&format!("$PINNACE --root {root} exec {name} echo inside"), "inside");
}
