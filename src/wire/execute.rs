//! The beginning of an EXECUTE command: which statement, and whether the parameters' types come with it.
//!
//! With query attributes on, the number of values comes first, and MySQL reads it of every statement that has
//! parameters, whatever the flags say. Values beyond the parameters are the attributes. Types are remembered for
//! parameters alone: an attribute without a type may only be NULL.

use std::borrow::Cow;
use std::ops::Range;

use super::bytes::{Malformed, Put, Reader, Result};
use super::capability::Capabilities;
use super::command::Command;
use super::query::Attributes;

/// Where things are in the payload of an EXECUTE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    pub statement: u32,
    pub flags: u8,
    /// Where the byte lies that says whether types follow; `None` where there is nothing to have one.
    pub bound: Option<usize>,
    /// The types (and names, with query attributes), if they are there.
    pub types: Option<Range<usize>>,
    /// How many values come, query attributes among them.
    count: usize,
    /// How many of them are parameters, as the server counts them.
    parameters: usize,
    /// A name goes with each type.
    named: bool,
}

const PARAMETER_COUNT_AVAILABLE: u8 = 8;
/// Where the flags lie, behind the command and the statement's id.
const FLAGS: usize = 5;
/// Where the number of values lies, if it is there: behind the flags and the iteration count.
const COUNT: usize = 10;
/// As many values as the server takes.
const MOST_VALUES: u64 = u16::MAX as u64;
/// The type of nothing but NULL.
const NULL: u16 = 6;
/// The size of a type.
const TYPE: usize = 2;

