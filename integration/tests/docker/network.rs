//! Networks: the bridge, published ports, names, none.

use crate::{DOCKER, asleep};

#[track_caller]
fn server<'a>(name: &str, flags: &str) -> integration::engine::Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --name {container} {flags} busybox httpd -f -p 80 -h /www"));
    container
}

#[track_caller]
fn address(name: &str) -> String {
    DOCKER.output(&format!("docker inspect -f '{{{{.NetworkSettings.IPAddress}}}}' {name}"))
}

#[test]
fn without_a_network_there_is_only_loopback_and_it_is_up() {
    DOCKER.prints("docker run --rm --net none busybox ls /sys/class/net", "lo");
    DOCKER.prints(
        "docker run --rm --net none busybox sh -c 'ip -4 -o addr show lo | tr -s \" \" | cut -d\" \" -f4'",
        "127.0.0.1/8",
    );
    DOCKER
        .prints("docker run --rm --net none busybox ping -q -c 1 127.0.0.1 | grep -c ' 0% packet loss'", "1");
}

#[test]
fn containers_on_the_bridge_reach_each_other() {
    let web = server("net-web", "");
    let address = address(&web.to_string());
    DOCKER.comes_to(&format!("docker run --rm busybox wget -qO- http://{address}/"), "a page");
    DOCKER
        .prints(&format!("docker run --rm busybox ping -q -c 1 {address} | grep -c ' 0% packet loss'"), "1");
}

#[test]
fn a_published_port_is_reached_from_the_host() {
    let _web = server("net-published", "-p 18080:80");
    DOCKER.comes_to("busybox wget -qO- http://127.0.0.1:18080/", "a page");
    DOCKER.prints("docker port net-published 80 | head -n 1", "0.0.0.0:18080");
}

#[test]
fn names_are_known_on_a_network_of_the_users_own() {
    DOCKER.output("docker network create net-named");
    let web = server("net-named-web", "--net net-named --network-alias shop");
    DOCKER.comes_to(&format!("docker run --rm --net net-named busybox wget -qO- http://{web}/"), "a page");
    DOCKER.prints("docker run --rm --net net-named busybox wget -qO- http://shop/", "a page");
    drop(web);
    DOCKER.output("docker network rm net-named");
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let name = asleep("net-connect", "");
    DOCKER.output("docker network create net-second");
    DOCKER.output(&format!("docker network connect net-second {name}"));
    DOCKER.prints(&format!("docker exec {name} ls /sys/class/net"), "eth0\neth1\nlo");
    DOCKER.output(&format!("docker network disconnect net-second {name}"));
    DOCKER.prints(&format!("docker exec {name} ls /sys/class/net"), "eth0\nlo");
    DOCKER.output("docker network rm net-second");
}

#[test]
fn hosts_and_resolver_files_are_those_of_docker() {
    DOCKER.prints("docker run --rm --add-host mast:10.1.2.3 busybox grep mast /etc/hosts", "10.1.2.3\tmast");
    DOCKER.prints("docker run --rm --dns 10.9.8.7 busybox grep -c 10.9.8.7 /etc/resolv.conf", "1");
    DOCKER.prints("docker run --rm -h mast busybox cat /etc/hostname", "mast");
}

#[test]
fn a_fixed_hardware_address() {
    DOCKER.prints(
        "docker run --rm --mac-address 02:42:00:00:be:ef busybox cat /sys/class/net/eth0/address",
        "02:42:00:00:be:ef",
    );
}
