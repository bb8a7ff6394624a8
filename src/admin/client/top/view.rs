//! What is looked at and how: it changes with each key and each sample, and does nothing by itself.

use std::time::Duration;

use super::key::Key;
use super::panel::Panel;
use super::sample::{Counters, Sample};
use super::table::{Line, Tables};

#[derive(Debug)]
pub struct View {
    pub panel: Panel,
    pub interval: Duration,
    pub is_paused: bool,
    pub mode: Mode,
    /// What was said last, and whether it went wrong.
    pub message: Option<(String, bool)>,
    /// Why what is shown is not of now.
    pub lost: Option<String>,
    pub sample: Option<Sample>,
    pub tables: Tables,
    looks: [Look; 3],
    before: Counters,
}

/// How one panel is looked at.
#[derive(Debug, Default)]
pub struct Look {
    /// The column; `None`: as the rows come.
    pub order: Option<usize>,
    pub is_reversed: bool,
    /// In small letters; all of its words are in each line.
    pub filter: String,
    /// The line's key, and where it was.
    selected: Option<(String, usize)>,
}

/// Whom the keys are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Table,
    /// The text is typed; what it was before comes back on Escape.
    Filter {
        before: String,
    },
    Confirm {
        command: String,
        question: String,
    },
    Help,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Nothing,
    Quit,
    /// Draw everything anew.
    Redraw,
    /// Have the proxy do this.
    Run(String),
}

/// A filter is no longer.
const LONGEST_FILTER: usize = 100;
const PAGE: usize = 10;

// === impl View ===

impl View {
    pub fn new(panel: Panel, interval: Duration) -> Self {
        let look = |panel: Panel| Look {
            order: panel.usual_order(),
            ..Look::default()
        };
        Self {
            panel,
            interval,
            is_paused: false,
            mode: Mode::Table,
            message: None,
            lost: None,
            sample: None,
            tables: Tables::default(),
            looks: Panel::ALL.map(look),
            before: Counters::default(),
        }
    }

    /// The proxy has answered.
    pub fn take(&mut self, sample: Sample) {
        self.tables = Tables::of(&sample, &mut self.before);
        self.sample = Some(sample);
        self.lost = None;
    }

    pub fn look(&self) -> &Look {
        &self.looks[self.panel.place()]
    }

    pub fn look_mut(&mut self) -> &mut Look {
        &mut self.looks[self.panel.place()]
    }

    /// The lines of the panel that pass its filter, in its order.
    pub fn lines(&self) -> Vec<&Line> {
        let look = self.look();
        let words: Vec<_> = look.filter.split_whitespace().collect();
        let passes = |line: &&Line| {
            let says = |word: &&str| {
                line.fields
                    .iter()
                    .any(|field| field.text.to_lowercase().contains(*word))
            };
            words.iter().all(says)
        };
        let mut lines: Vec<_> = self.tables.of_panel(self.panel).iter().filter(passes).collect();
        if let Some(order) = look.order {
            let is_number = self.panel.columns()[order].is_number;
            let descending = is_number != look.is_reversed;
            lines.sort_by(|left, right| left.fields[order].compare(&right.fields[order], descending));
        } else if look.is_reversed {
            lines.reverse();
        }
        lines
    }

    /// Where the selected line is among these.
    pub fn selected(&self, lines: &[&Line]) -> usize {
        let Some((key, place)) = &self.look().selected else {
            return 0;
        };
        let found = lines.iter().position(|line| line.key == *key);
        found.unwrap_or(*place).min(lines.len().saturating_sub(1))
    }
}

// === impl View: keys ===

impl View {
    pub fn press(&mut self, key: Key) -> Action {
        if key == Key::Interrupt {
            return Action::Quit;
        }
        if key == Key::Redraw {
            return Action::Redraw;
        }
        self.message = None;
        match std::mem::replace(&mut self.mode, Mode::Table) {
            Mode::Table => self.press_on_table(key),
            Mode::Filter { before } => {
                self.press_on_filter(key, before);
                Action::Nothing
            }
            Mode::Confirm { command, .. } => match key {
                Key::Character('y' | 'Y') => Action::Run(command),
                _ => {
                    self.message = Some(("nothing was done".to_owned(), false));
                    Action::Nothing
                }
            },
            // Any key ends it.
            Mode::Help => Action::Nothing,
        }
    }

