//! `linux.netDevices`: a device of the host is looked at by the parent, moved by the parent once the container has its
//! network namespace, and set up again by the container's own process. Moving takes a device's addresses away; the
//! permanent ones of global scope are given back (runtime-spec, config-linux.md#network-devices).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use super::netlink::{
    CREATE_ONLY, GET_ADDRESS, GET_LINK, NEW_ADDRESS, NEW_LINK, Route, attributes, link, number,
};
use crate::error::{Error, OrFail, Result};
use crate::spec::oci::LinuxNetDevice;

/// linux/if_link.h: IFLA_IFNAME, IFLA_NET_NS_FD.
const NAME: u16 = 3;
const NET_NS_FD: u16 = 28;

/// linux/if_addr.h: IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, and IFA_F_PERMANENT.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const FLAGS: u16 = 8;
const PERMANENT: u32 = 0x80;

/// linux/rtnetlink.h: RT_SCOPE_UNIVERSE.
const GLOBAL: u8 = 0;

/// Bytes of struct ifaddrmsg.
const IFADDR: usize = 8;

/// IFF_UP.
const UP: u32 = 1;

/// A device on its way.
#[derive(Debug)]
pub struct Device {
    name: String,
    /// Its name in the container.
    new_name: String,
    index: u32,
    addresses: Vec<Address>,
}

/// An address as the kernel tells it: the fixed part and what goes with it.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Family, prefix length, flags, scope.
    fixed: [u8; 4],
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Looks at the devices of the caller's network namespace. Changes nothing.
pub fn look(asked: &BTreeMap<String, LinuxNetDevice>) -> Result<Vec<Device>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut route = open()?;
    let addresses = route.dump(GET_ADDRESS, &[0; IFADDR]).or_fail("netlink", || "list network addresses")?;
    asked
        .iter()
        .map(|(name, device)| {
            let index = find(&mut route, name)
                .or_fail("netlink", || format!("link not found for interface {name} on runtime namespace"))?;
            let new_name = device.name().as_deref().filter(|name| !name.is_empty()).unwrap_or(name);
            let addresses = addresses.iter().filter_map(|payload| kept(payload, index)).collect();
            Ok(Device { name: name.clone(), new_name: new_name.to_owned(), index, addresses })
        })
        .collect()
}

/// Moves the devices into a network namespace, each under its new name, by one request: a device of the same name
/// on either side of the move is not in the way, only one that already has the new name there.
pub fn move_into(devices: &[Device], namespace: impl AsFd) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let mut route = open()?;
    let fd = namespace.as_fd().as_raw_fd().to_ne_bytes();
    for Device { name, new_name, index, .. } in devices {
        route
            .ask(NEW_LINK, 0, &link(*index, 0, UP), &[])
            .or_fail("netlink", || format!("fail to set link {name} down"))?;
        let attributes: [(u16, &[u8]); 2] = [(NAME, &terminated(new_name)), (NET_NS_FD, &fd)];
        route
            .ask(NEW_LINK, 0, &link(*index, 0, 0), &attributes)
            .or_fail("netlink", || format!("fail to move network device {name} as {new_name}"))
            .map_err(|error| match error.errno() {
                Some(Errno::EEXIST) => error.hint("the network namespace has a device of that name already"),
                Some(Errno::EINVAL) => {
                    error.hint("the kernel does not let this device change its network namespace")
                }
                _ => error,
            })?;
    }
    Ok(())
}

