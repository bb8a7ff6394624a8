//! Where the text begins in a QUERY command that may carry attributes.

use super::bytes::{Malformed, Reader, Result};

/// The offset of the text in the whole payload of a QUERY from a client with QUERY_ATTRIBUTES.
/// `None` when the attributes cannot be read.
pub fn text_offset(payload: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(payload.get(1..)?);
    skip_attributes(&mut reader).ok()?;
    Some(payload.len() - reader.remaining())
}

fn skip_attributes(reader: &mut Reader<'_>) -> Result<()> {
    let count = reader.lenenc()?;
    reader.lenenc()?;
    if count == 0 {
        return Ok(());
    }
    let count = usize::try_from(count).map_err(|_| Malformed("too many query attributes"))?;
    let nulls = reader.bytes(count.div_ceil(8))?;
    if reader.u8()? != 1 {
        return Err(Malformed("query attributes have no types"));
    }
    let mut types = Vec::new();
    for _ in 0..count {
        types.push(reader.u16()? as u8);
        reader.lenenc_bytes()?;
    }
    for (index, kind) in types.into_iter().enumerate() {
        if nulls[index / 8] & (1 << (index % 8)) == 0 {
            skip_value(reader, kind)?;
        }
    }
    Ok(())
}

/// Passes over one value of the binary protocol.
fn skip_value(reader: &mut Reader<'_>, kind: u8) -> Result<()> {
    match kind {
        0x06 => Ok(()),
        0x01 => reader.bytes(1).map(drop),
        0x02 | 0x0d => reader.bytes(2).map(drop),
        0x03 | 0x04 | 0x09 => reader.bytes(4).map(drop),
        0x05 | 0x08 => reader.bytes(8).map(drop),
        // Dates and times begin with their length.
        0x07 | 0x0a | 0x0b | 0x0c => {
            let length = reader.u8()?;
            reader.bytes(length.into()).map(drop)
        }
        _ => reader.lenenc_bytes().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Put;

    #[test]
    fn the_text_is_found_behind_attributes_of_any_type() {
        assert_eq!(text_offset(b"\x03\x00\x01SELECT 1"), Some(3));
        let mut payload = vec![3, 3, 1, 0b010, 1];
        for (kind, name) in [(0xfeu16, "trace"), (0x08, "null"), (0x08, "n")] {
            payload.put_u16(kind);
            payload.put_lenenc_bytes(name.as_bytes());
        }
        payload.put_lenenc_bytes(b"abc");
        payload.put_u64(7);
        let start = payload.len();
        payload.put_bytes(b"SELECT 1");
        assert_eq!(text_offset(&payload), Some(start));
        for end in 0..start {
            assert_eq!(text_offset(&payload[..end]), None, "{end}");
        }
    }
}
