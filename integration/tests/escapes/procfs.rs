//! Class B: a procfs that is none, or not the one it should be.

use std::fs;

use integration::{Bundle, stand_in_lacks};
use serde_json::json;

/// CVE-2025-52881, CVE-2019-16884: a part of a procfs is on a procfs too, but what is written below /proc would land
/// elsewhere.
#[test]
fn a_part_of_a_procfs_is_not_taken_for_one() {
    if stand_in_lacks("runc 1.1.5 looks at the type alone") {
        return;
    }
    for (source, point) in [
        ("/proc/sys/kernel", "/proc"),
        ("/proc/self", "/proc"),
        ("/proc/sys/vm", "/proc/sys/net"),
        ("/proc", "/proc/sys"),
        ("/proc", "/proc/1"),
    ] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        if point == "/proc" {
            bundle.unmount("/proc");
        }
        bundle.mount(point, "bind", source, &["rbind"]);
        bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
        println!("{source} on {point}");
        runtime.run(&bundle).refuses(&["/proc"]);
        runtime.leaves_nothing(bundle.id());
    }
}

/// CVE-2025-52881, youki CVE-2025-62596: a parameter that is written into a false /proc/sys is lost, or worse.
#[test]
fn a_parameter_is_written_into_the_kernel_or_not_at_all() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let fake = bundle.make_beside("fake");
    fs::create_dir(fake.join("ipv4")).unwrap();
    fs::write(fake.join("ipv4/ip_forward"), "").unwrap();
    bundle.mount("/proc/sys/net", "bind", fake.to_str().unwrap(), &["rbind"]);
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    runtime.run(&bundle).refuses(&["/proc"]);
    assert_eq!(fs::read_to_string(fake.join("ipv4/ip_forward")).unwrap(), "");
    runtime.leaves_nothing(bundle.id());
}

/// CVE-2025-52881: what covers a parameter, as lxcfs covers files, is not what is written to.
#[test]
fn a_covered_procfs_is_still_the_one_that_is_written_to() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    // A whole procfs over the first one: that one is covered, and its parameters are those of the same namespaces.
    bundle.mount("/proc", "proc", "proc", &[]);
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    bundle.probe(&["see", "sysctl=net.ipv4.ip_forward"]);
    assert_eq!(runtime.see(&bundle)["sysctl"]["net.ipv4.ip_forward"], "1\n");
}
