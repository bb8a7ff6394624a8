//! Stored functions that only read, so that a statement that calls them may go to a replica.
//!
//! A function counts when it is declared NO SQL or READS SQL DATA. CONTAINS SQL is what a function is that
//! declares nothing, and allows SET and GET_LOCK: that is no promise. Nor does the server enforce the others, so
//! a function that breaks its promise fails on a read-only replica, and is then asked of the primary.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// One stored function of the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub schema: Vec<u8>,
    pub name: Vec<u8>,
    pub only_reads: bool,
}

/// Names of functions, by schema. Case plays no part: where two schemas differ in case alone, a function counts
/// only if it only reads in both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readers {
    schemas: HashMap<Box<[u8]>, HashSet<Box<[u8]>>>,
}

// === impl Readers ===

impl Readers {
    /// Of all the functions there are: one that is not given might be told apart from another by its case alone.
    pub fn new(functions: impl IntoIterator<Item = Function>) -> Self {
        let (mut readers, mut writers) = (Self::default(), Vec::new());
        for function in functions {
            let key = (lower(&function.schema), lower(&function.name));
            if function.only_reads {
                let (schema, name) = (key.0.into(), key.1.into_owned().into());
                readers.schemas.entry(schema).or_default().insert(name);
            } else {
                writers.push((key.0.into_owned(), key.1.into_owned()));
            }
        }
        for (schema, name) in writers {
            if let Some(names) = readers.schemas.get_mut(&schema[..]) {
                names.remove(&name[..]);
            }
        }
        readers.schemas.retain(|_, names| !names.is_empty());
        readers
    }

    pub fn has(&self, schema: &[u8], name: &[u8]) -> bool {
        !self.schemas.is_empty()
            && self
                .schemas
                .get(&lower(schema)[..])
                .is_some_and(|names| names.contains(&lower(name)[..]))
    }

    pub fn len(&self) -> usize {
        self.schemas.values().map(HashSet::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }
}

fn lower(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(schema: &str, name: &str, only_reads: bool) -> Function {
        Function {
            schema: schema.into(),
            name: name.into(),
            only_reads,
        }
    }

    #[test]
    fn only_what_surely_reads_is_found() {
        let readers = Readers::new([
            function("shop", "Total", true),
            function("shop", "log_it", false),
            function("A", "f", false),
            function("a", "f", true),
        ]);
        assert!(readers.has(b"shop", b"total") && readers.has(b"SHOP", b"TOTAL"));
        assert!(!readers.has(b"shop", b"log_it") && !readers.has(b"a", b"f") && !readers.has(b"", b"total"));
        assert_eq!(readers.len(), 1);
        assert!(Readers::default().is_empty());
    }
}
