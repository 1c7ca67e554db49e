//! The client against a peer that each test writes: what it answers, when it hangs up, when it says nothing.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use super::*;

const NOBODY: Method<'_> = Method { destination: "a.b", path: "/a", interface: "a.b", member: "C" };

/// Connects to a listener of our own and hands over its side.
fn connected(name: &str, patience: Duration) -> (Bus, std::os::unix::net::UnixStream) {
    let path = std::env::temp_dir().join(format!("pinnace-dbus-{}-{name}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let bus = wait::block(Bus::connect(&Address::Direct(path.clone()), patience)).unwrap();
    std::fs::remove_file(path).unwrap();
    (bus, listener.accept().unwrap().0)
}

fn answer_to(serial: u32, kind: u8, text: &str) -> Vec<u8> {
    // A call is made into an answer: the path becomes REPLY_SERIAL.
    let mut body = Vec::new();
    Value::from(text).put(&mut body);
    let mut out = vec![if cfg!(target_endian = "little") { b'l' } else { b'B' }, kind, 1, 1];
    value::put_u32(&mut out, value::length(body.len()));
    value::put_u32(&mut out, 9);
    value::put_array(&mut out, "(yv)", |out| {
        value::pad(out, 8);
        out.push(5);
        value::put_signature(out, "u");
        value::put_u32(out, serial);
        value::pad(out, 8);
        out.push(if kind == 4 { 3 } else { 4 });
        value::put_signature(out, "s");
        value::put_string(out, "org.example.Word");
        value::pad(out, 8);
        out.push(8);
        value::put_signature(out, "g");
        value::put_signature(out, "s");
    });
    value::pad(&mut out, 8);
    out.extend(body);
    out
}

#[test]
fn a_login_an_answer_and_a_signal_in_pieces() {
    let (mut bus, mut peer) = connected("pieces", Duration::from_secs(20));
    let serial = bus.send(NOBODY, &[Value::U32(1)]);
    // All that it will say lies ready: a signal before the answer, too.
    peer.write_all(b"DATA\r\nOK 0123\r\n").unwrap();
    peer.write_all(&answer_to(0, 4, "early")).unwrap();
    peer.write_all(&answer_to(serial, 2, "done")).unwrap();
    let Answer::Done(message) = wait::block(bus.answer(serial)).unwrap() else { panic!("refused") };
    assert_eq!(message.arguments(), ["done"]);
    let signal = wait::block(bus.signal(|m| m.member == "org.example.Word")).unwrap();
    assert_eq!(signal.arguments(), ["early"]);
    let mut said = vec![0; LOGIN.len()];
    peer.read_exact(&mut said).unwrap();
    assert_eq!(said, LOGIN);
}

#[test]
fn a_refusal_has_a_name_and_a_text() {
    let (mut bus, mut peer) = connected("refusal", Duration::from_secs(20));
    let serial = bus.send(NOBODY, &[]);
    peer.write_all(b"DATA\r\nOK 0123\r\n").unwrap();
    peer.write_all(&answer_to(serial, 3, "no such unit")).unwrap();
    let Answer::Refused(name, text) = wait::block(bus.answer(serial)).unwrap() else { panic!("done") };
    assert_eq!((name.as_str(), text.as_str()), ("org.example.Word", "no such unit"));
}

#[test]
fn silence_ends_with_the_deadline() {
    let (mut bus, peer) = connected("silence", Duration::from_millis(50));
    let serial = bus.send(NOBODY, &[]);
    let error = wait::block(bus.answer(serial)).unwrap_err().to_string();
    assert!(error.ends_with("no answer within 50ms"), "{error}");
    drop(peer);
}

#[test]
fn a_peer_that_is_no_bus() {
    for (name, said, words) in [
        ("rejected", &b"REJECTED EXTERNAL\r\n"[..], "login: REJECTED EXTERNAL"),
        ("gone", b"DATA\r\n", "it hung up"),
        ("noise", b"DATA\r\nOK 1\r\n0123456789abcdef", "it sent no D-Bus message"),
    ] {
        let (mut bus, mut peer) = connected(name, Duration::from_secs(20));
        let serial = bus.send(NOBODY, &[]);
        wait::block(bus.flush()).unwrap();
        peer.write_all(said).unwrap();
        // What it was sent and has not read would make its hanging up a reset.
        let mut sink = vec![0; 4096];
        let _ = peer.read(&mut sink).unwrap();
        drop(peer);
        let error = wait::block(bus.answer(serial)).unwrap_err().to_string();
        assert!(error.ends_with(words), "{error}");
    }
}
