//! A stream of the CRI, by WebSocket: what `kubectl exec`, `attach` and `port-forward` have in the end. The channel is
//! the first byte of each message (k8s.io/apimachinery, `v4.channel.k8s.io`). It must never wait without a limit.

use std::net::TcpStream;

use integration::engine::Containerd;
use integration::host::LIMIT;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Bytes, Message, WebSocket};

/// The channels of exec and attach.
pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;

/// An open stream.
pub struct Stream {
    socket: WebSocket<TcpStream>,
    seen: [Vec<u8>; 5],
    open: bool,
}

impl Stream {
    /// Opens what a request was answered with.
    pub fn open(engine: &Containerd, url: &str) -> Self {
        let url = url.replacen("http://", "ws://", 1);
        let mut request = url.as_str().into_client_request().expect("a URL of the CRI");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", "v4.channel.k8s.io".parse().expect("invariant: a header"));
        let stream = engine.room().connect(request.uri().authority().expect("a host and port").as_str());
        stream.set_read_timeout(Some(LIMIT)).expect("limit the time of reads");
        let (socket, _) = tungstenite::client(request, stream).expect("become a WebSocket");
        Self { socket, seen: std::array::from_fn(|_| Vec::new()), open: true }
    }

    /// Sends bytes on a channel.
    pub fn send(&mut self, channel: u8, bytes: &[u8]) {
        let message: Vec<u8> = [&[channel], bytes].concat();
        self.socket.send(Message::Binary(Bytes::from(message))).expect("send a message");
    }

    /// Reads until a channel has said this, or the stream ends; all that the channel has said.
    pub fn until(&mut self, channel: u8, text: &str) -> String {
        while self.open && !self.said(channel).contains(text) {
            self.read();
        }
        self.said(channel)
    }

    /// Reads until the stream ends; all that a channel has said.
    pub fn rest(&mut self, channel: u8) -> String {
        while self.open {
            self.read();
        }
        self.said(channel)
    }

    fn said(&self, channel: u8) -> String {
        String::from_utf8_lossy(&self.seen[usize::from(channel)]).into_owned()
    }

    fn read(&mut self) {
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => {
                let (channel, rest) = bytes.split_first().expect("a channel in each message");
                self.seen[usize::from(*channel)].extend_from_slice(rest);
            }
            Ok(Message::Close(_)) => self.open = false,
            Ok(_) => (),
            Err(tungstenite::Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
                panic!(
                    "nothing more within {LIMIT:?}, after {:?}",
                    self.seen.each_ref().map(|all| String::from_utf8_lossy(all))
                )
            }
            Err(_) => self.open = false,
        }
    }
}