/// Whether the number of values is there.
fn is_counted(flags: u8, parameters: u16, capabilities: Capabilities) -> bool {
    capabilities.has(Capabilities::QUERY_ATTRIBUTES)
        && (parameters > 0 || flags & PARAMETER_COUNT_AVAILABLE != 0)
}

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
        if is_counted(flags, parameters, capabilities) {
            let declared = reader.lenenc()?;
            if declared > MOST_VALUES {
                return Err(Malformed("too many parameters"));
            }
            count = usize::try_from(declared).unwrap_or_default();
        }
        let mut found = Self {
            statement,
            flags,
            bound: None,
            types: None,
            count,
            parameters: parameters.into(),
            named,
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
        if !is_counted(flags, parameters, capabilities) {
            return false;
        }
        let count = payload
            .get(COUNT..)
            .and_then(|rest| Reader::new(rest).lenenc().ok());
        count.is_some_and(|count| count > u64::from(parameters))
    }

    /// Whether the server has a value for each parameter. It runs nothing otherwise, and learns no types from it.
    pub fn is_complete(&self) -> bool {
        self.count >= self.parameters
    }

    /// The types of the statement's parameters, two bytes each, without names: what the server remembers of this.
    pub fn parameter_types<'a>(&self, payload: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let types = payload.get(self.types.clone()?).filter(|_| self.is_complete())?;
        if !self.named {
            return Some(Cow::Borrowed(types));
        }
        let mut reader = Reader::new(types);
        let mut out = Vec::with_capacity(self.parameters * TYPE);
        for _ in 0..self.parameters {
            out.put_u16(reader.u16().ok()?);
            reader.lenenc_bytes().ok()?;
        }
        Some(Cow::Owned(out))
    }

    /// Which of the values are NULL, a bit for each.
    pub fn nulls<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let end = self.bound.unwrap_or_default();
        let start = end.saturating_sub(self.count.div_ceil(8));
        payload.get(start..end).unwrap_or_default()
    }

    /// Whether it goes by types that were named before. False where it names its own, where it needs none, and where
    /// no server can read it: with fewer values than parameters, or an attribute of which nobody knows the type.
    pub fn lacks_types(&self, payload: &[u8]) -> bool {
        let is_bare = self.bound.is_some() && self.types.is_none();
        is_bare && self.is_complete() && self.has_bare_attributes(payload)
    }

    /// Names the remembered types in an execution that lacks them.
    pub fn put_types(&self, payload: &mut Vec<u8>, remembered: &[u8]) {
        let lacks = self.lacks_types(payload) && remembered.len() == self.parameters * TYPE;
        let Some(bound) = self.bound.filter(|_| lacks) else {
            return;
        };
        let mut types = Vec::with_capacity(self.count * (TYPE + 1));
        let untyped = std::iter::repeat_n(NULL, self.count - self.parameters);
        let (known, _) = remembered.as_chunks::<TYPE>();
        for kind in known.iter().map(|kind| u16::from_le_bytes(*kind)).chain(untyped) {
            types.put_u16(kind);
            if self.named {
                types.put_u8(0);
            }
        }
        payload[bound] = 1;
        payload.splice(bound + 1..bound + 1, types);
    }

    /// The query attributes that follow the statement's parameters. Where a parameter was sent as long data its
    /// value is not here, and nobody can say which: the caller must not ask then.
    ///
    /// Needs the whole payload; what cannot be read is the server's to judge, and has no attributes. Those without
    /// types have no names either.
    pub fn attributes<'a>(&self, payload: &'a [u8]) -> Attributes<'a> {
        let found = self.types.as_ref().and_then(|_| self.values(payload, None));
        let mut attributes = found.filter(|_| self.named).unwrap_or_default();
        for _ in 0..self.parameters {
            attributes.next();
        }
        attributes
    }

    /// The values of all parameters, and of query attributes behind them; `None` where they cannot be read.
    /// `remembered` has the parameters' types for when none come with this execution. The same holds as for the
    /// attributes.
    pub fn values<'a>(&self, payload: &'a [u8], remembered: Option<&'a [u8]>) -> Option<Attributes<'a>> {
        if !self.is_complete() {
            return None;
        }
        let Some(bound) = self.bound else {
            return Some(Attributes::default());
        };
        let nulls = self.nulls(payload);
        let Some(types) = &self.types else {
            let remembered = remembered.unwrap_or_default();
            if remembered.len() != self.parameters * TYPE || !self.lacks_types(payload) {
                return None;
            }
            let (types, values) = (Reader::new(remembered), Reader::new(payload.get(bound + 1..)?));
            return Attributes::unnamed(nulls, types, values, self.parameters).ok();
        };
        let values = Reader::new(payload.get(types.end..)?);
        let types = Reader::new(payload.get(types.clone())?);
        if self.named {
            let checked = Attributes::checked(nulls, types, values, self.count);
            return checked.ok().map(|(values, _)| values);
        }
        Attributes::unnamed(nulls, types, values, self.count).ok()
    }

    /// The values as they came, behind the types; `None` where they cannot be read, or are not the parameters' alone.
    pub fn parameters<'a>(&self, payload: &'a [u8], remembered: Option<&'a [u8]>) -> Option<Parameters<'a>> {
        if self.count != self.parameters {
            return None;
        }
        self.values(payload, remembered)?;
        let start = self.types.as_ref().map(|types| types.end);
        let start = start.or(self.bound.map(|bound| bound + 1));
        Some(Parameters {
            nulls: self.nulls(payload),
            types: match self.bound {
                Some(_) => self.parameter_types(payload).or(remembered.map(Cow::Borrowed))?,
                None => Cow::default(),
            },
            values: start.and_then(|start| payload.get(start..)).unwrap_or_default(),
        })
    }

    /// Whether all attributes are NULL: without types there cannot be others.
    fn has_bare_attributes(&self, payload: &[u8]) -> bool {
        let nulls = self.nulls(payload);
        let is_null = |index: usize| {
            nulls
                .get(index / 8)
                .is_some_and(|byte| byte & (1 << (index % 8)) != 0)
        };
        (self.parameters..self.count).all(is_null)
    }
}

/// The parameters of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters<'a> {
    /// A bit for each.
    pub nulls: &'a [u8],
    /// Two bytes each.
    pub types: Cow<'a, [u8]>,
    pub values: &'a [u8],
}

// === impl Parameters ===

impl Parameters<'_> {
    /// A whole execution with these, and without a cursor.
    pub fn encode(&self, statement: u32, capabilities: Capabilities) -> Vec<u8> {
        let mut out = vec![Command::STMT_EXECUTE.0];
        out.put_u32(statement);
        out.put_u8(0);
        out.put_u32(1);
        let (types, _) = self.types.as_chunks::<TYPE>();
        if types.is_empty() {
            return out;
        }
        let named = capabilities.has(Capabilities::QUERY_ATTRIBUTES);
        if named {
            out.put_lenenc(types.len() as u64);
        }
        out.put_bytes(self.nulls);
        out.put_u8(1);
        for kind in types {
            out.put_bytes(kind);
            if named {
                out.put_u8(0);
            }
        }
        out.put_bytes(self.values);
        out
    }
}

