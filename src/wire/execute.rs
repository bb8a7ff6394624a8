//! The beginning of an EXECUTE command: which statement, and whether the parameters' types come with it.

use std::ops::Range;

use super::bytes::{Malformed, Reader, Result};
use super::capability::Capabilities;

/// Where things are in the payload of an EXECUTE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    pub statement: u32,
    pub flags: u8,
    /// Where the byte lies that says whether types follow; `None` for a statement without parameters.
    pub bound: Option<usize>,
    /// The types (and names, with query attributes), if they are there.
    pub types: Option<Range<usize>>,
}

const PARAMETER_COUNT_AVAILABLE: u8 = 8;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
