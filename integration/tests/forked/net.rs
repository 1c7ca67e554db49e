//! Network devices from one namespace to another. Seen through ip(8), which is no part of the library.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::UdpSocket;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use pinnace::net::{devices, loopback_up};
use pinnace::spec::oci::LinuxNetDevice;
use serde_json::{Value, json};

use super::Case;

pub const CASES: &[Case] = &[
    ("net::the_loopback_device_is_up", the_loopback_device_is_up),
    ("net::a_device_moves_with_what_is_its_own", a_device_moves_with_what_is_its_own),
    ("net::a_name_that_is_taken_is_refused", a_name_that_is_taken_is_refused),
    ("net::a_device_that_is_not_there_is_named", a_device_that_is_not_there_is_named),
];

/// A network namespace of its own: this process is in it from now on.
fn new_namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    File::open("/proc/self/ns/net").unwrap()
}

fn ip(line: &str) -> Vec<u8> {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn asked(value: Value) -> BTreeMap<String, LinuxNetDevice> {
    serde_json::from_value(value).unwrap()
}

fn the_loopback_device_is_up() {
    new_namespace();
    let to_itself = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(b"there", socket.local_addr()?)?;
        Ok::<UdpSocket, std::io::Error>(socket)
    };
    assert!(to_itself().is_err(), "a new network namespace reaches nothing yet");
    loopback_up().unwrap();
    let socket = to_itself().unwrap();
    let mut buffer = [0; 8];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
    loopback_up().unwrap();
}

fn a_device_moves_with_what_is_its_own() {
    let outside = new_namespace();
    ip("link add outer type veth peer name other");
    ip("link set outer mtu 1789 address 00:11:22:33:44:55");
    for address in ["169.254.169.77/32", "10.9.8.7/24 brd +", "127.0.0.33", "fd00::5/64"] {
        ip(&format!("address add {address} dev outer"));
    }
    ip("address add 10.1.1.1/32 valid_lft 600 preferred_lft 600 dev outer");
    ip("link set outer up");
    let devices = devices::look(&asked(json!({ "outer": { "name": "inner" }, "other": {} }))).unwrap();
    let inside = new_namespace();
    setns(&outside, CloneFlags::CLONE_NEWNET).unwrap();
    devices::move_into(&devices, &inside).unwrap();
    setns(&inside, CloneFlags::CLONE_NEWNET).unwrap();
    devices::set_up(&devices).unwrap();

    let seen: Value = serde_json::from_slice(&ip("-json address show dev inner")).unwrap();
    let device = &seen[0];
    assert_eq!((&device["mtu"], &device["address"]), (&json!(1789), &json!("00:11:22:33:44:55")));
    assert!(device["flags"].as_array().unwrap().contains(&json!("UP")));
    let mut addresses: Vec<String> = device["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        // The kernel makes one of its own for each device that is up.
        .filter(|address| address["scope"] != "link")
        .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
        .collect();
    addresses.sort();
    // Neither the host's own address nor the leased one.
    assert_eq!(addresses, ["10.9.8.7/24", "169.254.169.77/32", "fd00::5/64"]);
    assert!(String::from_utf8_lossy(&ip("-json link show dev other")).contains("\"UP\""));
}

fn a_name_that_is_taken_is_refused() {
    let outside = new_namespace();
    ip("link add outer type veth peer name other");
    let devices = devices::look(&asked(json!({ "outer": { "name": "lo" } }))).unwrap();
    let inside = new_namespace();
    setns(&outside, CloneFlags::CLONE_NEWNET).unwrap();
    let error = devices::move_into(&devices, &inside).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EEXIST));
    assert!(error.to_string().starts_with("fail to move network device outer as lo: "), "{error}");
}

fn a_device_that_is_not_there_is_named() {
    new_namespace();
    let error = devices::look(&asked(json!({ "nosuch": {} }))).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENODEV));
    assert!(
        error.to_string().starts_with("link not found for interface nosuch on runtime namespace"),
        "{error}"
    );
}
