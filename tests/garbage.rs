//! Bytes that are not the protocol, from clients before and after their login and from servers: nothing panics,
//! hangs or leaks, and clients that behave are served on.
//!
//! Everything random comes from a seed that a failure prints; `SPLITRAIL_GARBAGE_ROUNDS` asks for more of it.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use splitrail::wire::Capabilities;
use splitrail::wire::greeting::Greeting;
use splitrail::wire::packet::put_packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fixture::proxy::{PATIENCE, wait_for};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

/// How long a connection may stay open that waits for the rest of a packet.
const LOGIN_TIMEOUT: &str = "limits: {login_timeout: 1s}";
/// Far above what the proxy needs, far below what the garbage announces.
const MEMORY: u64 = 200 << 10;

/// Small, seeded and the same everywhere.
struct Dice(u64);

// === impl Dice ===

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.roll(longest + 1);
        (0..length).map(|_| self.roll(256) as u8).collect()
    }

    /// Something like what it is given: bytes changed, cut off or added, or a header that lies.
    fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut spoilt = bytes.to_vec();
        for _ in 0..=self.roll(3) {
            let at = self.roll(spoilt.len().max(1));
            match self.roll(5) {
                0 => spoilt.truncate(at),
                1 => {
                    let more = self.bytes(40);
                    spoilt.splice(at..at, more);
                }
                2 if spoilt.len() > 4 => spoilt[self.roll(4)] = self.roll(256) as u8,
                _ if !spoilt.is_empty() => spoilt[at] = [0, 1, 0xfb, 0xfc, 0xfe, 0xff, 0x7f][self.roll(7)],
                _ => {}
            }
        }
        spoilt
    }
}

fn rounds() -> u64 {
    let asked = std::env::var("SPLITRAIL_GARBAGE_ROUNDS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(120)
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_packet(&mut out, sequence, payload);
    out
}

/// Reads until the other side closes, or has nothing to say for a while.
async fn drain(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    let quiet = Duration::from_millis(20);
    while matches!(timeout(quiet, stream.read(&mut bytes)).await, Ok(Ok(1..))) {}
}

/// After all that: no client is left, nothing panicked, memory is bounded, and the next client is served.
async fn all_is_well(proxy: &Proxy<'_>) {
    // As many as may come in at all, at once: none of the places is taken any more.
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        let client = wait_for("a free place", async || {
            mysql_async::Conn::new(proxy.options()).await.ok()
        });
        let mut client = client.await;
        let answer: Option<u8> = client.query_first("SELECT 1").await.unwrap();
        assert_eq!(answer, Some(1));
        clients.push(client);
    }
    let log = proxy.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(proxy.exit_status().is_none());
    let memory = proxy.rss();
    assert!(memory < MEMORY, "{memory} KiB");
}

const PLACES: usize = 12;

fn limits() -> String {
    format!("limits: {{login_timeout: 1s, client_connections: {PLACES}}}")
}