    fn press_on_table(&mut self, key: Key) -> Action {
        match key {
            Key::Character('q' | 'Q') => return Action::Quit,
            Key::Character(digit @ '1'..='3') => {
                let place = usize::from(digit == '2') + 2 * usize::from(digit == '3');
                self.panel = Panel::ALL[place];
            }
            Key::Tab => self.panel = self.panel.step(1),
            Key::BackTab => self.panel = self.panel.step(2),
            Key::Up => self.select(|place, _| place.saturating_sub(1)),
            Key::Down => self.select(|place, last| (place + 1).min(last)),
            Key::PageUp => self.select(|place, _| place.saturating_sub(PAGE)),
            Key::PageDown => self.select(|place, last| (place + PAGE).min(last)),
            Key::Home => self.select(|_, _| 0),
            Key::End => self.select(|_, last| last),
            Key::Character('s') => self.sort_by_next(),
            Key::Character('S' | 'r') => {
                let look = self.look_mut();
                look.is_reversed = !look.is_reversed;
            }
            Key::Character('/') => {
                let before = self.look().filter.clone();
                self.mode = Mode::Filter { before };
            }
            Key::Escape => self.look_mut().filter.clear(),
            Key::Character('p' | ' ') => self.is_paused = !self.is_paused,
            Key::Character('h' | '?') => self.mode = Mode::Help,
            Key::Character('k') => self.ask_to_kill(true),
            Key::Character('K') => self.ask_to_kill(false),
            _ => {}
        }
        Action::Nothing
    }

    fn press_on_filter(&mut self, key: Key, before: String) {
        let filter = &mut self.look_mut().filter;
        match key {
            Key::Enter => return,
            Key::Escape => {
                *filter = before;
                return;
            }
            Key::Backspace => {
                filter.pop();
            }
            Key::Character(each) if filter.chars().count() < LONGEST_FILTER => {
                filter.extend(each.to_lowercase());
            }
            _ => {}
        }
        self.mode = Mode::Filter { before };
    }

    fn select(&mut self, go: impl Fn(usize, usize) -> usize) {
        let lines = self.lines();
        let last = lines.len().saturating_sub(1);
        let place = go(self.selected(&lines), last).min(last);
        let selected = lines.get(place).map(|line| (line.key.clone(), place));
        self.look_mut().selected = selected;
    }

    /// The rows' own order comes behind the last column's.
    fn sort_by_next(&mut self) {
        let columns = self.panel.columns().len();
        let look = self.look_mut();
        look.order = match look.order {
            None => Some(0),
            Some(last) if last + 1 >= columns => None,
            Some(order) => Some(order + 1),
        };
        look.is_reversed = false;
    }

    fn ask_to_kill(&mut self, is_query: bool) {
        if self.panel != Panel::Sessions {
            self.message = Some((
                "sessions are ended where they are shown: press 2".to_owned(),
                true,
            ));
            return;
        }
        let lines = self.lines();
        let Some(line) = lines.get(self.selected(&lines)) else {
            self.message = Some(("no session is selected".to_owned(), true));
            return;
        };
        let (id, user) = (&line.key, &line.fields[1].text);
        let (command, question) = match is_query {
            true => (
                format!("KILL QUERY {id}"),
                format!("end what session {id} of {user} runs? y/n"),
            ),
            false => (format!("KILL {id}"), format!("end session {id} of {user}? y/n")),
        };
        let selected = Some((line.key.clone(), self.selected(&lines)));
        self.look_mut().selected = selected;
        self.mode = Mode::Confirm { command, question };
    }
}

