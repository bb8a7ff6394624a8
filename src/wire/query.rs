//! The attributes that a client may send along with a statement, and where the statement's text begins.
//!
//! Names and values are only looked at: the server gets them as they came. Nothing is copied, and the size of
//! the packet bounds all of it.

use std::borrow::Cow;

use super::bytes::{Malformed, Reader, Result};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attribute<'a> {
    pub name: &'a [u8],
    pub value: Value<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Signed(i64),
    Unsigned(u64),
    Text(&'a [u8]),
    Float(f64),
    /// A date or a time.
    Other,
}

/// Goes through attributes in the order they came. All of them have been found whole when it is made.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    nulls: &'a [u8],
    types: Reader<'a>,
    values: Reader<'a>,
    index: usize,
    count: usize,
    /// A name follows each type.
    named: bool,
}

/// The offset of the text in the whole payload of a QUERY from a client with QUERY_ATTRIBUTES.
/// `None` when the attributes cannot be read.
pub fn text_offset(payload: &[u8]) -> Option<usize> {
    parse(payload).ok().map(|(_, text)| text)
}

/// The attributes of a QUERY from a client with QUERY_ATTRIBUTES; none where they cannot be read.
pub fn attributes(payload: &[u8]) -> Attributes<'_> {
    parse(payload)
        .map(|(attributes, _)| attributes)
        .unwrap_or_default()
}

fn parse(payload: &[u8]) -> Result<(Attributes<'_>, usize)> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    let count = reader.lenenc()?;
    reader.lenenc()?;
    let at = |reader: &Reader<'_>| payload.len() - reader.remaining();
    if count == 0 {
        return Ok((Attributes::default(), at(&reader)));
    }
    let count = usize::try_from(count).map_err(|_| Malformed("too many query attributes"))?;
    let nulls = reader.bytes(count.div_ceil(8))?;
    if reader.u8()? != 1 {
        return Err(Malformed("query attributes have no types"));
    }
    let types = reader;
    for _ in 0..count {
        reader.u16()?;
        reader.lenenc_bytes()?;
    }
    let (attributes, rest) = Attributes::checked(nulls, types, reader, count)?;
    Ok((attributes, at(&rest)))
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// Reads everything once, so that iterating meets no error; returns what follows the values.
    pub(super) fn checked(
        nulls: &'a [u8],
        types: Reader<'a>,
        values: Reader<'a>,
        count: usize,
    ) -> Result<(Self, Reader<'a>)> {
        let attributes = Self {
            nulls,
            types,
            values,
            index: 0,
            count,
            named: true,
        };
        attributes.check()
    }

    /// The same for values without names.
    pub(super) fn unnamed(
        nulls: &'a [u8],
        types: Reader<'a>,
        values: Reader<'a>,
        count: usize,
    ) -> Result<Self> {
        let attributes = Self {
            nulls,
            types,
            values,
            index: 0,
            count,
            named: false,
        };
        attributes.check().map(|(attributes, _)| attributes)
    }

    fn check(self) -> Result<(Self, Reader<'a>)> {
        let (attributes, count) = (self.clone(), self.count);
        let mut check = self;
        while check.index < count {
            check.read()?;
        }
        Ok((attributes, check.values))
    }

    fn read(&mut self) -> Result<Attribute<'a>> {
        let kind = self.types.u16()?;
        let name = match self.named {
            true => self.types.lenenc_bytes()?,
            false => &[],
        };
        let is_null = match self.nulls.get(self.index / 8) {
            Some(nulls) => nulls & (1 << (self.index % 8)) != 0,
            None => return Err(Malformed("fewer marks of NULL than query attributes")),
        };
        self.index += 1;
        let value = match is_null {
            true => Value::Null,
            false => read_value(&mut self.values, kind)?,
        };
        Ok(Attribute { name, value })
    }
}

