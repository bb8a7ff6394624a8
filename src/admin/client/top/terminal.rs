//! The terminal: raw while it is drawn on, and as it was before at the end, whatever the end is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::{mpsc, oneshot};

use super::screen::Size;

/// Gives the terminal back when it is dropped, and before a panic is told. A thread reads and another one writes: both
/// may wait for as long as the terminal lets them, and neither keeps the process from ending.
pub struct Terminal {
    typed: mpsc::Receiver<Vec<u8>>,
    drawn: std::sync::mpsc::SyncSender<(Vec<u8>, Written)>,
    before: Arc<Before>,
}

/// Told when all has been written.
type Written = oneshot::Sender<io::Result<()>>;

/// The terminal as it was.
struct Before {
    /// A way in of its own, which does not wait.
    tty: File,
    settings: Termios,
    is_restored: AtomicBool,
}

const PATH: &str = "/dev/tty";
/// The other screen, without a cursor and without lines that wrap.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Of a terminal that does not say.
const USUAL: (usize, usize) = (80, 24);

/// What is typed and not read yet, in parts.
const TYPED: usize = 16;
/// How long a terminal may take to be given back, and how often it is tried.
const RESTORING: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(10);

// === impl Terminal ===

impl Terminal {
    pub fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let (input, output) = (options.open(PATH)?, options.open(PATH)?);
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let tty = options.custom_flags(nonblocking).open(PATH)?;
        let settings = tcgetattr(&tty)?;
        let mut raw = settings.clone();
        raw.make_raw();
        let before = Arc::new(Before {
            tty,
            settings,
            is_restored: AtomicBool::new(false),
        });
        restore_before_panics(before.clone());
        let (sender, typed) = mpsc::channel(TYPED);
        let (drawn, frames) = std::sync::mpsc::sync_channel(1);
        let terminal = Self { typed, drawn, before };
        tcsetattr(&output, OptionalActions::Now, &raw)?;
        (&output).write_all(ENTER)?;
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read(input, &sender))?;
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || write(output, &frames))?;
        Ok(terminal)
    }

    pub fn size(&self) -> Size {
        let (columns, rows) = match tcgetwinsize(&self.before.tty) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => USUAL,
        };
        Size::new(columns, rows)
    }

    /// What was typed; `None`: the terminal has gone.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        self.typed.recv().await
    }

    /// Returns when all has been written.
    pub async fn write(&self, bytes: String) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (written, done) = oneshot::channel();
        // There is never more than one on its way, so that this does not wait.
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.drawn
            .send((bytes.into_bytes(), written))
            .map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }
}

fn read(mut input: File, typed: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if typed.blocking_send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn write(mut output: File, frames: &std::sync::mpsc::Receiver<(Vec<u8>, Written)>) {
    while let Ok((bytes, written)) = frames.recv() {
        // Nobody may be left who wants to know.
        let _ = written.send(output.write_all(&bytes));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.before.restore();
    }
}

/// What a panic says is for the screen that stays.
fn restore_before_panics(before: Arc<Before>) {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before.restore();
        tell(panic);
    }));
}

// === impl Before ===

impl Before {
    /// Once. There is nobody to tell that it failed: the terminal has gone then.
    fn restore(&self) {
        if !self.is_restored.swap(true, Ordering::AcqRel) {
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.settings);
            self.leave();
        }
    }

    /// A terminal that takes nothing any more is not waited for. There may be no runtime here, in a panic.
    #[allow(clippy::disallowed_methods)]
    fn leave(&self) {
        let mut rest = LEAVE;
        for _ in 0..RESTORING {
            match (&self.tty).write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(BETWEEN),
                Err(_) => return,
            }
            if rest.is_empty() {
                return;
            }
        }
    }
}
