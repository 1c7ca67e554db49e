//! A shim as its containerd speaks to it: ttrpc over its socket, one call at a time, messages put together by hand. It
//! must never know more of protobuf than strings and nested messages.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::shell::Shell;

/// A connection to a shim.
#[derive(Debug)]
pub struct Ttrpc {
    /// For bytes that are no call.
    pub stream: UnixStream,
    next: u32,
}

impl Ttrpc {
    /// Connects to the shim with that pid, whose socket is in the shell's room.
    pub fn connect(shell: &Shell, pid: &str) -> Self {
        let inodes = shell.output(&format!(
            r"readlink /proc/{pid}/fd/* | sed -n 's/socket:.\([0-9]*\)./\1/p' | tr '\n' ' '"
        ));
        let table = shell.output(&format!("grep /run/containerd/s/ /proc/{pid}/net/unix"));
        let column = |line: &str, number| line.split_whitespace().nth(number).unwrap_or_default().to_owned();
        // __SO_ACCEPTCON: of the sockets with that name, the one that listens.
        let ours = |line: &&str| {
            inodes.split(' ').any(|inode| column(line, 6) == inode) && column(line, 3) == "00010000"
        };
        let path = column(table.lines().find(ours).expect("the shim listens"), 7);
        let stream = UnixStream::connect(format!("/proc/{pid}/root{path}")).expect("connect to the shim");
        Self { stream, next: 1 }
    }

    /// A request of the task service as it goes over the wire: length, stream, type, flags, message.
    pub fn request(stream: u32, method: &str, payload: &[u8]) -> Vec<u8> {
        let service = field(1, b"containerd.task.v2.Task");
        let message = [service, field(2, method.as_bytes()), field(3, payload)].concat();
        let length = u32::try_from(message.len()).expect("invariant: short");
        [&length.to_be_bytes()[..], &stream.to_be_bytes(), &[1, 0], &message].concat()
    }

    /// Calls a method; what was answered, with the status if there is one.
    pub fn call(&mut self, method: &str, payload: &[u8]) -> Vec<u8> {
        self.stream.write_all(&Self::request(self.next, method, payload)).expect("ask the shim");
        self.next += 2;
        let mut header = [0; 10];
        self.stream.read_exact(&mut header).expect("read the answer's header");
        let [a, b, c, d, ..] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).expect("invariant: 32 bits fit");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).expect("read the answer");
        answer
    }

    /// Runs a command in a container as containerd does, by five calls, to its end.
    pub fn exec(&mut self, id: &str, exec_id: &str, process: &str) {
        let both = [field(1, id.as_bytes()), field(2, exec_id.as_bytes())].concat();
        let spec = [
            field(1, b"types.containerd.io/opencontainers/runtime-spec/1/Process"),
            field(2, process.as_bytes()),
        ];
        let exec = [both.clone(), field(7, &spec.concat())].concat();
        for (method, payload) in
            [("Exec", &exec), ("State", &both), ("Start", &both), ("Wait", &both), ("Delete", &both)]
        {
            let answer = self.call(method, payload);
            // A response's first field is its status: left out or empty for a call that has worked.
            let refused = matches!(answer[..], [0x0a, length, ..] if length > 0);
            assert!(!refused, "{method}: {}", String::from_utf8_lossy(&answer));
        }
    }
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap_or_default());
    field.extend_from_slice(bytes);
    field
}