on_both_flavours! {
    async fn garbage_before_the_login(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with(limits()).start().await;
        let mut login = vec![0x85, 0xa6, 0x3f, 0x20, 0, 0, 0, 1, 45];
        login.extend([0; 23]);
        login.extend(b"app\0\x14aaaaaaaaaaaaaaaaaaaamysql_native_password\0");
        let mut tls = login[..32].to_vec();
        tls[1] |= 0x08;
        for seed in 0..rounds() {
            let mut dice = Dice::new(seed);
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            let bytes = match dice.roll(6) {
                0 => dice.bytes(300),
                1 => [0xff, 0xff, 0xff, 1].into_iter().chain(dice.bytes(9000)).collect(),
                2 => packet(1, &tls).into_iter().chain(dice.bytes(600)).collect(),
                3 => packet(1, &dice.spoil(&login)),
                4 => dice.spoil(&packet(1, &login)),
                _ => b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            };
            let _ = stream.write_all(&bytes).await;
            drain(&mut stream).await;
            if dice.roll(2) == 0 {
                let _ = stream.write_all(&dice.bytes(100)).await;
            }
        }
        all_is_well(&proxy).await;
    }

    async fn garbage_after_the_login(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with(limits()).start().await;
        let database = cluster.new_database().await;
        cluster.primary().execute(format!("CREATE TABLE {database}.t (a INT)")).await.unwrap();
        let who = Who::of(cluster, Who::usual() | Capabilities::DEPRECATE_EOF).database(&database);
        let mut execute = vec![0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0];
        execute.extend([7, 0, 0, 0]);
        for seed in 0..rounds() {
            let mut dice = Dice::new(seed);
            let mut raw = wait_for("a free place", async || {
                let mut raw = Raw::connect(&proxy.address()).await;
                (raw.login(&who).await.first() == Some(&0)).then_some(raw)
            }).await;
            match dice.roll(7) {
                0 => raw.write(&dice.bytes(300)).await,
                1 => raw.write(&[0xff, 0xff, 0xff, 0, 3]).await,
                // Out of sequence: the statement must not reach the server.
                2 => {
                    raw.write(&packet(3, b"\x03INSERT INTO t VALUES (1)")).await;
                    raw.packet().await;
                    assert!(raw.packet().await.is_none(), "seed {seed}: still open after a packet out of order");
                }
                3 => {
                    raw.send_payload(b"\x16SELECT ?").await;
                    raw.write(&packet(0, &dice.spoil(&execute))).await;
                }
                4 => {
                    let mut change = b"\x11app\0\x00test\0\x2d\0mysql_native_password\0".to_vec();
                    change.extend(dice.bytes(30));
                    raw.write(&packet(0, &dice.spoil(&change))).await;
                }
                // Any command, with anything for its body; but not one that could stop or change the server.
                5 => {
                    let mut body = dice.bytes(60);
                    body.insert(0, [0, 1, 2, 4, 9, 10, 13, 14, 22, 23, 24, 25, 26, 27, 28, 31, 200, 250][dice.roll(18)]);
                    raw.write(&packet(0, &body)).await;
                }
                // A statement that never ends.
                _ => {
                    let whole = packet(0, &[b"\x03SELECT '".to_vec(), vec![b'a'; 90_000]].concat());
                    raw.write(&whole[..dice.roll(whole.len())]).await;
                }
            }
            if dice.roll(2) == 0 {
                let _ = timeout(Duration::from_millis(20), raw.packet()).await;
            }
        }
        all_is_well(&proxy).await;
        let rows: Vec<u8> = cluster.primary().query(format!("SELECT COUNT(*) FROM {database}.t")).await.unwrap();
        assert_eq!(rows, [0]);
    }

    async fn a_server_that_talks_garbage(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let real = TcpStream::connect(cluster.primary().address()).await.unwrap();
        let greeting = read_packet(real).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake = tokio::spawn(fake_server(listener, greeting));
        let proxy = Proxy::before(cluster)
            .with(format!("servers: [{{name: fake, address: \"127.0.0.1:{port}\", role: primary}}]"))
            .with("accounts: [{name: app, password: app, plugin: mysql_native_password}]")
            .with(LOGIN_TIMEOUT)
            .with("pool: {connect_timeout: 500ms, acquire_timeout: 500ms}")
            .start().await;
        let who = Who::of(cluster, Who::usual() | Capabilities::DEPRECATE_EOF);
        for seed in 0..rounds() {
            // Not the raw client's reader: it is as strict as the proxy, and fails.
            let _ = timeout(PATIENCE, async {
                let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
                let served = talk(&mut stream, &who).await;
                drop(stream);
                served
            }).await.unwrap_or_else(|_| panic!("seed {seed}: the client hangs"));
        }
        let log = proxy.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(proxy.exit_status().is_none());
        assert!(proxy.rss() < MEMORY);
        fake.abort();
    }
}

