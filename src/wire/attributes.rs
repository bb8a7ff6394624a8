//! Connection attributes: the pairs of names and values a client says of itself when it logs in.

use super::bytes::{Put, Reader};

/// Walks a raw block of attributes, as carried by a login or a change of user.
///
/// Servers ignore a block that is broken, so this ends at the first pair that does not parse.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: Reader<'a>,
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    pub fn new(block: &'a [u8]) -> Self {
        Self {
            rest: Reader::new(block),
        }
    }

    fn pair(&mut self) -> super::bytes::Result<(&'a [u8], &'a [u8])> {
        Ok((self.rest.lenenc_bytes()?, self.rest.lenenc_bytes()?))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair().ok();
        if pair.is_none() {
            self.rest.rest();
        }
        pair
    }
}

/// Appends one attribute to a block.
pub fn put_attribute(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.put_lenenc_bytes(name);
    block.put_lenenc_bytes(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_until_one_is_broken() {
        let mut block = Vec::new();
        put_attribute(&mut block, b"_client_name", b"libmysql");
        put_attribute(&mut block, b"program_name", b"");
        let pairs: Vec<_> = Attributes::new(&block).collect();
        assert_eq!(
            pairs,
            [(&b"_client_name"[..], &b"libmysql"[..]), (b"program_name", b"")]
        );
        for end in 0..block.len() {
            assert!(Attributes::new(&block[..end]).count() < 2, "{end}");
        }
    }
}
