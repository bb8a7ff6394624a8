//! Keys out of the bytes that a terminal sends: letters of any alphabet, and the sequences behind arrows and the like.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Character(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Control and C.
    Interrupt,
    /// Control and L.
    Redraw,
}

/// Keeps what has come of a key so far.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A key, or nothing that means anything here, of so many bytes.
    Whole(Option<Key>, usize),
    /// More has to come.
    Part,
}

const ESCAPE: u8 = 0x1b;
/// No sequence of a key is longer.
const LONGEST: usize = 16;

// === impl Decoder ===

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while let Step::Whole(key, length) = step(&self.pending) {
            keys.extend(key);
            self.pending.drain(..length);
        }
        keys
    }

    /// Whether something has begun that more bytes may belong to.
    pub fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing has followed: an escape was the key of that name.
    pub fn flush(&mut self) -> Option<Key> {
        let first = self.pending.first().copied();
        self.pending.clear();
        (first == Some(ESCAPE)).then_some(Key::Escape)
    }
}

fn step(bytes: &[u8]) -> Step {
    let Some(&first) = bytes.first() else {
        return Step::Part;
    };
    let key = match first {
        ESCAPE => return sequence(bytes),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0x03 => Key::Interrupt,
        0x0c => Key::Redraw,
        0..0x20 => return Step::Whole(None, 1),
        0x20..0x7f => Key::Character(char::from(first)),
        _ => return letter(bytes),
    };
    Step::Whole(Some(key), 1)
}

/// A letter of more than one byte.
fn letter(bytes: &[u8]) -> Step {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) => {
            return match error.error_len() {
                Some(wrong) => Step::Whole(None, wrong),
                None => Step::Part,
            };
        }
    };
    match valid.chars().next() {
        Some(each) => Step::Whole(Some(Key::Character(each)), each.len_utf8()),
        None => Step::Part,
    }
}

/// What begins with an escape.
fn sequence(bytes: &[u8]) -> Step {
    let Some(&second) = bytes.get(1) else {
        return Step::Part;
    };
    if !matches!(second, b'[' | b'O') {
        // The key alone, and then another one.
        return Step::Whole(Some(Key::Escape), 1);
    }
    let is_end = |byte: &u8| (0x40..0x7f).contains(byte);
    let Some(end) = bytes[2..].iter().position(is_end).map(|place| place + 2) else {
        return match bytes.len() > LONGEST {
            true => Step::Whole(None, bytes.len()),
            false => Step::Part,
        };
    };
    let key = match (&bytes[2..end], bytes[end]) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        (_, b'Z') => Some(Key::BackTab),
        _ => None,
    };
    Step::Whole(key, end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_whole_however_their_bytes_do() {
        let bytes =
            "aß\u{1b}[A\u{1b}OB\u{1b}[5~\u{1b}[6~\u{1b}[H\u{1b}[4~\u{1b}[Z\u{1b}[1;5C\t\r\u{7f}\u{3}漢";
        let expected = [
            Key::Character('a'),
            Key::Character('ß'),
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Home,
            Key::End,
            Key::BackTab,
            Key::Tab,
            Key::Enter,
            Key::Backspace,
            Key::Interrupt,
            Key::Character('漢'),
        ];
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::default();
            let parts = bytes.as_bytes().chunks(size);
            let keys: Vec<_> = parts.flat_map(|part| decoder.push(part)).collect();
            assert_eq!(keys, expected, "{size}");
            assert!(!decoder.waits());
        }
    }

    #[test]
    fn an_escape_that_nothing_follows_is_a_key() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(b"\x1b"), []);
        assert!(decoder.waits());
        assert_eq!(decoder.flush(), Some(Key::Escape));
        assert_eq!(decoder.push(b"\x1bq"), [Key::Escape, Key::Character('q')]);
        assert_eq!(decoder.flush(), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut decoder = Decoder::default();
            for part in bytes.chunks(7) {
                decoder.push(part);
                assert!(decoder.pending.len() <= LONGEST + 7);
            }
        }
    }
}