/// The beginning of MariaDB's BULK_EXECUTE: the statement's id, flags, and the types if the flags say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    names_types: bool,
    parameters: usize,
}

/// The flag of a bulk execution that names its types, and where the flags end.
const BULK_TYPES: u8 = 0x80;
const BULK_HEAD: usize = 7;

// === impl Bulk ===

impl Bulk {
    pub fn parse(payload: &[u8], parameters: u16) -> Result<Self> {
        let flags = payload
            .get(FLAGS..BULK_HEAD)
            .ok_or(Malformed("it ends too early"))?;
        Ok(Self {
            names_types: flags[0] & BULK_TYPES != 0,
            parameters: parameters.into(),
        })
    }

    /// The types that it names.
    pub fn parameter_types<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let types = payload.get(BULK_HEAD..BULK_HEAD + self.parameters * TYPE)?;
        self.names_types.then_some(types)
    }

    pub fn lacks_types(&self) -> bool {
        !self.names_types && self.parameters > 0
    }

    /// Names the remembered types in one that lacks them.
    pub fn put_types(&self, payload: &mut Vec<u8>, remembered: &[u8]) {
        let fits = remembered.len() == self.parameters * TYPE && payload.len() >= BULK_HEAD;
        if fits && self.lacks_types() {
            payload[FLAGS] |= BULK_TYPES;
            payload.splice(BULK_HEAD..BULK_HEAD, remembered.iter().copied());
        }
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
        let found: Vec<_> = execute.attributes(WITH_ATTRIBUTE).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name, found[0].value), (&b"r"[..], Value::Text(b"db2")));
        for end in 0..WITH_ATTRIBUTE.len() {
            if let Ok(execute) = Execute::parse(&WITH_ATTRIBUTE[..end], 2, named) {
                assert_eq!(execute.attributes(&WITH_ATTRIBUTE[..end]).count(), 0);
            }
        }
        // The number of values is read wherever there are parameters, and where the flag says that it is there.
        let mut unflagged = WITH_ATTRIBUTE.to_vec();
        unflagged[5] = 0;
        assert!(Execute::has_attributes(&unflagged, 2, named));
        assert!(!Execute::has_attributes(&unflagged, 0, named));
        let execute = Execute::parse(&unflagged, 2, named).unwrap();
        assert_eq!(execute.attributes(&unflagged).count(), 1);
        let execute = Execute::parse(&unflagged, 2, Capabilities::NONE).unwrap();
        assert_eq!(execute.attributes(&unflagged).count(), 0);
    }

    #[test]
    fn types_may_be_those_of_an_earlier_execution() {
        let named = Capabilities::QUERY_ATTRIBUTES;
        let first = Execute::parse(WITH_ATTRIBUTE, 2, named).unwrap();
        let remembered = first.parameter_types(WITH_ATTRIBUTE).unwrap();
        assert_eq!(remembered, &b"\x08\0\x08\0"[..]);
        let types = first.types.clone().unwrap();
        let mut again = WITH_ATTRIBUTE[..types.start].to_vec();
        again[12] = 0;
        again.extend(&WITH_ATTRIBUTE[types.end..]);
        // Nobody knows the type of the attribute, ...
        let execute = Execute::parse(&again, 2, named).unwrap();
        assert!(!execute.lacks_types(&again) && execute.values(&again, Some(&remembered)).is_none());
        let before = again.clone();
        execute.put_types(&mut again, &remembered);
        assert_eq!(again, before);
        // ... which does not matter when it is NULL.
        again[11] |= 4;
        again.truncate(again.len() - 4);
        let values: Vec<_> = execute.values(&again, Some(&remembered)).unwrap().collect();
        assert_eq!((values.len(), values[1].value), (2, Value::Null));
        assert_eq!(execute.attributes(&again).count(), 0);
        assert!(execute.lacks_types(&again));
        execute.put_types(&mut again, &remembered);
        let execute = Execute::parse(&again, 2, named).unwrap();
        let values: Vec<_> = execute
            .values(&again, None)
            .unwrap()
            .map(|found| found.value)
            .collect();
        assert_eq!(values[1..], [Value::Null, Value::Null]);
        // A server learns nothing from too few values.
        let few = b"\x17\x07\0\0\0\x08\x01\0\0\0\x01\0\x01\x08\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        let execute = Execute::parse(few, 2, named).unwrap();
        assert!(!execute.is_complete() && execute.parameter_types(few).is_none());
    }

    #[test]
    fn parameters_go_out_as_they_came_in() {
        let plain = b"\x17\x07\0\0\0\0\x01\0\0\0\x02\x01\x08\0\xfe\0\x01\x02\x03\x04\x05\x06\x07\x08";
        for named in [Capabilities::NONE, Capabilities::QUERY_ATTRIBUTES] {
            let execute = Execute::parse(plain, 2, Capabilities::NONE).unwrap();
            let found = execute.parameters(plain, None).unwrap();
            assert_eq!((found.nulls, found.values.len()), (&[2][..], 8));
            let again = found.encode(9, named);
            let parsed = Execute::parse(&again, 2, named).unwrap();
            assert_eq!(
                (parsed.statement, parsed.parameters(&again, None)),
                (9, Some(found))
            );
        }
        let none = Execute::parse(&plain[..10], 0, Capabilities::NONE).unwrap();
        let none = none.parameters(&plain[..10], None).unwrap();
        assert_eq!(none.encode(7, Capabilities::QUERY_ATTRIBUTES), plain[..10]);
        // Attributes are no parameters.
        let attributed = Execute::parse(WITH_ATTRIBUTE, 2, Capabilities::QUERY_ATTRIBUTES).unwrap();
        assert_eq!(attributed.parameters(WITH_ATTRIBUTE, None), None);
    }

    #[test]
    fn bulk_executions_may_lack_types_too() {
        let mut bulk = b"\xfa\x07\0\0\0\x80\0\x08\0rows".to_vec();
        let parsed = Bulk::parse(&bulk, 1).unwrap();
        assert_eq!(parsed.parameter_types(&bulk), Some(&b"\x08\0"[..]));
        let whole = bulk.clone();
        bulk[5] = 0;
        bulk.drain(7..9);
        let parsed = Bulk::parse(&bulk, 1).unwrap();
        assert!(parsed.lacks_types() && parsed.parameter_types(&bulk).is_none());
        parsed.put_types(&mut bulk, b"\x08\0");
        assert_eq!(bulk, whole);
        assert!(Bulk::parse(&bulk[..6], 1).is_err());
    }

    #[test]
    fn values_are_found_with_and_without_names() {
        let named = Execute::parse(WITH_ATTRIBUTE, 2, Capabilities::QUERY_ATTRIBUTES).unwrap();
        let values = named.values(WITH_ATTRIBUTE, None);
        let values: Vec<_> = values.unwrap().map(|attribute| attribute.value).collect();
        assert_eq!(values[1..], [Value::Null, Value::Text(b"db2")]);
        let mut plain = b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x05\0\x08\0".to_vec();
        plain.extend_from_slice(&1.5f64.to_le_bytes());
        plain.extend_from_slice(&(-7i64).to_le_bytes());
        let execute = Execute::parse(&plain, 2, Capabilities::NONE).unwrap();
        let values = execute.values(&plain, None).unwrap();
        let values: Vec<_> = values.map(|attribute| attribute.value).collect();
        assert_eq!(values, [Value::Float(1.5), Value::Signed(-7)]);
        assert!(execute.values(&plain[..20], None).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            mut bytes in proptest::collection::vec(any::<u8>(), 11..100),
            parameters in 0u16..20,
            count in 0u8..20,
            remembered in proptest::collection::vec(any::<u8>(), 40),
        ) {
            bytes[5] |= PARAMETER_COUNT_AVAILABLE;
            bytes[10] = count;
            for capabilities in [Capabilities::NONE, Capabilities::QUERY_ATTRIBUTES] {
                let Ok(execute) = Execute::parse(&bytes, parameters, capabilities) else {
                    continue;
                };
                let most = usize::from(count).max(parameters.into());
                prop_assert!(execute.attributes(&bytes).count() <= most);
                let values = execute.values(&bytes, Some(&remembered));
                prop_assert!(values.is_none_or(|values| values.count() <= most));
                let mut longer = bytes.clone();
                let types = &remembered[..usize::from(parameters) * TYPE];
                execute.put_types(&mut longer, types);
                if longer != bytes {
                    let again = Execute::parse(&longer, parameters, capabilities).unwrap();
                    prop_assert!(!again.lacks_types(&longer));
                    let named = again.parameter_types(&longer);
                    prop_assert_eq!(named.as_deref(), Some(types));
                }
            }
        }
    }
}
