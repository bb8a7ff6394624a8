//! The names that WITH gives to queries, and where they hide the tables of the same name.

use super::head::Head;

#[derive(Default)]
pub(super) struct Scopes {
    /// Names in force, with the depth at which their WITH stands.
    names: Vec<(usize, Box<[u8]>)>,
    state: State,
    recursive: bool,
    /// Queries that are being defined, the same way.
    open: Vec<Definition>,
    used: bool,
}

struct Definition {
    depth: usize,
    name: Box<[u8]>,
    recursive: bool,
}

/// Where in a WITH list the reader is, and at which depth that list stands.
#[derive(Default)]
enum State {
    #[default]
    Outside,
    /// A name is due.
    Name(usize),
    /// Behind the name; a list of columns may follow.
    Named(usize, Box<[u8]>),
    /// Behind AS.
    As(usize, Box<[u8]>),
    /// Behind the query; a comma goes on with the list.
    Defined(usize),
}

// === impl Scopes ===

impl Scopes {
    /// Whether an unqualified name is that of a query here. Names in another case may be, and are not found.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.iter().any(|(_, known)| **known == *name)
    }

    /// Whether there was a WITH at all.
    pub fn is_used(&self) -> bool {
        self.used
    }

    pub fn with(&mut self, depth: usize) {
        self.state = State::Name(depth);
        self.recursive = false;
        self.used = true;
    }

    /// Whether the name or keyword at hand is part of a WITH list, and so of nothing else.
    pub fn takes(&mut self, head: &Head<'_>, depth: usize) -> bool {
        let (next, taken) = match std::mem::take(&mut self.state) {
            State::Name(at) if at == depth && head.is("recursive") && !self.recursive => {
                self.recursive = true;
                (State::Name(at), true)
            }
            State::Name(at) if at == depth => match head.name() {
                Some(name) => (State::Named(at, name), true),
                None => (State::Outside, false),
            },
            State::Named(at, name) if at == depth && head.is("as") => (State::As(at, name), true),
            // A column of the query.
            State::Named(at, name) if at + 1 == depth => (State::Named(at, name), true),
            _ => (State::Outside, false),
        };
        self.state = next;
        taken
    }

    /// At an opening parenthesis at this depth.
    pub fn open(&mut self, depth: usize) {
        match std::mem::take(&mut self.state) {
            State::As(at, name) if at == depth => {
                if self.recursive {
                    self.names.push((depth, name.clone()));
                }
                self.open.push(Definition {
                    depth,
                    name,
                    recursive: self.recursive,
                });
            }
            State::Named(at, name) if at == depth => self.state = State::Named(at, name),
            _ => {}
        }
    }

    /// At a closing parenthesis, with the depth behind it.
    pub fn close(&mut self, depth: usize) {
        self.names.retain(|(at, _)| *at <= depth);
        if !matches!(&self.state, State::Named(at, _) if *at == depth) {
            self.state = State::Outside;
        }
        if let Some(Definition { name, recursive, .. }) =
            self.open.pop_if(|definition| definition.depth == depth)
        {
            self.names.push((depth, name));
            self.recursive = recursive;
            self.state = State::Defined(depth);
        }
    }

    /// At a comma: the next query of the list, or the next column.
    pub fn comma(&mut self, depth: usize) {
        self.state = match std::mem::take(&mut self.state) {
            State::Defined(at) if at == depth => State::Name(at),
            State::Named(at, name) if at + 1 == depth => State::Named(at, name),
            _ => State::Outside,
        };
    }
}
