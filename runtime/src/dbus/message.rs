//! One D-Bus message: a method call as bytes, and what comes back as far as a caller needs it (D-Bus specification,
//! message protocol). Never trusts a length that it has not checked.

use super::value::{Value, length, pad, put_array, put_signature, put_string, put_u32};

/// Longest message that is read; what systemd answers has some hundred bytes.
const LONGEST: usize = 1 << 20;
/// The marker of this machine's byte order.
const ORDER: u8 = if cfg!(target_endian = "little") { b'l' } else { b'B' };

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Signal,
    /// A call to us, or what later versions of the protocol may bring.
    Other,
}

/// A method to call.
#[derive(Clone, Copy, Debug)]
pub struct Method<'a> {
    /// Whom to ask, by bus name.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
}

/// A message that has come.
#[derive(Debug)]
pub struct Message {
    pub(super) kind: Kind,
    /// The serial of the call that it answers.
    pub(super) answers: u32,
    /// The signal's name.
    pub member: String,
    /// The error's name.
    pub error: String,
    signature: String,
    body: Vec<u8>,
}

/// The bytes of a call. For a service that is about to come the bus keeps it: a user's systemd comes to his bus some
/// moments after he does.
pub(super) fn call(serial: u32, method: Method<'_>, arguments: &[Value]) -> Vec<u8> {
    let (mut signature, mut body) = (String::new(), Vec::new());
    for argument in arguments {
        argument.sign(&mut signature);
        argument.put(&mut body);
    }
    let mut out = Vec::with_capacity(256 + body.len());
    // METHOD_CALL, no flags, protocol version 1.
    out.extend([ORDER, 1, 0, 1]);
    put_u32(&mut out, length(body.len()));
    put_u32(&mut out, serial);
    put_array(&mut out, "(yv)", |out| {
        for (code, kind, text) in [
            (1, "o", method.path),
            (2, "s", method.interface),
            (3, "s", method.member),
            (6, "s", method.destination),
        ] {
            pad(out, 8);
            out.push(code);
            put_signature(out, kind);
            put_string(out, text);
        }
        if !signature.is_empty() {
            pad(out, 8);
            out.push(8);
            put_signature(out, "g");
            put_signature(out, &signature);
        }
    });
    pad(&mut out, 8);
    out.extend(body);
    out
}

/// The length of the message that begins here, once enough of it has come. Err: this is no message that we read.
pub(super) fn whole(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let Some(head) = bytes.get(..16) else { return Ok(None) };
    let mut reader = Reader { bytes: head, at: 4 };
    let (Some(body), Some(_serial), Some(fields)) = (reader.u32(), reader.u32(), reader.u32()) else {
        return Err(());
    };
    let (body, fields) = (usize::try_from(body).map_err(drop)?, usize::try_from(fields).map_err(drop)?);
    if head[0] != ORDER || body > LONGEST || fields > LONGEST {
        return Err(());
    }
    Ok(Some(16 + fields.next_multiple_of(8) + body).filter(|length| bytes.len() >= *length))
}

impl Message {
    /// Reads one whole message. None: it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = match bytes.get(1)? {
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut reader = Reader { bytes, at: 12 };
        let end = 16 + usize::try_from(reader.u32()?).ok()?;
        let mut message = Self {
            kind,
            answers: 0,
            member: String::new(),
            error: String::new(),
            signature: String::new(),
            body: bytes.get(end.next_multiple_of(8)..)?.to_vec(),
        };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match (code, reader.signature()?.as_str()) {
                (5, "u") => message.answers = reader.u32()?,
                (3, "s") => message.member = reader.string()?,
                (4, "s") => message.error = reader.string()?,
                (8, "g") => message.signature = reader.signature()?,
                (_, "s" | "o") => drop(reader.string()?),
                (_, "u") => drop(reader.u32()?),
                (_, "g") => drop(reader.signature()?),
                _ => return None,
            }
        }
        Some(message)
    }

    /// Its arguments up to the first one that is neither text nor `u`, as text.
    pub fn arguments(&self) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut arguments = Vec::new();
        for kind in self.signature.chars() {
            let argument = match kind {
                's' | 'o' => reader.string(),
                'u' => reader.u32().map(|number| number.to_string()),
                _ => None,
            };
            match argument {
                Some(argument) => arguments.push(argument),
                None => break,
            }
        }
        arguments
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    /// Text of a known length and the zero behind it.
    fn text(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1).map(|_| text)
    }

    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.text(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Vec<u8> {
        let method =
            Method { destination: ":1.1", path: "/a", interface: "org.example.A", member: "JobRemoved" };
        let arguments = [Value::U32(7), "/job/7".into(), "x.scope".into(), Value::Bool(true)];
        let mut bytes = call(3, method, &arguments);
        bytes[1] = 4;
        bytes
    }

    #[test]
    fn read_back() {
        let bytes = reply();
        assert_eq!(whole(&bytes), Ok(Some(bytes.len())));
        assert_eq!(whole(&bytes[..bytes.len() - 1]), Ok(None));
        assert_eq!(whole(&bytes[..15]), Ok(None));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str(), message.answers), (Kind::Signal, "JobRemoved", 0));
        assert_eq!(message.arguments(), ["7", "/job/7", "x.scope"]);
    }

    #[test]
    fn whatever_comes_is_no_panic() {
        let bytes = reply();
        for at in 0..bytes.len() {
            for byte in [0, 1, b'g', 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                let _ = whole(&damaged);
                if let Some(message) = Message::parse(&damaged) {
                    message.arguments();
                }
            }
            let _ = Message::parse(&bytes[..at]);
        }
        assert_eq!(whole(&[0xff; 16]), Err(()));
    }

    #[test]
    fn fuzz() {
        crate::fuzz::run("bus", &[&reply()], |bytes| {
            let answer = Message::parse(bytes).map(|message| message.arguments());
            format!("{:?} {}", whole(bytes).map(|length| length.is_some()), answer.is_some())
        });
    }
}
