//! Cells on a grid, and the bytes that bring a terminal from one grid to the next: only what has changed is written.

use std::fmt::Write;

/// What a cell means, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
    /// Of less interest.
    Quiet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub tone: Tone,
    pub bold: bool,
    pub reverse: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    /// [`BEHIND`]: the cell before takes two.
    character: char,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    size: Size,
    cells: Vec<Cell>,
}

/// What the terminal shows now.
#[derive(Debug)]
pub struct Screen {
    shown: Option<Frame>,
    has_colours: bool,
}

const BEHIND: char = '\0';
const EMPTY: Cell = Cell {
    character: ' ',
    style: Style {
        tone: Tone::Plain,
        bold: false,
        reverse: false,
    },
};
/// No terminal is larger, whatever it says.
const LARGEST: usize = 1000;

/// How many columns a character takes; those that take none are not to be drawn.
pub fn width(character: char) -> usize {
    match u32::from(character) {
        0..0x20 | 0x7f..0xa0 | 0x300..0x370 | 0xad => 0,
        0x200b..0x2010 | 0x2028..0x202f | 0x2060..0x2070 | 0x20d0..0x2100 | 0xfe00..0xfe10 | 0xfeff => 0,
        0xe0000..0xe1000 => 0,
        0x1100..0x1160 | 0x2e80..0xa4d0 | 0xac00..0xd7a4 | 0xf900..0xfb00 | 0xfe30..0xfe70 => 2,
        0xff00..0xff61 | 0xffe0..0xffe7 | 0x1f300..0x1f650 | 0x1f680..0x1fb00 | 0x20000..0x3fffe => 2,
        _ => 1,
    }
}

/// The columns of a text, as [`Frame::put`] draws it.
pub fn columns(text: &str) -> usize {
    text.chars().map(|each| width(each).max(1)).sum()
}

// === impl Size ===

impl Size {
    pub fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns: columns.clamp(1, LARGEST),
            rows: rows.clamp(1, LARGEST),
        }
    }
}

// === impl Style ===

impl Style {
    pub fn of(tone: Tone) -> Self {
        Self {
            tone,
            ..Self::default()
        }
    }

