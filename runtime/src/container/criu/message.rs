//! Messages of CRIU's RPC as they lie on the wire (Protocol Buffers): fields by number, written and read one by one.
//! A dozen numbers out of CRIU's images/rpc.proto need no generated code. Knows nothing of what they mean.

use protobuf::rt::WireType;
use protobuf::{CodedInputStream, CodedOutputStream};

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a truth value.
    pub fn flag(&mut self, field: u32, on: bool) {
        self.write(|out| out.write_bool(field, on));
    }

    /// Adds a truth value if it is true: absent is false.
    pub fn set(&mut self, field: u32, on: bool) {
        if on {
            self.flag(field, true);
        }
    }

    /// Adds a number.
    pub fn number(&mut self, field: u32, number: i32) {
        self.write(|out| out.write_int32(field, number));
    }

    /// Adds a text. CRIU's texts are paths, which need not be UTF-8.
    pub fn text(&mut self, field: u32, text: impl AsRef<[u8]>) {
        self.write(|out| out.write_bytes(field, text.as_ref()));
    }

    /// Adds another message.
    pub fn message(&mut self, field: u32, message: &Self) {
        self.text(field, &message.0);
    }

    fn write(&mut self, add: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>) {
        let mut out = CodedOutputStream::vec(&mut self.0);
        add(&mut out).and_then(|()| out.flush()).expect("invariant: a vector takes whatever is written");
    }
}

/// A message that was read.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(u32, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    /// Takes a message apart; `None` if it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = CodedInputStream::from_bytes(bytes);
        let mut fields = Vec::new();
        while let Some(tag) = input.read_raw_tag_or_eof().ok()? {
            let value = match WireType::new(tag & 7)? {
                WireType::Varint => Value::Number(input.read_raw_varint64().ok()?),
                WireType::LengthDelimited => Value::Bytes(input.read_bytes().ok()?),
                other => {
                    input.skip_field(other).ok()?;
                    continue;
                }
            };
            fields.push((tag >> 3, value));
        }
        Some(Self(fields))
    }

    /// A number; negative ones are written as 64 bits.
    pub fn number(&self, field: u32) -> Option<i32> {
        match self.last(field)? {
            Value::Number(number) => i32::try_from(number.cast_signed()).ok(),
            Value::Bytes(_) => None,
        }
    }

    /// A truth value; absent is false.
    pub fn flag(&self, field: u32) -> bool {
        matches!(self.last(field), Some(Value::Number(number)) if *number != 0)
    }

    /// A text.
    pub fn text(&self, field: u32) -> Option<String> {
        self.bytes(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A message in this one; an empty one if it is absent or can't be read.
    #[must_use]
    pub fn message(&self, field: u32) -> Self {
        self.bytes(field).and_then(Self::read).unwrap_or_default()
    }

    fn bytes(&self, field: u32) -> Option<&[u8]> {
        match self.last(field)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) => None,
        }
    }

    /// The last one of a field counts (protobuf.dev/programming-guides/encoding, "last one wins").
    fn last(&self, field: u32) -> Option<&Value> {
        self.0.iter().rev().find(|(number, _)| *number == field).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut inner = Message::default();
        inner.number(1, -1);
        let mut outer = Message::default();
        outer.flag(3, true);
        outer.set(4, false);
        outer.number(5, 300);
        outer.text(6, "text");
        outer.message(1000, &inner);
        let read = Fields::read(outer.as_bytes()).unwrap();
        assert!(read.flag(3) && !read.flag(4));
        assert_eq!((read.number(4), read.number(5)), (None, Some(300)));
        assert_eq!(read.text(6).as_deref(), Some("text"));
        assert_eq!(read.message(1000).number(1), Some(-1));
        assert!(read.message(6).number(1).is_none());
    }

    #[test]
    fn bytes_are_those_of_the_encoding() {
        // protobuf.dev/programming-guides/encoding: field 1 with 150, field 2 with "testing".
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "testing");
        assert_eq!(message.as_bytes(), b"\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn torn_messages_are_none() {
        for bytes in [&b"\x08"[..], b"\x12\x07tes", b"\x08\x96", b"\x0f"] {
            assert!(Fields::read(bytes).is_none(), "{bytes:?}");
        }
        assert!(Fields::read(b"").is_some());
        // A fixed field of a later version is passed over.
        assert_eq!(Fields::read(b"\x0d\x01\x02\x03\x04\x10\x07").unwrap().number(2), Some(7));
    }
}
