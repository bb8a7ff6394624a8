//! Bytes as the servers' `HEX()` shows them.

/// `None` if these are no pairs of digits.
pub fn read(digits: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.as_bytes().chunks_exact(2);
    let is_even = pairs.remainder().is_empty();
    pairs
        .map(|pair| u8::try_from(nibble(pair[0])? << 4 | nibble(pair[1])?).ok())
        .collect::<Option<_>>()
        .filter(|_| is_even)
}

/// Appends them.
pub fn write(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_digits_are_bytes() {
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(read("00fFa9"), Some(vec![0, 0xff, 0xa9]));
        let mut text = "x".to_owned();
        write(&mut text, &[0, 0xff, 0xa9]);
        assert_eq!(text, "x00FFA9");
        assert_eq!((read("0"), read("0g"), read("\u{e9}")), (None, None, None));
    }
}