async fn read_packet(mut stream: TcpStream) -> Vec<u8> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.unwrap();
    let mut payload = vec![0; usize::from(header[0])];
    stream.read_exact(&mut payload).await.unwrap();
    payload
}

/// Logs in with mysql_native_password and asks something, whatever comes back.
async fn talk(stream: &mut TcpStream, who: &Who) -> Option<()> {
    use splitrail::wire::auth::{Scramble, native};
    use splitrail::wire::login::Login;
    let mut bytes = vec![0; 1 << 16];
    let count = stream.read(&mut bytes).await.ok()?;
    let greeting = Greeting::parse(bytes.get(4..count)?).ok()?;
    let reply =
        |scramble: [u8; 20]| native::reply(&native::stage1(b"app"), &Scramble::from(scramble)).to_vec();
    let login = Login {
        capabilities: who.capabilities & greeting.capabilities,
        max_packet: 1 << 24,
        collation: 45,
        filler: [0; 18],
        user: b"app",
        auth: &reply(greeting.scramble),
        database: None,
        plugin: Some(b"mysql_native_password"),
        attributes: None,
        zstd_level: None,
    };
    let mut payload = Vec::new();
    login.encode(&mut payload);
    stream.write_all(&packet(1, &payload)).await.ok()?;
    let count = stream.read(&mut bytes).await.ok()?;
    if *bytes[..count].get(4)? == 0xfe {
        let scramble = bytes.get(count - 21..count - 1)?.try_into().ok()?;
        stream.write_all(&packet(3, &reply(scramble))).await.ok()?;
        let _ = stream.read(&mut bytes).await.ok()?;
    }
    for payload in [&b"\x03SELECT 1"[..], b"\x16SELECT ?", b"\x0e", b"\x03SELECT 2"] {
        stream.write_all(&packet(0, payload)).await.ok()?;
        drain(stream).await;
    }
    Some(())
}

/// Greets properly at first, so that the proxy has a profile; later it spoils one thing or another.
async fn fake_server(listener: TcpListener, greeting: Vec<u8>) {
    for seed in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(fake_connection(stream, greeting.clone(), seed));
    }
}

async fn fake_connection(mut stream: TcpStream, greeting: Vec<u8>, seed: u64) -> Option<()> {
    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
    let mut dice = Dice::new(seed);
    let mut bytes = vec![0; 1 << 16];
    let stage = if seed == 0 { 9 } else { dice.roll(8) };
    let first = packet(0, &greeting);
    let first = if stage == 0 { dice.spoil(&first) } else { first };
    stream.write_all(&first).await.ok()?;
    if stream.read(&mut bytes).await.ok()? == 0 {
        return None;
    }
    let accept = packet(2, OK);
    let accept = if stage == 1 { dice.spoil(&accept) } else { accept };
    stream.write_all(&accept).await.ok()?;
    // The statement that turns session tracking on.
    if stream.read(&mut bytes).await.ok()? == 0 {
        return None;
    }
    let tracked = packet(1, OK);
    let tracked = if stage == 2 { dice.spoil(&tracked) } else { tracked };
    stream.write_all(&tracked).await.ok()?;
    while stream.read(&mut bytes).await.ok()? > 0 {
        let answer = match dice.roll(6) {
            0 => dice.bytes(400),
            1 => packet(1, &dice.bytes(60)),
            2 => dice.spoil(&packet(1, OK)),
            // A changed session: its entries overrun.
            3 => packet(
                1,
                &[&[0, 0, 0, 2, 0x40, 0, 0, 0, 9][..], &dice.bytes(12)].concat(),
            ),
            // A result with many columns, and an end that is none.
            4 => [
                packet(1, &[0xfc, 0xff, 0xff]),
                packet(2, &dice.bytes(90)),
                packet(3, &[0xfe]),
            ]
            .concat(),
            _ => packet(1, OK),
        };
        stream.write_all(&answer).await.ok()?;
        if dice.roll(3) == 0 {
            return None;
        }
    }
    Some(())
}
