//! In the steady state a statement costs one statement: between the proxy and its servers stands a link that reads
//! along, and what it sees of clients' connections is what the clients have sent, and nothing else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Cluster, Proxy, on_both_flavours};

const HEADER: usize = 4;
/// Where the user's name begins in the answer to a greeting.
const USER: usize = 32;
const QUERY: u8 = 3;
const EXECUTE: u8 = 23;

/// The commands that reached a server, by those who are not the monitor.
type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

/// Forwards connections to a server.
async fn link(server: SocketAddr, seen: Seen) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else {
                continue;
            };
            let ((from, mut to), (mut server_from, server_to)) = (client.into_split(), server.into_split());
            tokio::spawn(read_along(from, server_to, seen.clone()));
            tokio::spawn(async move { tokio::io::copy(&mut server_from, &mut to).await });
        }
    });
    address
}

async fn read_along(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Seen) {
    let (mut bytes, mut user) = (Vec::new(), None);
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        let mut at = 0;
        while let Some(length) = packet(&bytes[at..]) {
            let (sequence, payload) = (bytes[at + 3], &bytes[at + HEADER..at + length]);
            let monitors = user.as_deref() == Some(&b"monitor"[..]);
            match user {
                None => {
                    user = payload[USER..]
                        .split(|byte| *byte == 0)
                        .next()
                        .map(<[u8]>::to_vec)
                }
                Some(_) if sequence == 0 && !monitors => seen.lock().unwrap().push(payload.to_vec()),
                Some(_) => {}
            }
            at += length;
        }
        if to.write_all(&bytes[..at]).await.is_err() {
            return;
        }
        bytes.drain(..at);
    }
}

/// The length of the packet at the beginning, once it is whole.
fn packet(bytes: &[u8]) -> Option<usize> {
    let header: [u8; HEADER] = bytes.get(..HEADER)?.try_into().unwrap();
    let length = HEADER + u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    (bytes.len() >= length).then_some(length)
}

const TEXT: &str = "SELECT n FROM steady.t WHERE id = ";
const PREPARED: &str = "SELECT n FROM steady.t WHERE id = ?";

const BALANCE: &str = "routing: {balance: round_robin}";
const EVENTUAL: &str = "consistency: {level: eventual}";
const CALM: &str = "monitor: {user: monitor, password: monitor, interval: 60s}";

/// Point selects, as text and prepared.
async fn read(client: &mut Conn, times: usize) {
    let statement = client.prep(PREPARED).await.unwrap();
    for id in 1..=times {
        let id = id % 10 + 1;
        let text: u64 = client.query_first(format!("{TEXT}{id}")).await.unwrap().unwrap();
        let prepared: u64 = client.exec_first(&statement, (id,)).await.unwrap().unwrap();
        assert_eq!((text, prepared), (id as u64, id as u64));
    }
}

/// Starts a proxy with these settings behind links, and lets so many sessions read.
async fn is_steady(cluster: &Cluster, settings: &[&str], sessions: usize) {
    let mut servers = "servers:\n".to_owned();
    let mut links = Vec::new();
    for server in cluster.servers() {
        let seen = Seen::default();
        let address = link(server.address().parse().unwrap(), seen.clone()).await;
        servers += &format!(
            "  - {{name: {}, address: \"{address}\", role: {}}}\n",
            server.name, server.role
        );
        links.push(seen);
    }
    let mut start = Proxy::before(cluster).with(servers).with("tls: {server: off}");
    for section in settings {
        start = start.with(*section);
    }
    let proxy = start.start().await;
    let mut clients = Vec::new();
    for _ in 0..sessions {
        let mut client = proxy.client().await;
        read(&mut client, 10).await;
        clients.push(client);
    }
    // Once each statement is prepared wherever it is needed, nothing more is.
    for round in 0.. {
        links.iter().for_each(|seen| seen.lock().unwrap().clear());
        for client in &mut clients {
            read(client, 20).await;
        }
        let all: Vec<_> = links
            .iter()
            .flat_map(|seen| seen.lock().unwrap().clone())
            .collect();
        let is_read = |command: &&Vec<u8>| match command[0] {
            QUERY => command.windows(TEXT.len()).any(|part| part == TEXT.as_bytes()),
            command => command == EXECUTE,
        };
        let others: Vec<_> = all.iter().filter(|command| !is_read(command)).collect();
        if !others.is_empty() && round < 5 {
            continue;
        }
        let shown: Vec<_> = others
            .iter()
            .map(|command| command.escape_ascii().to_string())
            .collect();
        assert_eq!(shown, Vec::<String>::new(), "{sessions} sessions, {settings:?}");
        assert_eq!(all.len(), 2 * 20 * sessions, "{sessions} sessions, {settings:?}");
        assert_eq!(links[0].lock().unwrap().len(), 0, "the primary reads nothing");
        if settings.contains(&EVENTUAL) {
            let busy = links[1..].iter().filter(|seen| !seen.lock().unwrap().is_empty());
            assert_eq!(busy.count(), 2, "both replicas read");
        }
        return;
    }
}

on_both_flavours! {
    async fn a_statement_costs_a_statement(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        for sql in [
            "CREATE DATABASE steady",
            "CREATE TABLE steady.t (id INT PRIMARY KEY, n INT)",
            "INSERT INTO steady.t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9), (10, 10)",
        ] {
            cluster.primary().execute(sql).await.unwrap();
        }
        cluster.catch_up().await.unwrap();
        for sessions in [1, 6] {
            is_steady(&cluster, &[BALANCE, EVENTUAL], sessions).await;
            // A session asks its server what it has seen once in a few probes: here there are none.
            is_steady(&cluster, &[BALANCE, CALM], sessions).await;
        }
    }
}