impl Default for Attributes<'_> {
    fn default() -> Self {
        Self {
            nulls: &[],
            types: Reader::new(&[]),
            values: Reader::new(&[]),
            index: 0,
            count: 0,
            named: true,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        if self.index >= self.count {
            return None;
        }
        self.read().ok()
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// The value as a text would have it; `None` for NULL and for what is neither a text nor an integer.
    pub fn text(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Signed(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            Self::Unsigned(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            Self::Null | Self::Float(_) | Self::Other => None,
        }
    }
}

const UNSIGNED: u16 = 0x8000;

/// One value of the binary protocol.
fn read_value<'a>(reader: &mut Reader<'a>, kind: u16) -> Result<Value<'a>> {
    let (signed, unsigned) = match kind as u8 {
        0x06 => return Ok(Value::Null),
        0x01 => {
            let value = reader.u8()?;
            (i64::from(value as i8), u64::from(value))
        }
        0x02 | 0x0d => {
            let value = reader.u16()?;
            (i64::from(value as i16), u64::from(value))
        }
        0x03 | 0x09 => {
            let value = reader.u32()?;
            (i64::from(value as i32), u64::from(value))
        }
        0x08 => {
            let value = reader.u64()?;
            (value as i64, value)
        }
        0x04 => {
            let value = f32::from_bits(reader.u32()?);
            return Ok(Value::Float(value.into()));
        }
        0x05 => return reader.u64().map(|bits| Value::Float(f64::from_bits(bits))),
        // Dates and times begin with their length.
        0x07 | 0x0a | 0x0b | 0x0c => {
            let length = reader.u8()?;
            return reader.bytes(length.into()).map(|_| Value::Other);
        }
        _ => return reader.lenenc_bytes().map(Value::Text),
    };
    Ok(match kind & UNSIGNED {
        0 => Value::Signed(signed),
        _ => Value::Unsigned(unsigned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Put;
    use proptest::prelude::*;

    fn payload(attributes: &[(&[u8], Value<'_>)], text: &[u8]) -> Vec<u8> {
        let mut out = vec![3];
        out.put_lenenc(attributes.len() as u64);
        out.put_u8(1);
        if !attributes.is_empty() {
            let mut nulls = vec![0; attributes.len().div_ceil(8)];
            for (index, (_, value)) in attributes.iter().enumerate() {
                nulls[index / 8] |= u8::from(*value == Value::Null) << (index % 8);
            }
            out.put_bytes(&nulls);
            out.put_u8(1);
            for (name, value) in attributes {
                out.put_u16(match value {
                    Value::Null | Value::Text(_) => 0xfe,
                    Value::Signed(_) => 0x08,
                    Value::Unsigned(_) => 0x8008,
                    Value::Float(_) => 0x05,
                    Value::Other => 0x0c,
                });
                out.put_lenenc_bytes(name);
            }
            for (_, value) in attributes {
                match value {
                    Value::Null => {}
                    Value::Text(text) => out.put_lenenc_bytes(text),
                    Value::Signed(number) => out.put_u64(*number as u64),
                    Value::Unsigned(number) => out.put_u64(*number),
                    Value::Float(value) => out.put_bytes(&value.to_le_bytes()),
                    Value::Other => out.put_bytes(&[4, 1, 2, 3, 4]),
                }
            }
        }
        out.put_bytes(text);
        out
    }

    #[test]
    fn the_text_is_found_behind_attributes_of_any_type() {
        assert_eq!(text_offset(b"\x03\x00\x01SELECT 1"), Some(3));
        assert_eq!(attributes(b"\x03\x00\x01SELECT 1").count(), 0);
        let mut bytes = vec![3, 3, 1, 0b010, 1];
        for (kind, name) in [(0xfeu16, "trace"), (0x08, "null"), (0x08, "n")] {
            bytes.put_u16(kind);
            bytes.put_lenenc_bytes(name.as_bytes());
        }
        bytes.put_lenenc_bytes(b"abc");
        bytes.put_u64(7);
        let start = bytes.len();
        bytes.put_bytes(b"SELECT 1");
        assert_eq!(text_offset(&bytes), Some(start));
        let found: Vec<_> = attributes(&bytes)
            .map(|found| (found.name, found.value))
            .collect();
        let expected: [(&[u8], _); 3] = [
            (b"trace", Value::Text(b"abc")),
            (b"null", Value::Null),
            (b"n", Value::Signed(7)),
        ];
        assert_eq!(found, expected);
        for end in 0..start {
            assert_eq!(text_offset(&bytes[..end]), None, "{end}");
            assert_eq!(attributes(&bytes[..end]).count(), 0);
        }
    }

    #[test]
    fn integers_of_any_width_have_their_sign() {
        let read = |kind, bytes: &'static [u8]| read_value(&mut Reader::new(bytes), kind).unwrap();
        assert_eq!(read(0x01, &[0xff]), Value::Signed(-1));
        assert_eq!(read(0x8001, &[0xff]), Value::Unsigned(255));
        assert_eq!(read(0x02, &[0xfe, 0xff]), Value::Signed(-2));
        assert_eq!(read(0x8003, &[1, 0, 0, 0x80]), Value::Unsigned(0x8000_0001));
        assert_eq!(read(0x03, &[1, 0, 0, 0]).text().unwrap().as_ref(), b"1");
        assert_eq!(read(0x04, &[1, 0, 0, 0]).text(), None);
        assert_eq!(read(0x06, &[]), Value::Null);
    }

    #[test]
    fn a_number_of_attributes_that_no_packet_could_hold_is_refused_at_once() {
        let mut bytes = vec![3];
        bytes.put_lenenc(u64::MAX);
        bytes.extend([1, 0, 1]);
        assert_eq!(text_offset(&bytes), None);
    }

    proptest! {
        #[test]
        fn what_was_sent_is_what_is_read(
            given in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..300), any::<u8>(), any::<u64>()), 0..20),
            text in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let values: Vec<(&[u8], Value<'_>)> = given
                .iter()
                .map(|(bytes, kind, number)| {
                    let value = match kind % 5 {
                        0 => Value::Null,
                        1 => Value::Text(bytes),
                        2 => Value::Signed(*number as i64),
                        3 => Value::Unsigned(*number),
                        _ => Value::Other,
                    };
                    (&bytes[..], value)
                })
                .collect();
            let bytes = payload(&values, &text);
            prop_assert_eq!(&bytes[text_offset(&bytes).unwrap()..], &text[..]);
            let read: Vec<_> = attributes(&bytes).map(|found| (found.name, found.value)).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), count in 1u8..20) {
            let _ = attributes(&bytes).count();
            if let [_, declared, ..] = &mut bytes[..] {
                *declared = count;
            }
            prop_assert!(text_offset(&bytes).unwrap_or_default() <= bytes.len());
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }
    }
}
