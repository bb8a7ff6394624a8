//! Accounts that wrong passwords lock for some days: MySQL's FAILED_LOGIN_ATTEMPTS and PASSWORD_LOCK_TIME.
//!
//! The servers never see the logins that are refused here, so they are counted here, by each process for itself, and
//! forgotten with it. A count is of one version of an account: any change to it begins anew.

use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::account::Account;
use super::refusal::{self, Refusal};

/// What an account says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub attempts: u32,
    /// `None`: until somebody unlocks it.
    pub days: Option<u32>,
}

/// Names of accounts, and their hosts.
type Key = (Vec<u8>, String);

/// Only accounts with such a policy are in it, and so many of those.
pub struct Lockouts {
    by_account: DashMap<Key, Failures>,
    most: usize,
}

struct Failures {
    version: u64,
    count: u32,
    last: Instant,
}

const DAY: u64 = 24 * 60 * 60;

// === impl Policy ===

impl Policy {
    /// The time that is left, of a lock that began then; `None`: it is over.
    fn left(self, since: Instant, now: Instant) -> Option<Left> {
        let Some(days) = self.days else {
            return Some(Left::Unlimited);
        };
        let lasts = Duration::from_secs(u64::from(days) * DAY);
        let left = lasts.checked_sub(now.saturating_duration_since(since))?;
        Some(Left::Days(left.as_secs().div_ceil(DAY)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Unlimited,
    Days(u64),
}

// === impl Lockouts ===

impl Lockouts {
    pub fn new(most: usize) -> Self {
        Self {
            by_account: DashMap::new(),
            most,
        }
    }

    /// The password was wrong. What the client is told of it, if the account is locked now.
    pub fn failed(&self, account: &Account, now: Instant) -> Option<Refusal> {
        let policy = account.lock_policy?;
        let key = key(account);
        let is_full = self.by_account.len() >= self.most && !self.by_account.contains_key(&key);
        if is_full {
            self.by_account.clear();
        }
        let mut failures = self.by_account.entry(key).or_insert(Failures {
            version: account.version,
            count: 0,
            last: now,
        });
        let is_over = failures.count >= policy.attempts && policy.left(failures.last, now).is_none();
        if failures.version != account.version || is_over {
            (failures.version, failures.count) = (account.version, 0);
        }
        if failures.count < policy.attempts {
            (failures.count, failures.last) = (failures.count + 1, now);
        }
        drop(failures);
        self.locked(account, now)
    }

    /// The password was right. Why the client is not let in all the same, if the account is locked.
    pub fn passed(&self, account: &Account, now: Instant) -> Option<Refusal> {
        account.lock_policy?;
        let locked = self.locked(account, now);
        if locked.is_none() {
            self.by_account.remove(&key(account));
        }
        locked
    }

    /// Nobody is locked any more.
    pub fn forget_all(&self) {
        self.by_account.clear();
    }

    fn locked(&self, account: &Account, now: Instant) -> Option<Refusal> {
        let policy = account.lock_policy?;
        let failures = self.by_account.get(&key(account))?;
        if failures.version != account.version || failures.count < policy.attempts {
            return None;
        }
        let left = policy.left(failures.last, now)?;
        let shown = |left| match left {
            Left::Unlimited => "unlimited".to_owned(),
            Left::Days(days) => days.to_string(),
        };
        let all = policy
            .days
            .map_or(Left::Unlimited, |days| Left::Days(days.into()));
        Some(refusal::account_blocked(
            &account.user,
            &account.client_host,
            &shown(all),
            &shown(left),
            policy.attempts,
        ))
    }
}

fn key(account: &Account) -> Key {
    (account.user.clone(), account.host_pattern.clone())
}

#[cfg(test)]
mod tests {
    use super::super::Flavour;
    use super::*;

    fn account(attempts: u32, days: Option<u32>) -> Account {
        Account {
            lock_policy: Some(Policy { attempts, days }),
            ..Account::unknown(b"app", "10.0.0.1".to_owned(), Flavour::MySql)
        }
    }

    #[test]
    fn who_fails_too_often_is_locked_for_a_while() {
        let (lockouts, account, now) = (Lockouts::new(10), account(2, Some(3)), Instant::now());
        assert!(lockouts.failed(&account, now).is_none());
        assert!(lockouts.passed(&account, now).is_none());
        assert!(lockouts.failed(&account, now).is_none(), "the count begins anew");
        let told = lockouts.failed(&account, now).unwrap();
        assert_eq!(told.code, 3955);
        assert!(
            told.message
                .contains("blocked for 3 day(s) (3 day(s) remaining) due to 2")
        );
        assert!(
            lockouts.passed(&account, now).is_some(),
            "whatever the password is"
        );
        let later = now + Duration::from_secs(2 * DAY + 1);
        assert!(
            lockouts
                .failed(&account, later)
                .unwrap()
                .message
                .contains("(1 day(s)")
        );
        let over = now + Duration::from_secs(3 * DAY + 1);
        assert!(lockouts.failed(&account, over).is_none() && lockouts.passed(&account, over).is_none());
    }

    #[test]
    fn a_change_of_the_account_unlocks_it() {
        let (lockouts, account, now) = (Lockouts::new(10), account(1, None), Instant::now());
        assert!(
            lockouts
                .failed(&account, now)
                .unwrap()
                .message
                .contains("unlimited day(s)")
        );
        let changed = Account {
            version: 1,
            ..account.clone()
        };
        assert!(lockouts.passed(&changed, now).is_none());
        assert!(lockouts.failed(&account, now).is_some());
        lockouts.forget_all();
        assert!(lockouts.passed(&account, now).is_none());
    }

    #[test]
    fn without_a_policy_nobody_is_locked_and_nothing_is_kept() {
        let (lockouts, now) = (Lockouts::new(1), Instant::now());
        let without = Account {
            lock_policy: None,
            ..account(1, None)
        };
        assert!(lockouts.failed(&without, now).is_none());
        assert!(lockouts.by_account.is_empty());
    }
}
