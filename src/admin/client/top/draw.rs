//! From what is looked at to a grid of cells of any size.

use super::measure::rate;
use super::panel::{Column, Panel};
use super::screen::{Frame, Size, Style, Tone, columns};
use super::table::Line;
use super::view::{Mode, View};
use crate::admin::client::status::{item, spoken, writes};

/// The rows above the lines, and the one below.
pub const ABOVE: usize = 4;
const BELOW: usize = 1;
/// What the last column has at least, where there are others that can go.
const LAST: usize = 16;
/// No column but the last is wider.
const WIDEST: usize = 24;

const HELP: &[(&str, &str)] = &[
    ("Tab, 1 2 3", "servers, sessions, digests"),
    ("arrows, Page, Home, End", "select a line"),
    ("s", "sort by the next column, then as the rows come"),
    ("S", "turn the order round"),
    (
        "/",
        "show only lines that have all of these words; Escape shows all",
    ),
    ("k", "end what the selected session runs (KILL QUERY)"),
    ("K", "end the selected session (KILL)"),
    ("p", "pause, and go on"),
    ("h", "this help"),
    ("q", "quit"),
    ("", ""),
    ("load", "how much of one client's time the statement took"),
    ("reads", "the share of a server's statements that only read"),
    ("holds", "why a session keeps its server connection"),
    ("statement", "what a session runs or ran last, without literals"),
];

pub fn draw(view: &View, size: Size) -> Frame {
    let mut frame = Frame::new(size);
    draw_head(view, &mut frame);
    if view.mode == Mode::Help {
        draw_help(&mut frame);
    } else {
        draw_lines(view, &mut frame, size.rows.saturating_sub(ABOVE + BELOW));
    }
    draw_foot(view, &mut frame, size.rows.saturating_sub(BELOW));
    frame
}

/// A frame of one panel with all of its lines, and no keys.
pub fn draw_all(view: &View, width: usize) -> Frame {
    let lines = view.lines().len();
    let mut frame = Frame::new(Size::new(width, ABOVE + lines));
    draw_head(view, &mut frame);
    draw_lines(view, &mut frame, lines);
    frame
}

fn draw_head(view: &View, frame: &mut Frame) {
    let end = frame.size().columns;
    let Some(sample) = &view.sample else {
        return;
    };
    let version = |name| item(&sample.version, name);
    let up = spoken(version("uptime_seconds").parse().unwrap_or(0));
    let title = format!(
        "splitrail {}  up {up}  {} clients",
        version("version"),
        version("clients")
    );
    let at = frame.put(0, 0, end, &title, Style::default().bold());
    let per_second = view.tables.statements_per_second;
    let traffic = per_second.map_or_else(String::new, |number| format!("  {} statements/s", rate(number)));
    let at = frame.put(0, at, end, &traffic, Style::default());
    if view.is_paused {
        frame.put(0, at + 2, end, "paused", Style::of(Tone::Warning).reversed());
    }
    let analysis = |name| item(&sample.analysis, name);
    let is_open = analysis("gate") == "open";
    let state = writes(&sample.analysis);
    let tone = match (is_open, analysis("verdict")) {
        (true, "healthy") => Tone::Good,
        (true, _) => Tone::Warning,
        _ => Tone::Bad,
    };
    frame.put(1, 0, end, &state, Style::of(tone));
    draw_tabs(view, frame);
}

fn draw_tabs(view: &View, frame: &mut Frame) {
    let end = frame.size().columns;
    let mut at = 0;
    for panel in Panel::ALL {
        let count = view.tables.of_panel(panel).len();
        let tab = format!(" {} {} {count} ", panel.place() + 1, panel.name());
        let style = match panel == view.panel {
            true => Style::default().bold().reversed(),
            false => Style::default(),
        };
        at = frame.put(2, at, end, &tab, style) + 1;
    }
    let look = view.look();
    let order = look
        .order
        .map_or(view.panel.own_order(), |order| view.panel.columns()[order].name);
    let turned = if look.is_reversed { ", turned round" } else { "" };
    at = frame.put(2, at, end, &format!(" by {order}{turned}"), Style::default());
    if !look.filter.is_empty() {
        let filter = format!("  only {:?}", look.filter);
        frame.put(2, at, end, &filter, Style::of(Tone::Warning));
    }
}

