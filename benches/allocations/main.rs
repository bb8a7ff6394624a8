//! Counts allocations per statement in a running proxy: `cargo bench --bench allocations [-- mysql|mariadb]`.
//!
//! The proxy runs in this process before a real server; the client here allocates nothing while it asks, so that
//! what is counted is the proxy's. The steady state of a pooled session should allocate nothing at all.

#![allow(clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use splitrail::config::{Config, Written};
use splitrail::sandbox::{Cluster, Flavour};
use splitrail::wire::Capabilities;
use splitrail::wire::auth::Scramble;
use splitrail::wire::auth::native;
use splitrail::wire::greeting::Greeting;
use splitrail::wire::login::{FILLER, Login};
use splitrail::wire::packet::{HEADER, Header, put_packet};

static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting(mimalloc::MiMalloc);

#[global_allocator]
static ALLOCATOR: Counting = Counting(mimalloc::MiMalloc);

// The allocator's contract is kept by passing every call on unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}

/// A statement as it is asked again and again.
type Asked = (&'static str, fn(u64) -> String);

/// Each in the steady state of a session that does nothing else.
const ASKED: &[Asked] = &[
    ("select", |_| "SELECT 1".to_owned()),
    ("select, another literal each time", |turn| {
        format!("SELECT {turn} FROM (SELECT 1) AS one")
    }),
    ("set, the same value", |_| "SET @@max_join_size=1000".to_owned()),
    ("set, another value each time", |turn| {
        format!("SET @@max_join_size={}", 1000 + turn % 7)
    }),
    ("set a user variable", |turn| format!("SET @a={turn}")),
    ("do", |_| "DO 1".to_owned()),
    ("begin", |_| "BEGIN".to_owned()),
    ("select in a transaction", |_| "SELECT 1".to_owned()),
    ("commit", |_| "COMMIT".to_owned()),
];

const WARM_UP: usize = 1_000;
const STATEMENTS: u64 = 20_000;
const PASSWORD: &str = "app";

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::builder(Flavour::MariaDb).replicas(0).start().await?;
    let port = free_port()?;
    let text = format!(
        "listeners: [{{address: \"127.0.0.1:{port}\"}}]\n\
         servers: [{{name: db1, address: \"{}\"}}]\n\
         accounts: [{{name: {}, password: {}, plugin: mysql_native_password}}]\n\
         tls: {{server: {{mode: off}}}}\nworkers: 1\n",
        cluster.primary().address(),
        cluster.user,
        cluster.password,
    );
    let name = Path::new("allocations");
    let written = Written::parse(text.into(), name);
    let config = Config::of(&written)?;
    std::thread::spawn(move || splitrail::app::run(config, (written, name), false));
    let user = cluster.user.clone();
    let counted = tokio::task::spawn_blocking(move || measure(port, &user)).await?;
    for (name, count) in counted? {
        println!("{name:<40} {count:>8.3} allocations per statement");
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn measure(port: u16, user: &str) -> Result<Vec<(&'static str, f64)>> {
    let mut client = Client::connect(port, user)?;
    let mut counted = Vec::new();
    for (name, statement) in ASKED {
        // Made before, so that what is counted is the proxy's.
        let requests: Vec<Vec<u8>> = (0..STATEMENTS)
            .map(|turn| {
                let mut request = Vec::new();
                put_packet(&mut request, 0, &[b"\x03", statement(turn).as_bytes()].concat());
                request
            })
            .collect();
        for request in requests.iter().take(WARM_UP) {
            client.ask(request)?;
        }
        let before = COUNT.load(Ordering::Relaxed);
        for request in &requests {
            client.ask(request)?;
        }
        let during = COUNT.load(Ordering::Relaxed) - before;
        counted.push((*name, during as f64 / STATEMENTS as f64));
    }
    Ok(counted)
}

/// Reads responses into one fixed buffer.
struct Client {
    stream: TcpStream,
    buffer: [u8; 4096],
}

impl Client {
    fn connect(port: u16, user: &str) -> Result<Self> {
        let stream = patiently(port)?;
        let mut client = Self {
            stream,
            buffer: [0; 4096],
        };
        let length = client.packet()?;
        let greeting = Greeting::parse(&client.buffer[..length])?;
        let proof = native::reply(
            &native::stage1(PASSWORD.as_bytes()),
            &Scramble::from(greeting.scramble),
        );
        let capabilities = Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH
            | Capabilities::LONG_PASSWORD
            | Capabilities::DEPRECATE_EOF;
        let login = Login {
            capabilities,
            max_packet: 1 << 24,
            collation: 45,
            filler: [0; FILLER],
            user: user.as_bytes(),
            auth: &proof,
            database: None,
            plugin: Some(b"mysql_native_password"),
            attributes: None,
            zstd_level: None,
        };
        let (mut payload, mut packet) = (Vec::new(), Vec::new());
        login.encode(&mut payload);
        put_packet(&mut packet, 1, &payload);
        client.stream.write_all(&packet)?;
        let length = client.packet()?;
        ensure!(client.buffer[0] == 0 && length > 0, "the login failed");
        Ok(client)
    }

    fn packet(&mut self) -> Result<usize> {
        self.stream.read_exact(&mut self.buffer[..HEADER])?;
        let header = Header::parse(&self.buffer).context("a header")?;
        self.stream.read_exact(&mut self.buffer[..header.length])?;
        Ok(header.length)
    }

    /// Sends a statement and reads to the end of its response: an OK, or rows and then one.
    fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)?;
        self.packet()?;
        ensure!(self.buffer[0] != 0xff, "the statement failed");
        while self.buffer[0] != 0 && self.buffer[0] != 0xfe {
            self.packet()?;
        }
        Ok(())
    }
}

/// The proxy is starting: it listens in a moment.
fn patiently(port: u16) -> Result<TcpStream> {
    for _ in 0..100 {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return Ok(stream),
            #[allow(clippy::disallowed_methods)]
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    TcpStream::connect(("127.0.0.1", port)).context("the proxy does not listen")
}