    pub fn reversed(self) -> Self {
        Self {
            reverse: true,
            ..self
        }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// What tells a terminal to write so.
    fn put(self, bytes: &mut String, has_colours: bool) {
        bytes.push_str("\x1b[0");
        if self.bold {
            bytes.push_str(";1");
        }
        if self.reverse {
            bytes.push_str(";7");
        }
        let colour = match self.tone {
            Tone::Plain => "",
            Tone::Good => ";32",
            Tone::Warning => ";33",
            Tone::Bad => ";31",
            Tone::Quiet => ";90",
        };
        if has_colours {
            bytes.push_str(colour);
        }
        bytes.push('m');
    }
}

// === impl Frame ===

impl Frame {
    pub fn new(size: Size) -> Self {
        Self {
            size,
            cells: vec![EMPTY; size.columns * size.rows],
        }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Writes a text from a column on, as far as there is room before `end`; returns where it ended. What would
    /// move the cursor, or change the terminal in another way, becomes a point.
    pub fn put(&mut self, row: usize, column: usize, end: usize, text: &str, style: Style) -> usize {
        let end = end.min(self.size.columns);
        let mut at = column;
        if row >= self.size.rows {
            return at;
        }
        for each in text.chars() {
            let (character, taken) = match width(each) {
                0 => ('.', 1),
                taken => (each, taken),
            };
            if at + taken > end {
                break;
            }
            self.cells[row * self.size.columns + at] = Cell { character, style };
            if taken == 2 {
                let character = BEHIND;
                self.cells[row * self.size.columns + at + 1] = Cell { character, style };
            }
            at += taken;
        }
        at
    }

    /// Gives a whole row one look.
    pub fn paint(&mut self, row: usize, style: impl Fn(Style) -> Style) {
        if row < self.size.rows {
            let from = row * self.size.columns;
            for cell in &mut self.cells[from..from + self.size.columns] {
                cell.style = style(cell.style);
            }
        }
    }

    fn row(&self, row: usize) -> &[Cell] {
        let from = row * self.size.columns;
        self.cells.get(from..from + self.size.columns).unwrap_or_default()
    }

    /// The rows as plain text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in 0..self.size.rows {
            let cells = self.row(row).iter().map(|cell| cell.character);
            let line: String = cells.filter(|each| *each != BEHIND).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

// === impl Screen ===

impl Screen {
    pub fn new(has_colours: bool) -> Self {
        Self {
            shown: None,
            has_colours,
        }
    }

    /// Nobody knows any more what the terminal shows.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// What has to be written so that the terminal shows the frame.
    pub fn update(&mut self, frame: Frame) -> String {
        let mut bytes = String::new();
        let known = self.shown.take().filter(|shown| shown.size == frame.size);
        if known.is_none() {
            bytes.push_str("\x1b[0m\x1b[2J");
        }
        let blank = Frame::new(frame.size);
        let known = known.as_ref().unwrap_or(&blank);
        for row in 0..frame.size.rows {
            self.update_row(&mut bytes, row, known.row(row), frame.row(row));
        }
        self.shown = Some(frame);
        bytes
    }

    /// From the first cell that differs to the last one.
    fn update_row(&self, bytes: &mut String, row: usize, known: &[Cell], wanted: &[Cell]) {
        let differs = |(known, wanted): (&Cell, &Cell)| known != wanted;
        let Some(mut first) = known.iter().zip(wanted).position(differs) else {
            return;
        };
        let mut last = first;
        for (place, pair) in known.iter().zip(wanted).enumerate().skip(first) {
            if differs(pair) {
                last = place;
            }
        }
        // Both halves of a wide character are written, and of the one that it takes the place of.
        while first > 0 && (wanted[first].character == BEHIND || known[first].character == BEHIND) {
            first -= 1;
        }
        while last + 1 < wanted.len()
            && (wanted[last + 1].character == BEHIND || known[last + 1].character == BEHIND)
        {
            last += 1;
        }
        let _ = write!(bytes, "\x1b[{};{}H", row + 1, first + 1);
        let mut style = None;
        for cell in &wanted[first..=last] {
            if style != Some(cell.style) {
                cell.style.put(bytes, self.has_colours);
                style = Some(cell.style);
            }
            if cell.character != BEHIND {
                bytes.push(cell.character);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(columns: usize, lines: &[&str]) -> Frame {
        let mut frame = Frame::new(Size::new(columns, lines.len()));
        for (row, line) in lines.iter().enumerate() {
            frame.put(row, 0, columns, line, Style::default());
        }
        frame
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut screen = Screen::new(true);
        let all = screen.update(frame(10, &["one", "two"]));
        assert_eq!(all, "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0mone\x1b[2;1H\x1b[0mtwo");
        assert_eq!(screen.update(frame(10, &["one", "two"])), "");
        assert_eq!(screen.update(frame(10, &["one", "tao"])), "\x1b[2;2H\x1b[0ma");
        let longer = screen.update(frame(11, &["one", "tao"]));
        assert!(longer.contains("\x1b[2J"), "another size is drawn anew");
        screen.forget();
        assert!(screen.update(frame(11, &["one", "tao"])).contains("one"));
    }

    #[test]
    fn texts_stay_in_their_cells_and_cannot_steer_the_terminal() {
        let shown = frame(6, &["a\x1b[2Jb\nc", "漢字漢字", "e\u{301}x"]);
        assert_eq!(shown.text(), "a.[2Jb\n漢字漢\ne.x\n");
        let mut narrow = Frame::new(Size::new(5, 1));
        assert_eq!(narrow.put(0, 2, 5, "漢字", Style::default()), 4);
        assert_eq!(narrow.put(7, 0, 5, "x", Style::default()), 0);
        assert_eq!(columns("漢a\n"), 4);
    }

    #[test]
    fn without_colours_only_the_weight_differs() {
        let mut bad = Frame::new(Size::new(3, 1));
        bad.put(0, 0, 3, "x", Style::of(Tone::Bad).bold());
        assert!(Screen::new(true).update(bad.clone()).contains("\x1b[0;1;31m"));
        assert!(Screen::new(false).update(bad).contains("\x1b[0;1m"));
    }

    proptest::proptest! {
        // A terminal that obeys what is written ends up with the frame.
        #[test]
        fn what_is_written_makes_the_frame(texts in proptest::collection::vec("[a-c 漢字]{0,9}", 6)) {
            let mut screen = Screen::new(false);
            let mut shown = vec![vec![' '; 8]; 2];
            for pair in texts.chunks(2) {
                let lines: Vec<_> = pair.iter().map(String::as_str).collect();
                let wanted = frame(8, &lines);
                obey(&mut shown, &screen.update(wanted.clone()));
                let lines = shown.iter().map(|row| row.iter().filter(|each| **each != BEHIND).collect::<String>());
                let text: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
                assert_eq!(text, wanted.text());
            }
        }
    }

    fn obey(shown: &mut [Vec<char>], bytes: &str) {
        let (mut row, mut column) = (0, 0);
        let mut rest = bytes;
        while let Some(each) = rest.chars().next() {
            rest = &rest[each.len_utf8()..];
            if each == '\x1b' {
                let end = rest.find(|each: char| each.is_ascii_alphabetic()).unwrap();
                let (arguments, letter) = (&rest[1..end], &rest[end..=end]);
                match letter {
                    "H" => {
                        let (down, across) = arguments.split_once(';').unwrap();
                        (row, column) = (
                            down.parse::<usize>().unwrap() - 1,
                            across.parse::<usize>().unwrap() - 1,
                        );
                    }
                    "J" => shown.iter_mut().for_each(|row| row.fill(' ')),
                    _ => {}
                }
                rest = &rest[end + 1..];
                continue;
            }
            // A half of a wide character that is written over takes the other half with it.
            if shown[row][column] == BEHIND {
                shown[row][column - 1] = ' ';
            }
            let taken = width(each);
            shown[row][column] = each;
            if taken == 2 {
                shown[row][column + 1] = BEHIND;
            }
            if let Some(next) = shown[row].get_mut(column + taken).filter(|next| **next == BEHIND) {
                *next = ' ';
            }
            column += taken;
        }
    }
}
