//! The beginning of an EXECUTE command: which statement, and whether the parameters' types come with it.

use std::ops::Range;

use super::bytes::{Malformed, Reader, Result};
use super::capability::Capabilities;
use super::query::Attributes;

/// Where things are in the payload of an EXECUTE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    pub statement: u32,
    pub flags: u8,
    /// Where the byte lies that says whether types follow; `None` for a statement without parameters.
    pub bound: Option<usize>,
    /// The types (and names, with query attributes), if they are there.
    pub types: Option<Range<usize>>,
    /// How many parameters come, query attributes among them.
    count: usize,
}

type Parts<'a> = (&'a [u8], Reader<'a>, Reader<'a>);

const PARAMETER_COUNT_AVAILABLE: u8 = 8;
/// Where the flags lie, behind the command and the statement's id.
const FLAGS: usize = 5;
/// Where the number of parameters lies, if it is there: behind the flags and the iteration count.
const COUNT: usize = 10;

// === impl Execute ===

impl Execute {
    /// Needs only the payload's beginning: an error may mean that more of it has to be read.
    pub fn parse(payload: &[u8], parameters: u16, capabilities: Capabilities) -> Result<Self> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let (statement, flags) = (reader.u32()?, reader.u8()?);
        reader.u32()?;
        let named = capabilities.has(Capabilities::QUERY_ATTRIBUTES);
        let mut count = usize::from(parameters);
        if named && flags & PARAMETER_COUNT_AVAILABLE != 0 {
            let declared = usize::try_from(reader.lenenc()?).unwrap_or(usize::MAX);
            if declared > usize::from(u16::MAX) * 2 {
                return Err(Malformed("too many parameters"));
            }
            count = declared;
        }
        let mut found = Self {
            statement,
            flags,
            bound: None,
            types: None,
            count,
        };
        if count == 0 {
            return Ok(found);
        }
        reader.bytes(count.div_ceil(8))?;
        let at = |reader: &Reader<'_>| payload.len() - reader.remaining();
        found.bound = Some(at(&reader));
        if reader.u8()? != 0 {
            let start = at(&reader);
            for _ in 0..count {
                reader.u16()?;
                if named {
                    reader.lenenc_bytes()?;
                }
            }
            found.types = Some(start..at(&reader));
        }
        Ok(found)
    }

    /// Whether anything comes with the statement's `parameters`. A look at the beginning tells.
    pub fn has_attributes(payload: &[u8], parameters: u16, capabilities: Capabilities) -> bool {
        let flags = payload.get(FLAGS).copied().unwrap_or_default();
        let counts = flags & PARAMETER_COUNT_AVAILABLE != 0;
        let named = capabilities.has(Capabilities::QUERY_ATTRIBUTES);
        let count = payload.get(COUNT..).filter(|_| counts && named);
        let count = count.and_then(|rest| Reader::new(rest).lenenc().ok());
        count.is_some_and(|count| count > u64::from(parameters))
    }

    /// The query attributes that follow the statement's `parameters`, whatever these are named. `remembered` has
    /// the types of an earlier execution, for when none come with this one. Where a parameter was sent as long
    /// data its value is not here, and nobody can say which: the caller must not ask then.
    ///
    /// Needs the whole payload; what cannot be read is the server's to judge, and has no attributes.
    pub fn attributes<'a>(
        &self,
        payload: &'a [u8],
        parameters: u16,
        remembered: Option<&'a [u8]>,
    ) -> Attributes<'a> {
        let found = self.parse_attributes(payload, remembered);
        let mut attributes = found.unwrap_or_default();
        for _ in 0..parameters {
            attributes.next();
        }
        attributes
    }

    /// The values of all parameters, and of query attributes behind them; `None` where they cannot be read. The
    /// same holds as for the attributes.
    pub fn values<'a>(
        &self,
        payload: &'a [u8],
        remembered: Option<&'a [u8]>,
        capabilities: Capabilities,
    ) -> Option<Attributes<'a>> {
        if self.count == 0 {
            return Some(Attributes::default());
        }
        let (nulls, types, values) = self.parts(payload, remembered)?;
        if capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            let checked = Attributes::checked(nulls, types, values, self.count);
            return checked.ok().map(|(values, _)| values);
        }
        Attributes::unnamed(nulls, types, values, self.count).ok()
    }

    fn parse_attributes<'a>(
        &self,
        payload: &'a [u8],
        remembered: Option<&'a [u8]>,
    ) -> Option<Attributes<'a>> {
        if self.flags & PARAMETER_COUNT_AVAILABLE == 0 {
            return None;
        }
        let (nulls, types, values) = self.parts(payload, remembered)?;
        let checked = Attributes::checked(nulls, types, values, self.count);
        checked.ok().map(|(attributes, _)| attributes)
    }

    /// The marks of NULL, the types and the values.
    fn parts<'a>(&self, payload: &'a [u8], remembered: Option<&'a [u8]>) -> Option<Parts<'a>> {
        let bound = self.bound?;
        let nulls = payload.get(bound.checked_sub(self.count.div_ceil(8))?..bound)?;
        let (types, values) = match &self.types {
            Some(types) => (payload.get(types.clone())?, payload.get(types.end..)?),
            None => (remembered?, payload.get(bound + 1..)?),
        };
        Some((nulls, Reader::new(types), Reader::new(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::query::Value;
    use proptest::prelude::*;

    #[test]
    fn types_are_found_with_and_without_names() {
        let plain = [0x17, 7, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 8, 0, 0xfe, 0, 1, 2];
        let found = Execute::parse(&plain, 2, Capabilities::NONE).unwrap();
        assert_eq!(
            (found.statement, found.bound, found.types),
            (7, Some(11), Some(12..16))
        );
        let named = [0x17, 7, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 1, 8, 0, 2, b'i', b'd', 9];
        let found = Execute::parse(&named, 1, Capabilities::QUERY_ATTRIBUTES).unwrap();
        assert_eq!((found.bound, found.types), (Some(12), Some(13..18)));
        for end in 0..18 {
            assert!(
                Execute::parse(&named[..end], 1, Capabilities::QUERY_ATTRIBUTES).is_err(),
                "{end}"
            );
        }
        let without = Execute::parse(&plain[..10], 0, Capabilities::NONE).unwrap();
        assert_eq!(without.bound, None);
    }
    /// Two parameters, the second NULL, and the attribute `r` with the value `db2`.
    const WITH_ATTRIBUTE: &[u8] = b"\x17\x07\0\0\0\x08\x01\0\0\0\x03\x02\x01\
        \x08\0\x01r\x08\0\0\xfe\0\x01r\x01\x02\x03\x04\x05\x06\x07\x08\x03db2";

    #[test]
    fn attributes_are_what_comes_after_the_parameters() {
        let named = Capabilities::QUERY_ATTRIBUTES;
        assert!(Execute::has_attributes(WITH_ATTRIBUTE, 2, named));
        assert!(!Execute::has_attributes(WITH_ATTRIBUTE, 3, named));
        assert!(!Execute::has_attributes(WITH_ATTRIBUTE, 2, Capabilities::NONE));
        assert!(!Execute::has_attributes(&WITH_ATTRIBUTE[..10], 2, named));
        let execute = Execute::parse(WITH_ATTRIBUTE, 2, named).unwrap();
        let found: Vec<_> = execute.attributes(WITH_ATTRIBUTE, 2, None).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name, found[0].value), (&b"r"[..], Value::Text(b"db2")));
        for end in 0..WITH_ATTRIBUTE.len() {
            if let Ok(execute) = Execute::parse(&WITH_ATTRIBUTE[..end], 2, named) {
                assert_eq!(execute.attributes(&WITH_ATTRIBUTE[..end], 2, None).count(), 0);
            }
        }
        // A client that says nothing of their number has none.
        let mut without = WITH_ATTRIBUTE.to_vec();
        without[5] = 0;
        let execute = Execute::parse(&without, 2, Capabilities::NONE).unwrap();
        assert_eq!(execute.attributes(&without, 2, None).count(), 0);
    }

    #[test]
    fn types_may_be_those_of_an_earlier_execution() {
        let named = Capabilities::QUERY_ATTRIBUTES;
        let first = Execute::parse(WITH_ATTRIBUTE, 2, named).unwrap();
        let types = first.types.unwrap();
        let mut again = WITH_ATTRIBUTE[..types.start].to_vec();
        again[12] = 0;
        again.extend(&WITH_ATTRIBUTE[types.end..]);
        let execute = Execute::parse(&again, 2, named).unwrap();
        assert_eq!(execute.attributes(&again, 2, None).count(), 0);
        let found = execute.attributes(&again, 2, Some(&WITH_ATTRIBUTE[types])).next();
        assert_eq!(found.unwrap().value, Value::Text(b"db2"));
    }

    #[test]
    fn values_are_found_with_and_without_names() {
        let named = Execute::parse(WITH_ATTRIBUTE, 2, Capabilities::QUERY_ATTRIBUTES).unwrap();
        let values = named.values(WITH_ATTRIBUTE, None, Capabilities::QUERY_ATTRIBUTES);
        let values: Vec<_> = values.unwrap().map(|attribute| attribute.value).collect();
        assert_eq!(values[1..], [Value::Null, Value::Text(b"db2")]);
        let mut plain = b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x05\0\x08\0".to_vec();
        plain.extend_from_slice(&1.5f64.to_le_bytes());
        plain.extend_from_slice(&(-7i64).to_le_bytes());
        let execute = Execute::parse(&plain, 2, Capabilities::NONE).unwrap();
        let values = execute.values(&plain, None, Capabilities::NONE).unwrap();
        let values: Vec<_> = values.map(|attribute| attribute.value).collect();
        assert_eq!(values, [Value::Float(1.5), Value::Signed(-7)]);
        assert!(execute.values(&plain[..20], None, Capabilities::NONE).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            mut bytes in proptest::collection::vec(any::<u8>(), 11..100),
            parameters in 0u16..20,
            count in 0u8..20,
            remembered in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            bytes[5] |= PARAMETER_COUNT_AVAILABLE;
            bytes[10] = count;
            if let Ok(execute) = Execute::parse(&bytes, parameters, Capabilities::QUERY_ATTRIBUTES) {
                let found = execute.attributes(&bytes, parameters, Some(&remembered)).count();
                prop_assert!(found <= usize::from(count));
                for capabilities in [Capabilities::NONE, Capabilities::QUERY_ATTRIBUTES] {
                    let values = execute.values(&bytes, Some(&remembered), capabilities);
                    prop_assert!(values.is_none_or(|values| values.count() <= usize::from(count)));
                }
            }
        }
    }
}
