//! The named locks that a session holds: at most these, by what it took and released. One that was released
//! in a way that cannot be seen counts on, which holds for too long and harms nobody.

#[derive(Debug, Default)]
pub struct Locks {
    /// A lock can be taken more than once.
    named: Vec<(Box<[u8]>, u32)>,
    unnamed: u32,
    /// Locks were taken in a way that cannot be counted.
    more: bool,
}

/// More than these are not told apart.
const MAX_NAMED: usize = 64;

// === impl Locks ===

impl Locks {
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed == 0 && !self.more
    }

    /// `None`: its name is not known.
    pub fn take(&mut self, name: Option<&[u8]>) {
        let place = name.and_then(|name| self.place(name));
        match (place, name) {
            (Some(place), _) => self.named[place].1 += 1,
            (None, Some(name)) if self.named.len() < MAX_NAMED => self.named.push((name.into(), 1)),
            _ => self.unnamed += 1,
        }
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.named.iter().position(|(known, _)| **known == *name)
    }

    pub fn take_uncounted(&mut self) {
        self.more = true;
    }

    /// One was released: this one, or nobody knows which.
    pub fn release(&mut self, name: Option<&[u8]>) {
        if let Some(name) = name {
            if !self.release_if_named(name) {
                self.unnamed = self.unnamed.saturating_sub(1);
            }
            return;
        }
        let all = self
            .named
            .drain(..)
            .fold(self.unnamed, |sum, (_, count)| sum + count);
        self.unnamed = all.saturating_sub(1);
    }

    /// This one was released, if it was held. False when it was not taken under its name.
    pub fn release_if_named(&mut self, name: &[u8]) -> bool {
        let Some(index) = self.place(name) else {
            return false;
        };
        self.named[index].1 -= 1;
        if self.named[index].1 == 0 {
            self.named.remove(index);
        }
        true
    }

    pub fn release_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_it_was_released_as_often_as_taken() {
        let mut locks = Locks::default();
        locks.take(Some(b"a"));
        locks.take(Some(b"a"));
        locks.release(Some(b"a"));
        assert!(!locks.is_empty());
        assert!(locks.release_if_named(b"a") && locks.is_empty());
        assert!(!locks.release_if_named(b"a"));
    }

    #[test]
    fn a_release_without_a_name_may_be_of_any() {
        let mut locks = Locks::default();
        locks.take(Some(b"a"));
        locks.take(None);
        locks.release(None);
        // That may have been the one, and then this releases nothing.
        assert!(!locks.release_if_named(b"a") && !locks.is_empty());
        locks.release(Some(b"a"));
        assert!(locks.is_empty());
        locks.take_uncounted();
        locks.release(None);
        assert!(!locks.is_empty());
        locks.release_all();
        assert!(locks.is_empty());
    }
}
