//! What the rules want with a statement. Small and free of references, so that it can be kept with the statement.

/// A rule, by its place among the rules.
pub(super) type Place = u16;

/// For each kind of action, the rule that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions {
    /// The rule after which no other was asked.
    pub(super) last: Option<Place>,
    pub(super) target: Option<Place>,
    pub(super) consistency: Option<Place>,
    pub(super) max_lag: Option<Place>,
    pub(super) timeout: Option<Place>,
    pub(super) block: Option<Place>,
    pub(super) rewrite: Option<Place>,
    pub(super) mirror: Option<Place>,
    pub(super) cache: Option<Place>,
    pub(super) throttle: Option<Place>,
}

/// One action, and the name of the rule that gave it.
#[derive(Debug, PartialEq, Eq)]
pub struct Said<'a, T: ?Sized> {
    pub rule: &'a str,
    pub value: &'a T,
}

// === impl Actions ===

impl Actions {
    /// No rule wants anything.
    pub fn is_empty(&self) -> bool {
        let nothing = Self {
            last: self.last,
            ..Self::default()
        };
        *self == nothing
    }

    /// Each rule that it comes from, once.
    pub(super) fn each_rule(&self, mut seen: impl FnMut(Place)) {
        let places = [
            self.last,
            self.target,
            self.consistency,
            self.max_lag,
            self.timeout,
            self.block,
            self.rewrite,
            self.mirror,
            self.cache,
            self.throttle,
        ];
        for (index, place) in places.iter().enumerate() {
            if let Some(place) = place.filter(|_| !places[..index].contains(place)) {
                seen(place);
            }
        }
    }
}

// === impl Said ===

impl<T: ?Sized> Clone for Said<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Said<'_, T> {}
