//! What is the host's own stays the host's: namespaces that are joined by path, kernel parameters, the mount table.

use std::fs;

use integration::Bundle;
use integration::host_mounts::HostMounts;
use integration::stand_in_lacks;
use serde_json::json;

/// A path of one of the host's namespaces: those that this test is in.
fn hosts(name: &str) -> String {
    format!("/proc/{}/ns/{name}", std::process::id())
}

/// Every mount of a container that joins the host's own mount namespace would be made on the host, and its pivot would
/// take the host's root away.
#[test]
fn the_hosts_mount_namespace_is_not_joined() {
    if stand_in_lacks("runc 1.1.5 pivots the host") {
        return;
    }
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for path in ["/proc/self/ns/mnt".to_owned(), hosts("mnt")] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.join("mount", &path);
        runtime.run(&bundle).refuses(&["mount namespace to join is the host's own"]);
        runtime.leaves_nothing(bundle.id());
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

/// A namespace that is joined by path may be the host's: then its kernel parameters and names are the host's too.
#[test]
fn parameters_of_a_joined_namespace_of_the_host_are_refused() {
    for (kind, file, name, value) in [
        ("network", "net", "net.ipv4.ip_forward", "1"),
        ("network", "net", "net/ipv4/ip_default_ttl", "77"),
        ("ipc", "ipc", "kernel.shmmni", "4097"),
        ("ipc", "ipc", "fs.mqueue.msg_max", "11"),
        ("uts", "uts", "kernel.domainname", "evil"),
    ] {
        if kind != "network" && stand_in_lacks("runc asks for the network alone") {
            return;
        }
        let parameter = format!("/proc/sys/{}", name.replace('.', "/"));
        let before = fs::read_to_string(&parameter).ok();
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.join(kind, &hosts(file)).remove("/hostname");
        bundle.set("/linux/sysctl", json!({name: value}));
        runtime.run(&bundle).refuses(&[name]);
        assert_eq!(fs::read_to_string(&parameter).ok(), before, "{name} of the host was changed");
        runtime.leaves_nothing(bundle.id());
    }
}

/// And so would be its name.
#[test]
fn a_host_that_is_joined_is_not_renamed() {
    if stand_in_lacks("runc renames it") {
        return;
    }
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.join("uts", &hosts("uts")).set("/hostname", json!("evil"));
    runtime.run(&bundle).refuses(&["UTS namespace to join is the host's own"]);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

/// On a host whose whole tree is shared, as systemd leaves it, no mount of a container travels out, and none is left.
#[test]
fn no_mount_travels_to_a_host_that_shares_all() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    bundle.mount("/mnt/a/b", "bind", &source, &["rbind"]).mount("/mnt/c", "tmpfs", "tmpfs", &[]);
    bundle.set("/linux/rootfsPropagation", json!("rslave"));
    bundle.probe(&["exit", "0"]).write();
    let table = bundle.make_beside("table").display().to_string();
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(
        "look() { cat /proc/self/mountinfo >$T/$1; }; look 0
         \"$@\" create --bundle $B $N && look 1 && \"$@\" start $N && look 2 && \"$@\" delete --force $N && look 3",
    );
    let call = runtime.command(&[]);
    command.arg("sh").arg(call.get_program()).args(call.get_args());
    command.env("T", &table).env("B", bundle.path()).env("N", bundle.id()).stdin(std::process::Stdio::null());
    HostMounts::new().change("/", libc::MS_REC | libc::MS_SHARED).apply(&mut command);
    runtime.finish(command).ok();
    let look = |moment: u8| fs::read_to_string(format!("{table}/{moment}")).unwrap();
    assert!(look(0).contains("shared:"), "the host of this test shares nothing");
    for moment in 1..=3 {
        assert_eq!(look(moment), look(0), "at moment {moment}");
    }
}
