//! Passwords of `caching_sha2_password` accounts that clients have shown, so that they need not show them again.
//!
//! In memory only, wiped when forgotten, and bounded: the least recently used is forgotten first. An entry counts
//! only for the stored hash that it was verified against, so that a changed password ends it at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::util::Secret;
use crate::wire::auth::{Scramble, crypt, sha2};

/// Account names and host patterns; both are bounded by what servers store.
type Key = (Vec<u8>, String);

/// Shared by all threads. The lock is held for the time of one look-up or one insertion, and only by logins.
pub struct PasswordCache {
    entries: Mutex<Entries>,
    capacity: usize,
}

#[derive(Default)]
struct Entries {
    by_account: HashMap<Key, Entry>,
    /// Counts uses; an entry's `used` is its value at the entry's last use.
    uses: u64,
}

struct Entry {
    stored: crypt::Stored,
    stage2: sha2::Stage2,
    password: Secret,
    used: u64,
}

// === impl PasswordCache ===

impl PasswordCache {
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
        }
    }

    /// The password, when it is known for one of these stored hashes and the reply was made with it.
    pub fn verify(
        &self,
        user: &[u8],
        host: &str,
        stored: &[crypt::Stored],
        reply: &[u8],
        scramble: &Scramble,
    ) -> Option<Secret> {
        let mut entries = self.lock();
        entries.uses += 1;
        let uses = entries.uses;
        let entry = entries.by_account.get_mut(&(user.to_vec(), host.to_owned()))?;
        if !stored.contains(&entry.stored) {
            entries.by_account.remove(&(user.to_vec(), host.to_owned()));
            return None;
        }
        sha2::verify(reply, scramble, &entry.stage2)?;
        entry.used = uses;
        Some(entry.password.clone())
    }

    pub fn remember(&self, user: &[u8], host: &str, stored: &crypt::Stored, password: &[u8]) {
        let mut entries = self.lock();
        entries.uses += 1;
        let entry = Entry {
            stored: stored.clone(),
            stage2: sha2::stage2(&sha2::stage1(password)),
            password: Secret::from(password),
            used: entries.uses,
        };
        entries.by_account.insert((user.to_vec(), host.to_owned()), entry);
        if entries.by_account.len() > self.capacity {
            entries.forget_oldest();
        }
    }

    /// Everybody proves his password anew.
    pub fn forget_all(&self) {
        self.lock().by_account.clear();
    }

    /// A thread that panicked with the lock held left nothing half done that matters here.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entries ===

impl Entries {
    /// Looks at all of them, which only a first login beyond the capacity pays for.
    fn forget_oldest(&mut self) {
        let oldest = self.by_account.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.by_account.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(password: &[u8], scramble: &Scramble) -> [u8; 32] {
        sha2::reply(&sha2::stage1(password), scramble)
    }

    #[test]
    fn an_entry_ends_with_the_hash_it_was_verified_against() {
        let cache = PasswordCache::new(4);
        let scramble = Scramble::generate().unwrap();
        let old = crypt::Stored::unknown();
        let new = crypt::Stored::parse(format!("$A$005${}", "x".repeat(63)).as_bytes()).unwrap();
        cache.remember(b"u", "%", &old, b"secret");
        let right = reply(b"secret", &scramble);
        let verify =
            |stored: &[crypt::Stored], reply: &[u8]| cache.verify(b"u", "%", stored, reply, &scramble);
        assert_eq!(
            verify(std::slice::from_ref(&old), &right),
            Some(Secret::from("secret"))
        );
        assert_eq!(
            verify(std::slice::from_ref(&old), &reply(b"wrong", &scramble)),
            None
        );
        assert_eq!(verify(&[new, old.clone()], &right), Some(Secret::from("secret")));
        assert_eq!(verify(&[], &right), None);
        assert_eq!(verify(&[old], &right), None);
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let cache = PasswordCache::new(2);
        let scramble = Scramble::generate().unwrap();
        let stored = [crypt::Stored::unknown()];
        let knows = |user: &[u8]| {
            cache
                .verify(user, "%", &stored, &reply(b"p", &scramble), &scramble)
                .is_some()
        };
        for user in [b"a", b"b"] {
            cache.remember(user, "%", &stored[0], b"p");
        }
        assert!(knows(b"a"));
        cache.remember(b"c", "%", &stored[0], b"p");
        assert!(knows(b"a") && knows(b"c") && !knows(b"b"));
    }
}
