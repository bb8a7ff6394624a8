//! The texts of prepared statements, kept once for all sessions of a thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use crate::session::Template;

/// Bounded by what sessions and connections hold: what nobody uses any more is forgotten.
#[derive(Debug, Default)]
pub struct Templates {
    known: RefCell<HashMap<u64, Vec<Weak<Template>>>>,
    hasher: foldhash::fast::RandomState,
}

// === impl Templates ===

impl Templates {
    /// The one template equal to this: the same text, to be read in the same surroundings.
    pub fn intern(&self, template: Template) -> Arc<Template> {
        let hash = self.hasher.hash_one(&template.text);
        let mut known = self.known.borrow_mut();
        if known.len() == known.capacity() {
            known.retain(|_, alike| alike.iter().any(|weak| weak.strong_count() > 0));
        }
        let alike = known.entry(hash).or_default();
        alike.retain(|weak| weak.strong_count() > 0);
        let equal = |one: &Arc<Template>| one.text == template.text && one.state.same_as(&template.state);
        if let Some(found) = alike.iter().filter_map(Weak::upgrade).find(equal) {
            return found;
        }
        let template = Arc::new(template);
        alike.push(Arc::downgrade(&template));
        template
    }
}
