//! Things put aside, each in a place where it is found again at once, and the order in which they came.

use std::collections::VecDeque;

#[derive(Debug)]
pub struct Shelf<T> {
    places: Vec<Option<Stay<T>>>,
    free: Vec<usize>,
    /// Oldest first, with some that are over among them: as many as there are stays, and a few, at most.
    order: VecDeque<Turn>,
    stays: usize,
    turns: u64,
}

#[derive(Debug)]
struct Stay<T> {
    thing: T,
    turn: u64,
}

/// When a thing came to its place. The same thing has another turn when it comes there again.
#[derive(Debug, Clone, Copy)]
struct Turn {
    place: usize,
    number: u64,
}

/// How many stays that are over are let lie, however few there are.
const LEFT_OVER: usize = 16;

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            stays: 0,
            turns: 0,
        }
    }
}

// === impl Shelf ===

impl<T> Shelf<T> {
    /// Answers the place where the thing lies from now on.
    pub fn put(&mut self, thing: T) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.turns += 1;
        let number = self.turns;
        self.places[place] = Some(Stay { thing, turn: number });
        self.stays += 1;
        self.order.push_back(Turn { place, number });
        if self.order.len() > 2 * self.stays + LEFT_OVER {
            let places = &self.places;
            self.order.retain(|turn| lying(places, *turn).is_some());
        }
        place
    }

    pub fn get(&self, place: usize) -> Option<&T> {
        Some(&self.places.get(place)?.as_ref()?.thing)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        Some(&mut self.places.get_mut(place)?.as_mut()?.thing)
    }

    pub fn take(&mut self, place: usize) -> Option<T> {
        let stay = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.stays -= 1;
        Some(stay.thing)
    }

    fn oldest_first(&self) -> impl Iterator<Item = (usize, &T)> {
        let lying = |turn: &Turn| Some((turn.place, lying(&self.places, *turn)?));
        self.order.iter().filter_map(lying)
    }

    /// The oldest for which this holds, among the first so many.
    pub fn find(&self, among: usize, holds: impl Fn(&T) -> bool) -> Option<usize> {
        let mut oldest = self.oldest_first().take(among);
        Some(oldest.find(|(_, thing)| holds(thing))?.0)
    }

    /// Where something lies, or lay: every place is below this.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    pub fn len(&self) -> usize {
        self.stays
    }

    pub fn is_empty(&self) -> bool {
        self.stays == 0
    }
}

/// What lies there, if it is that turn's still.
fn lying<T>(places: &[Option<Stay<T>>], turn: Turn) -> Option<&T> {
    let stay = places.get(turn.place)?.as_ref()?;
    (stay.turn == turn.number).then_some(&stay.thing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_comes_and_goes_takes_no_more_and_more_room() {
        let mut shelf = Shelf::default();
        for _ in 0..10_000 {
            let place = shelf.put("connection");
            assert_eq!(shelf.take(place), Some("connection"));
        }
        assert!(shelf.order.len() <= LEFT_OVER + 2, "{}", shelf.order.len());
        assert_eq!((shelf.places(), shelf.len()), (1, 0));
    }

    #[test]
    fn the_oldest_comes_first_wherever_it_lies() {
        let mut shelf = Shelf::default();
        let places: Vec<_> = (0..4).map(|number| shelf.put(number)).collect();
        assert_eq!(shelf.take(places[1]), Some(1));
        assert_eq!(shelf.take(places[1]), None);
        // It takes the place that became free, and is the youngest all the same.
        assert_eq!(shelf.put(4), places[1]);
        assert_eq!(shelf.get(places[1]), Some(&4));
        let order: Vec<_> = shelf.oldest_first().map(|(_, number)| *number).collect();
        assert_eq!(order, [0, 2, 3, 4]);
    }
}
