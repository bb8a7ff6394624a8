//! The command: one frame as text, or the loop between the keys, the proxy and the terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use mysql_async::OptsBuilder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::draw::{draw, draw_all};
use super::feed::{News, Wish, feed, look};
use super::key::{Decoder, Key};
use super::panel::Panel;
use super::screen::Screen;
use super::terminal::Terminal;
use super::view::{Action, View};
use crate::admin::client::UNREACHABLE;
use crate::admin::client::connection::{ClientError, Connection, Target};
use crate::config::parse_duration;

/// Watch servers, sessions and statements live, in a terminal
#[derive(Debug, Clone, clap::Args)]
pub struct Top {
    #[command(flatten)]
    target: Target,
    /// How often it looks: 1s, 500ms
    #[arg(long, default_value = "1s", value_parser = read_interval)]
    interval: Duration,
    /// What is shown first
    #[arg(long, value_enum, default_value = "servers")]
    panel: Panel,
    /// The column that the panel is sorted by
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// Show only lines that have all of these words
    #[arg(long, value_name = "WORDS")]
    filter: Option<String>,
    /// Print one frame, with all lines of the panel, and end; needs no terminal
    #[arg(long)]
    once: bool,
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);
/// What follows an escape later than this does not belong to it.
const AFTER_ESCAPE: Duration = Duration::from_millis(50);
/// Wishes of somebody who types faster than the proxy answers.
const WISHES: usize = 16;
/// Of one frame that goes to no terminal.
const WIDTH: usize = 80;

/// `500ms`, `2s`, or a number of seconds.
fn read_interval(text: &str) -> Result<Duration, String> {
    let seconds = || {
        text.parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    match parse_duration(text).or_else(seconds) {
        Some(interval) if (SHORTEST..=LONGEST).contains(&interval) => Ok(interval),
        Some(_) => Err("between 100ms and 1h".to_owned()),
        None => Err("write 500ms or 2s".to_owned()),
    }
}

/// The exit code: 0, or [`UNREACHABLE`].
pub async fn top(options: &Top, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<u8> {
    let shown = match options.view() {
        Ok(view) => watch(options, view, out).await,
        Err(why) => Err(why),
    };
    match shown {
        Ok(()) => Ok(0),
        Err(why) => {
            writeln!(err, "splitrail: {why}")?;
            Ok(UNREACHABLE)
        }
    }
}

async fn watch(options: &Top, view: View, out: &mut impl Write) -> Result<(), String> {
    let told = |error: ClientError| error.to_string();
    let login = options.target.options().map_err(told)?;
    let mut connection = Connection::open(login.clone()).await.map_err(told)?;
    if options.once {
        let text = once(options, view, &mut connection).await.map_err(told)?;
        connection.leave().await;
        return out.write_all(text.as_bytes()).map_err(|error| error.to_string());
    }
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
    if is_dumb || !std::io::stdout().is_terminal() {
        return Err("this is no terminal to draw on; --once prints one frame".to_owned());
    }
    let drawn = live(view, login, connection).await;
    drawn.map_err(|error| format!("the terminal: {error}"))
}

// === impl Top ===

impl Top {
    fn view(&self) -> Result<View, String> {
        let mut view = View::new(self.panel, self.interval);
        if let Some(column) = &self.sort
            && view.sort_by(column).is_none()
        {
            let names: Vec<_> = self.panel.columns().iter().map(|column| column.name).collect();
            return Err(format!(
                "there is no column `{column}`; there are {}",
                names.join(", ")
            ));
        }
        let filter = self.filter.as_deref().unwrap_or_default();
        view.look_mut().filter = filter.to_lowercase();
        Ok(view)
    }
}

/// Two looks, so that there are rates.
async fn once(options: &Top, mut view: View, connection: &mut Connection) -> Result<String, ClientError> {
    view.take(look(connection).await?);
    tokio::time::sleep(options.interval).await;
    view.take(look(connection).await?);
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let text = draw_all(&view, width.unwrap_or(WIDTH)).text();
    Ok(text)
}

/// Until somebody wants to quit, or a signal says so.
async fn live(view: View, login: OptsBuilder, connection: Connection) -> std::io::Result<()> {
    let mut ends = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ]
    .into_iter()
    .map(signal)
    .collect::<Result<Vec<_>, _>>()?;
    let (wishes, wanted) = mpsc::channel(WISHES);
    let (told, news) = mpsc::channel(WISHES);
    let asking = tokio::spawn(feed(login, Some(connection), wanted, told));
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let stage = Stage {
        view,
        terminal: Terminal::open()?,
        screen: Screen::new(has_colours),
        decoder: Decoder::default(),
        wishes,
        is_asked: false,
    };
    let [terminate, interrupt, hangup] = &mut ends[..] else {
        return Ok(());
    };
    let ended = tokio::select! {
        ended = stage.play(news) => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    asking.abort();
    ended
}

/// All that the loop holds.
struct Stage {
    view: View,
    terminal: Terminal,
    screen: Screen,
    decoder: Decoder,
    wishes: mpsc::Sender<Wish>,
    /// The proxy has not answered the last look yet.
    is_asked: bool,
}

// === impl Stage ===

impl Stage {
    async fn play(mut self, mut news: mpsc::Receiver<News>) -> std::io::Result<()> {
        let mut resized: Signal = signal(SignalKind::window_change())?;
        let mut ticks = interval(self.view.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.show().await?;
            let after_escape = Instant::now() + AFTER_ESCAPE;
            tokio::select! {
                typed = self.terminal.read() => match typed {
                    None => return Ok(()),
                    Some(bytes) => {
                        let keys = self.decoder.push(&bytes);
                        if keys.into_iter().any(|key| self.quits(key)) {
                            return Ok(());
                        }
                    }
                },
                () = sleep_until(after_escape), if self.decoder.waits() => {
                    let escape = self.decoder.flush();
                    escape.map(|key| self.quits(key));
                }
                told = news.recv() => match told {
                    Some(told) => self.hear(told),
                    None => return Ok(()),
                },
                _ = resized.recv() => self.screen.forget(),
                _ = ticks.tick() => if !self.view.is_paused { self.ask() },
            }
        }
    }

    async fn show(&mut self) -> std::io::Result<()> {
        let frame = draw(&self.view, self.terminal.size());
        let bytes = self.screen.update(frame);
        self.terminal.write(bytes).await
    }

    /// A look that is under way is enough.
    fn ask(&mut self) {
        if !self.is_asked {
            self.is_asked = self.wishes.try_send(Wish::Look).is_ok();
        }
    }

    fn quits(&mut self, key: Key) -> bool {
        match self.view.press(key) {
            Action::Nothing => {}
            Action::Quit => return true,
            Action::Redraw => self.screen.forget(),
            Action::Run(command) => {
                if self.wishes.try_send(Wish::Run(command)).is_err() {
                    let busy = "the proxy has not answered yet; try again".to_owned();
                    self.view.message = Some((busy, true));
                }
            }
        }
        false
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Seen(sample) => {
                self.is_asked = false;
                self.view.take(*sample);
            }
            News::Told(told) => {
                let is_error = told.is_err();
                self.view.message = Some((told.unwrap_or_else(|why| why), is_error));
                self.ask();
            }
            News::Lost(why) => {
                self.is_asked = false;
                self.view.lost = Some(why);
            }
        }
    }
}
