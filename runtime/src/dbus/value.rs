//! Values as D-Bus marshals them (D-Bus specification, type system and wire format). Writes only; what comes back is read
//! by `message`.

/// A value of one of the types that systemd's properties have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Str(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `v`
    Variant(Box<Value>),
    /// `(…)`
    Struct(Vec<Value>),
    /// `a…`: the signature of its items, which all have that type, and the items.
    Array(String, Vec<Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl Value {
    /// Appends its signature.
    pub fn sign(&self, signature: &mut String) {
        match self {
            Self::Bool(_) => signature.push('b'),
            Self::I32(_) => signature.push('i'),
            Self::U32(_) => signature.push('u'),
            Self::I64(_) => signature.push('x'),
            Self::U64(_) => signature.push('t'),
            Self::F64(_) => signature.push('d'),
            Self::Str(_) => signature.push('s'),
            Self::Bytes(_) => signature.push_str("ay"),
            Self::Variant(_) => signature.push('v'),
            Self::Struct(fields) => {
                signature.push('(');
                for field in fields {
                    field.sign(signature);
                }
                signature.push(')');
            }
            Self::Array(of, _) => {
                signature.push('a');
                signature.push_str(of);
            }
        }
    }

    /// Its signature.
    pub fn signature(&self) -> String {
        let mut signature = String::new();
        self.sign(&mut signature);
        signature
    }

    /// Appends it to a message's body, which begins at a multiple of 8.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => put_u32(out, u32::from(*value)),
            Self::I32(value) => {
                pad(out, 4);
                out.extend(value.to_ne_bytes());
            }
            Self::U32(value) => put_u32(out, *value),
            Self::I64(value) => {
                pad(out, 8);
                out.extend(value.to_ne_bytes());
            }
            Self::U64(value) => {
                pad(out, 8);
                out.extend(value.to_ne_bytes());
            }
            Self::F64(value) => {
                pad(out, 8);
                out.extend(value.to_ne_bytes());
            }
            Self::Str(text) => put_string(out, text),
            Self::Bytes(bytes) => {
                put_u32(out, length(bytes.len()));
                out.extend_from_slice(bytes);
            }
            Self::Variant(value) => {
                put_signature(out, &value.signature());
                value.put(out);
            }
            Self::Struct(fields) => {
                pad(out, 8);
                for field in fields {
                    field.put(out);
                }
            }
            Self::Array(of, items) => put_array(out, of, |out| items.iter().for_each(|item| item.put(out))),
        }
    }
}

/// Appends an array whose items have the signature `of`. Its length does not count the padding before the first item.
pub(super) fn put_array(out: &mut Vec<u8>, of: &str, items: impl FnOnce(&mut Vec<u8>)) {
    put_u32(out, 0);
    let place = out.len() - 4;
    pad(out, alignment(of));
    let first = out.len();
    items(out);
    let bytes = length(out.len() - first).to_ne_bytes();
    out[place..place + 4].copy_from_slice(&bytes);
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    pad(out, 4);
    out.extend(value.to_ne_bytes());
}

pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    put_u32(out, length(text.len()));
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

pub(super) fn put_signature(out: &mut Vec<u8>, signature: &str) {
    // Signatures of more than 255 characters are not made here.
    out.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(signature.as_bytes());
    out.push(0);
}

/// Fills up to a multiple of `to`.
pub(super) fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

/// A message has at most 128 MiB, so its parts fit.
pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a' | b'h') => 4,
        Some(b'n' | b'q') => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.put(&mut out);
        out
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn bytes_of_the_specification() {
        assert_eq!(put(&"foo".into()), b"\x03\0\0\0foo\0");
        assert_eq!(put(&Value::Bool(true)), b"\x01\0\0\0");
        assert_eq!(put(&Value::Bytes(vec![1, 2])), b"\x02\0\0\0\x01\x02");
        assert_eq!(put(&Value::Variant(Box::new(Value::U32(7)))), b"\x01u\0\0\x07\0\0\0");
        // An array of 64-bit numbers: its length does not count the four bytes before the first.
        let array = Value::Array("t".into(), vec![Value::U64(5)]);
        assert_eq!(put(&array), b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(put(&Value::Array("(sv)".into(), vec![])), b"\0\0\0\0\0\0\0\0");
        let pair = Value::Struct(vec!["a".into(), Value::U64(1)]);
        assert_eq!(
            put(&Value::Array("(st)".into(), vec![pair])),
            b"\x10\0\0\0\0\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn signatures() {
        let value = Value::Struct(vec![
            "x".into(),
            Value::Array("(st)".into(), vec![]),
            Value::Variant(Box::new(Value::I64(0))),
            Value::Bytes(vec![]),
        ]);
        assert_eq!(value.signature(), "(sa(st)vay)");
    }
}