fn draw_lines(view: &View, frame: &mut Frame, room: usize) {
    let lines = view.lines();
    let widths = layout(view.panel.columns(), &lines, frame.size().columns);
    let order = view.look().order;
    let mut at = 0;
    for (place, (column, width)) in view.panel.columns().iter().zip(&widths).enumerate() {
        if let Some(width) = *width {
            let style = match order == Some(place) {
                true => Style::default().bold(),
                false => Style::of(Tone::Quiet),
            };
            let from = if column.is_number {
                at + width - columns(column.name).min(width)
            } else {
                at
            };
            frame.put(3, from, at + width, column.name, style);
            at += width + 1;
        }
    }
    if room == 0 {
        return;
    }
    let selected = view.selected(&lines);
    let first = selected / room * room;
    for (row, line) in lines.iter().skip(first).take(room).enumerate() {
        draw_line(frame, ABOVE + row, view.panel.columns(), line, &widths);
        if first + row == selected && view.mode != Mode::Help {
            frame.paint(ABOVE + row, Style::reversed);
        }
    }
    if lines.is_empty() && view.sample.is_some() {
        let nothing = if view.look().filter.is_empty() {
            "none"
        } else {
            "none like that"
        };
        frame.put(ABOVE, 0, frame.size().columns, nothing, Style::of(Tone::Quiet));
    }
}

fn draw_line(frame: &mut Frame, row: usize, columns_of: &[Column], line: &Line, widths: &[Option<usize>]) {
    let mut at = 0;
    for ((column, field), width) in columns_of.iter().zip(&line.fields).zip(widths) {
        let Some(width) = *width else {
            continue;
        };
        let taken = columns(&field.text);
        let from = if column.is_number {
            at + width - taken.min(width)
        } else {
            at
        };
        frame.put(row, from, at + width, &field.text, Style::of(line.tone));
        if taken > width && width > 1 {
            frame.put(row, at + width - 1, at + width, "~", Style::of(line.tone));
        }
        at += width + 1;
    }
}

/// How wide each column is; `None`: there is no room for it. The last one takes what is left.
fn layout(all: &[Column], lines: &[&Line], room: usize) -> Vec<Option<usize>> {
    let wide = |place: usize, column: &Column| {
        let widest = lines.iter().filter_map(|line| line.fields.get(place));
        let widest = widest.map(|field| columns(&field.text)).max().unwrap_or(0);
        widest.clamp(columns(column.name), WIDEST.max(columns(column.name)))
    };
    let mut widths: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(place, column)| Some(wide(place, column)))
        .collect();
    let last = all.len().saturating_sub(1);
    loop {
        let others: usize = widths[..last].iter().flatten().map(|width| width + 1).sum();
        let is_enough = others + LAST.max(columns(all[last].name)) <= room;
        let next = (0..last).filter(|place| widths[*place].is_some() && all[*place].rank > 0);
        let next = next.max_by_key(|place| (all[*place].rank, *place));
        match next {
            Some(next) if !is_enough => widths[next] = None,
            _ => {
                widths[last] = Some(room.saturating_sub(others)).filter(|left| *left > 0);
                return widths;
            }
        }
    }
}

fn draw_help(frame: &mut Frame) {
    let end = frame.size().columns;
    for (row, (key, about)) in HELP.iter().enumerate() {
        frame.put(ABOVE + row, 1, end, key, Style::default().bold());
        frame.put(ABOVE + row, 26, end, about, Style::default());
    }
}

