//! An event as a line of text. Every client that comes or goes has one, and the subscriber's own way takes several
//! times as long. A line is never more than one line, whatever a client has sent.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::util::calendar;

/// `2026-11-21T10:11:12.345678Z  INFO target: message name=value ...`.
pub struct Line;

/// Writes what an event says; after something could not be written, nothing more.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    written: fmt::Result,
    is_first: bool,
}

/// Lets nothing through that would begin a line or command a terminal.
struct Tame<'a, 'w>(&'a mut Writer<'w>);

thread_local! {
    /// The second that the last line was written in, and how it begins.
    static SECOND: RefCell<(u64, String)> = RefCell::default();
}

// === impl Line ===

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write_line(&mut writer, SystemTime::now(), event)
    }
}

fn write_line(writer: &mut Writer<'_>, now: SystemTime, event: &Event<'_>) -> fmt::Result {
    write_time(writer, now)?;
    let metadata = event.metadata();
    writer.write_str(match *metadata.level() {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    })?;
    writer.write_str(metadata.target())?;
    writer.write_char(':')?;
    let mut fields = Fields {
        writer,
        written: Ok(()),
        is_first: true,
    };
    event.record(&mut fields);
    fields.written?;
    writer.write_char('\n')
}

fn write_time(writer: &mut Writer<'_>, now: SystemTime) -> fmt::Result {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, shown)| {
        if *second != since.as_secs() || shown.is_empty() {
            *second = since.as_secs();
            *shown = calendar::utc(now, 'T');
            shown.truncate("2026-11-21T10:11:12".len());
        }
        write!(writer, "{shown}.{:06}Z", since.subsec_micros())
    })
}

// === impl Fields ===

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.write_one(field.name(), write);
        }
    }

    fn write_one(&mut self, name: &str, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        self.writer.write_char(' ')?;
        if name != "message" || !std::mem::take(&mut self.is_first) {
            self.writer.write_str(name)?;
            self.writer.write_char('=')?;
        }
        write(self.writer)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |writer| write!(Tame(writer), "{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return self.write(field, |writer| Tame(writer).write_str(value));
        }
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        self.write(field, |writer| match value.bytes().all(is_plain) {
            true => {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            }
            false => write!(writer, "{value:?}"),
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }
}

// === impl Tame ===

impl Write for Tame<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(char::is_control) {
            return self.0.write_str(text);
        }
        text.chars()
            .try_for_each(|character| match character.is_control() {
                true => write!(self.0, "{}", character.escape_debug()),
                false => self.0.write_char(character),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Line)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_tells_when_what_and_with_what() {
        let line = logged(|| {
            let reason = "quit";
            tracing::warn!(
                client = 7,
                user = "o'hara",
                reason,
                seconds = 0.5,
                ?reason,
                "client left"
            );
        });
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(
            (time.len(), &time[10..11], &time[19..20], &time[26..]),
            (27, "T", ".", "Z")
        );
        let said = " WARN splitrail::app::line::tests: client left client=7 user=\"o'hara\" reason=\"quit\" seconds=0.5 \
                    reason=\"quit\"\n";
        assert_eq!(rest, said);
    }

    #[test]
    fn nobody_can_forge_a_line() {
        let evil = "a\n2026 \u{1b}[31m\"\\";
        let line = logged(|| tracing::info!(user = evil, shown = %evil, "{evil}"));
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains('\u{1b}'));
        assert!(line.contains(r#"user="a\n2026 \u{1b}[31m\"\\""#), "{line}");
    }
}