impl View {
    /// The order by a column's name, as `--sort` gives it; `None`: there is no such column.
    pub fn sort_by(&mut self, name: &str) -> Option<()> {
        let mut names = self.panel.columns().iter().map(|column| column.name);
        let order = names.position(|known| known.eq_ignore_ascii_case(name))?;
        self.look_mut().order = Some(order);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{sample, sample_later};
    use super::*;

    fn view() -> View {
        let mut view = View::new(Panel::Servers, Duration::from_secs(1));
        view.take(sample());
        view.take(sample_later());
        view
    }

    fn type_in(view: &mut View, text: &str) -> Vec<Action> {
        text.chars()
            .map(|each| view.press(Key::Character(each)))
            .collect()
    }

    fn shown(view: &View) -> Vec<&str> {
        view.lines().iter().map(|line| line.key.as_str()).collect()
    }

    #[test]
    fn panels_are_switched() {
        let mut view = view();
        for (key, panel) in [
            (Key::Tab, Panel::Sessions),
            (Key::Tab, Panel::Digests),
            (Key::Tab, Panel::Servers),
            (Key::BackTab, Panel::Digests),
            (Key::Character('1'), Panel::Servers),
            (Key::Character('3'), Panel::Digests),
            (Key::Character('2'), Panel::Sessions),
        ] {
            assert_eq!(view.press(key), Action::Nothing);
            assert_eq!(view.panel, panel);
        }
    }

    #[test]
    fn lines_are_sorted_by_any_column_and_back_again() {
        let mut view = view();
        assert_eq!(shown(&view), ["db1", "db2", "db3"], "as configured");
        type_in(&mut view, "s");
        assert_eq!(shown(&view), ["db1", "db2", "db3"], "by name");
        type_in(&mut view, "S");
        assert_eq!(shown(&view), ["db3", "db2", "db1"], "turned round");
        view.sort_by("LAG").unwrap();
        view.look_mut().is_reversed = false;
        assert_eq!(shown(&view), ["db2", "db1", "db3"], "known numbers first");
        view.sort_by("stmts/s").unwrap();
        assert_eq!(shown(&view)[0], "db1");
        assert!(view.sort_by("nothing").is_none());
        for _ in view.look().order.unwrap()..view.panel.columns().len() {
            type_in(&mut view, "s");
        }
        assert_eq!(view.look().order, None, "all the way round");
    }

    #[test]
    fn sessions_that_do_something_come_first_and_digests_by_their_load() {
        let mut view = view();
        view.panel = Panel::Sessions;
        assert_eq!(shown(&view), ["13", "11", "12"]);
        view.panel = Panel::Digests;
        let statements: Vec<_> = view
            .lines()
            .iter()
            .map(|line| line.fields[9].text.clone())
            .collect();
        assert_eq!(statements, ["UPDATE t SET a = ?", "SELECT a FROM t"]);
    }

    #[test]
    fn lines_are_filtered_as_one_types() {
        let mut view = view();
        view.panel = Panel::Sessions;
        type_in(&mut view, "/APP upd");
        assert_eq!(shown(&view), ["13"]);
        view.press(Key::Backspace);
        assert_eq!(view.look().filter, "app up");
        view.press(Key::Enter);
        assert_eq!((&view.mode, shown(&view)), (&Mode::Table, vec!["13"]));
        type_in(&mut view, "/x");
        view.press(Key::Escape);
        assert_eq!(view.look().filter, "app up", "what was there before");
        view.press(Key::Escape);
        assert_eq!(shown(&view).len(), 3);
        type_in(&mut view, &format!("/{}", "x".repeat(1000)));
        assert_eq!(view.look().filter.len(), LONGEST_FILTER);
    }

    #[test]
    fn the_selection_stays_with_its_line() {
        let mut view = view();
        view.panel = Panel::Sessions;
        view.press(Key::Down);
        let selected = |view: &View| {
            let lines = view.lines();
            lines.get(view.selected(&lines)).map(|line| line.key.clone())
        };
        assert_eq!(selected(&view).as_deref(), Some("11"));
        view.sort_by("id").unwrap();
        assert_eq!(selected(&view).as_deref(), Some("11"), "wherever it goes");
        view.press(Key::End);
        view.press(Key::Down);
        assert_eq!(selected(&view).as_deref(), Some("11"));
        view.press(Key::Home);
        assert_eq!(selected(&view).as_deref(), Some("13"));
        type_in(&mut view, "/nobody");
        view.press(Key::Enter);
        assert_eq!(selected(&view), None);
        view.press(Key::PageDown);
    }

    #[test]
    fn nothing_is_ended_unless_it_is_confirmed() {
        let mut view = view();
        type_in(&mut view, "k");
        assert!(
            view.message.as_ref().is_some_and(|(_, is_error)| *is_error),
            "no session here"
        );
        view.panel = Panel::Sessions;
        assert_eq!(type_in(&mut view, "kn"), [Action::Nothing, Action::Nothing]);
        assert_eq!(view.mode, Mode::Table);
        let done = type_in(&mut view, "ky");
        assert_eq!(done[1], Action::Run("KILL QUERY 13".to_owned()));
        view.press(Key::Down);
        type_in(&mut view, "K");
        // The one that was asked about, whatever is on top meanwhile.
        view.take(sample());
        assert_eq!(type_in(&mut view, "y"), [Action::Run("KILL 11".to_owned())]);
        type_in(&mut view, "/nobody");
        view.press(Key::Enter);
        assert_eq!(type_in(&mut view, "ky"), [Action::Nothing, Action::Nothing]);
    }

    #[test]
    fn it_pauses_helps_and_ends() {
        let mut view = view();
        type_in(&mut view, "p");
        assert!(view.is_paused);
        type_in(&mut view, "ph");
        assert_eq!((view.is_paused, &view.mode), (false, &Mode::Help));
        assert_eq!(
            type_in(&mut view, "q"),
            [Action::Nothing],
            "it only ends the help"
        );
        assert_eq!(view.press(Key::Redraw), Action::Redraw);
        assert_eq!(type_in(&mut view, "q"), [Action::Quit]);
        type_in(&mut view, "/");
        assert_eq!(view.press(Key::Interrupt), Action::Quit);
    }
}