/// Gives the devices their addresses back and brings them up. In the container's network namespace.
pub fn set_up(devices: &[Device]) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let mut route = open()?;
    for Device { new_name, addresses, .. } in devices {
        let index = find(&mut route, new_name).or_fail("netlink", || {
            format!("link not found for interface {new_name} on the container's namespace")
        })?;
        for address in addresses {
            let fixed = [address.fixed, index.to_ne_bytes()].concat();
            let attributes: Vec<(u16, &[u8])> =
                address.attributes.iter().map(|(kind, data)| (*kind, data.as_slice())).collect();
            route
                .ask(NEW_ADDRESS, CREATE_ONLY, &fixed, &attributes)
                .or_fail("netlink", || format!("fail to set up an address of {new_name}"))?;
        }
        route
            .ask(NEW_LINK, 0, &link(index, UP, UP), &[])
            .or_fail("netlink", || format!("fail to set up interface {new_name}"))?;
    }
    Ok(())
}

fn open() -> Result<Route> {
    Route::open()
        .or_fail("socket", || "talk to the kernel about network devices")
        .map_err(|error: Error| error.hint("linux.netDevices needs a kernel with rtnetlink"))
}

fn find(route: &mut Route, name: &str) -> nix::Result<u32> {
    let answers = route.ask(GET_LINK, 0, &link(0, 0, 0), &[(NAME, &terminated(name))])?;
    answers.first().and_then(|payload| number(payload, 4)).ok_or(Errno::ENODEV)
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// The address in an RTM_NEWADDR message, if it is of that device and to be kept: what was set by hand and has a
/// meaning everywhere. Its label and its lifetime stay behind.
fn kept(payload: &[u8], index: u32) -> Option<Address> {
    let [family, prefix, flags, scope, ..] = *payload else { return None };
    let all: Vec<(u16, &[u8])> = attributes(payload.get(IFADDR..)?).collect();
    let more = all.iter().find(|(kind, _)| *kind == FLAGS).and_then(|(_, data)| number(data, 0));
    if number(payload, 4)? != index || more.unwrap_or(flags.into()) & PERMANENT == 0 || scope != GLOBAL {
        return None;
    }
    let attributes = all
        .into_iter()
        .filter(|(kind, _)| matches!(*kind, ADDRESS | LOCAL | BROADCAST))
        .map(|(kind, data)| (kind, data.to_vec()))
        .collect();
    Some(Address { fixed: [family, prefix, 0, scope], attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// struct ifaddrmsg and attributes, as the kernel sends them.
    fn told(index: u32, flags: u8, scope: u8, list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![2, 24, flags, scope];
        payload.extend_from_slice(&index.to_ne_bytes());
        for (kind, data) in list {
            payload.extend_from_slice(&u16::try_from(data.len() + 4).unwrap().to_ne_bytes());
            payload.extend_from_slice(&kind.to_ne_bytes());
            payload.extend_from_slice(data);
            payload.resize(payload.len().next_multiple_of(4), 0);
        }
        payload
    }

    #[test]
    fn only_permanent_global_addresses_of_the_device_are_kept() {
        let attributes: [(u16, &[u8]); 4] = [
            (ADDRESS, &[10, 0, 0, 1]),
            (LOCAL, &[10, 0, 0, 1]),
            (3, b"eth0\0"),
            (BROADCAST, &[10, 0, 0, 255]),
        ];
        let permanent = told(5, 0x80, GLOBAL, &attributes);
        let address = kept(&permanent, 5).unwrap();
        assert_eq!(address.fixed, [2, 24, 0, 0]);
        assert_eq!(
            address.attributes.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            [ADDRESS, LOCAL, BROADCAST]
        );
        assert_eq!(kept(&permanent, 6), None);
        assert_eq!(kept(&told(5, 0, GLOBAL, &attributes), 5), None, "it is leased");
        assert_eq!(kept(&told(5, 0x80, 254, &attributes), 5), None, "its scope is the host");
        // Flags that do not fit a byte come as an attribute, which counts.
        assert_eq!(kept(&told(5, 0x80, GLOBAL, &[(FLAGS, &[0, 0, 0, 0])]), 5), None);
        assert!(kept(&told(5, 0, GLOBAL, &[(FLAGS, &0x280_u32.to_ne_bytes())]), 5).is_some());
        assert_eq!(kept(&permanent[..3], 5), None);
    }
}