fn draw_foot(view: &View, frame: &mut Frame, row: usize) {
    let end = frame.size().columns;
    // Where there is no room for both, the head is worth more.
    if row < ABOVE {
        return;
    }
    match (&view.mode, &view.message, &view.lost) {
        (Mode::Filter { .. }, ..) => {
            let at = frame.put(row, 0, end, "show only: ", Style::default().bold());
            let at = frame.put(row, at, end, &view.look().filter, Style::default());
            frame.put(row, at, end, " ", Style::default().reversed());
        }
        (Mode::Confirm { question, .. }, ..) => {
            frame.put(row, 0, end, question, Style::of(Tone::Warning).bold());
        }
        (_, Some((message, is_error)), _) => {
            let tone = if *is_error { Tone::Bad } else { Tone::Good };
            frame.put(row, 0, end, message, Style::of(tone));
        }
        (_, None, Some(why)) => {
            let text = format!("not of now, trying again: {why}");
            frame.put(row, 0, end, &text, Style::of(Tone::Bad));
        }
        (Mode::Help, ..) => {
            frame.put(row, 0, end, "any key goes back", Style::of(Tone::Quiet));
        }
        (Mode::Table, None, None) => {
            let keys = "Tab panel  s sort  / filter  k kill query  K session  p pause  h help  q quit";
            frame.put(row, 0, end, keys, Style::of(Tone::Quiet));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::key::Key;
    use super::super::testing::{sample, sample_later};
    use super::*;

    fn view(panel: Panel) -> View {
        let mut view = View::new(panel, Duration::from_secs(1));
        view.take(sample());
        view.take(sample_later());
        view
    }

    fn text(view: &View, columns: usize, rows: usize) -> Vec<String> {
        let text = draw(view, Size::new(columns, rows)).text();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_usual_terminal_has_room_for_what_matters() {
        let lines = text(&view(Panel::Servers), 80, 24);
        assert_eq!(lines.len(), 24);
        assert!(
            lines[0].contains("up 1 min") && lines[0].contains("150 statements/s"),
            "{lines:#?}"
        );
        assert_eq!(lines[1], "writes go to the primary; the primary is healthy");
        assert!(
            lines[2].starts_with(" 1 servers 3   2 sessions 3   3 digests 2"),
            "{lines:#?}"
        );
        for word in [
            "server", "health", "lag", "stmts/s", "conns", "latency", "problem",
        ] {
            assert!(lines[3].contains(word), "{word}: {lines:#?}");
        }
        assert!(
            lines[5].contains("12 ms") && lines[5].contains("50") && lines[5].contains("3/100"),
            "{lines:#?}"
        );
        assert!(
            lines[6].contains("down") && lines[6].contains("connection re"),
            "{lines:#?}"
        );
        assert!(lines[23].starts_with("Tab panel"));
        assert!(lines.iter().all(|line| columns(line) <= 80));
        let sessions = text(&view(Panel::Sessions), 80, 24);
        assert!(
            sessions[4].contains("1500 ms") && sessions[4].contains("UPDATE t SET a = ?"),
            "{sessions:#?}"
        );
        assert!(sessions[5].contains("transaction"), "{sessions:#?}");
        let digests = text(&view(Panel::Digests), 80, 24);
        assert!(digests[4].starts_with("    500 50.0%"), "{digests:#?}");
    }

    #[test]
    fn any_size_is_drawn() {
        for panel in Panel::ALL {
            for keys in ["", "h", "/x", "2k", "p"] {
                let mut view = view(panel);
                keys.chars().for_each(|each| {
                    view.press(Key::Character(each));
                });
                for columns_wide in (1..140).step_by(3) {
                    for rows in 1..12 {
                        let lines = text(&view, columns_wide, rows);
                        assert_eq!(lines.len(), rows);
                    }
                }
            }
        }
        // Before the proxy has answered, too.
        let empty = View::new(Panel::Sessions, Duration::from_secs(1));
        assert_eq!(text(&empty, 80, 24).len(), 24);
    }

    #[test]
    fn less_important_columns_go_first() {
        let view = view(Panel::Sessions);
        let heads = |columns| text(&view, columns, 24)[3].clone();
        assert!(heads(160).contains("address") && heads(160).contains("db"));
        assert!(!heads(70).contains("address") && heads(70).contains("holds"));
        assert!(
            !heads(40).contains("user") && heads(40).contains("statement"),
            "{}",
            heads(40)
        );
    }

    #[test]
    fn the_selected_line_is_on_the_page() {
        let mut view = view(Panel::Servers);
        view.press(Key::End);
        // Two lines have room.
        let lines = text(&view, 80, ABOVE + BELOW + 2);
        assert!(lines[4].starts_with("db3") && lines[5].is_empty(), "{lines:#?}");
    }

    #[test]
    fn what_is_asked_and_said_is_in_the_last_row() {
        let mut view = view(Panel::Sessions);
        let foot = |view: &View| text(view, 100, 24)[23].clone();
        view.press(Key::Character('k'));
        assert_eq!(foot(&view), "end what session 13 of app runs? y/n");
        view.press(Key::Escape);
        assert_eq!(foot(&view), "nothing was done");
        view.press(Key::Character('/'));
        view.press(Key::Character('a'));
        assert!(foot(&view).starts_with("show only: a"));
        view.press(Key::Enter);
        assert!(text(&view, 100, 24)[2].contains("only \"a\""));
        view.lost = Some("connection refused".to_owned());
        assert!(foot(&view).contains("connection refused"));
    }

    #[test]
    fn a_frame_for_scripts_has_all_lines_and_no_keys() {
        let text = draw_all(&view(Panel::Servers), 120).text();
        assert_eq!(text.lines().count(), ABOVE + 3);
        assert!(!text.contains("quit") && text.contains("db3"), "{text}");
    }
}
