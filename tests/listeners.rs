//! The doors that clients come in by: sockets, modes, and balancers that say for whom they speak.

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use splitrail::wire::proxy_protocol::{put_v1, put_v2, put_v2_local};
use std::os::unix::fs::PermissionsExt;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::fixture::plain::Plain;
use crate::fixture::proxy::{Signal, connect};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

/// An account that may come from two addresses, neither of them this machine's.
const FAR: &str = "accounts: {backend: true, static: [{name: far, password: '', hosts: [10.9.8.7, '2001:db8::7'], \
    backend_user: app, backend_password: app}]}";

/// Connects, says for whom, and logs in as `far`.
async fn login_behind(header: &[u8], port: u16) -> Result<(), (u16, String)> {
    let mut client = Plain::connect(port).await;
    // As a balancer may: in more than one piece.
    let (first, second) = header.split_at(header.len() / 2);
    client.stream.write_all(first).await.unwrap();
    client.stream.flush().await.unwrap();
    tokio::task::yield_now().await;
    client.stream.write_all(second).await.unwrap();
    client.read().await.ok_or((0, "closed".to_owned()))?;
    client.answer("far").await?;
    client.query("SELECT 1").await;
    assert_eq!(client.read().await.unwrap(), [1]);
    Ok(())
}

fn header(put: fn(&mut Vec<u8>, std::net::SocketAddr, std::net::SocketAddr), source: &str) -> Vec<u8> {
    let mut header = Vec::new();
    let destination = if source.starts_with('[') {
        "[2001:db8::1]:3306"
    } else {
        "10.9.8.1:3306"
    };
    put(&mut header, source.parse().unwrap(), destination.parse().unwrap());
    header
}

on_both_flavours! {
    async fn a_listener_for_replicas_leaves_one_that_died(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let proxy = Proxy::before(&cluster).main_listener("mode: replica").start().await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(proxy.client().await);
        }
        let mut servers = std::collections::BTreeSet::new();
        for client in &mut clients {
            servers.insert(client.query_first::<u64, _>("SELECT @@server_id").await.unwrap().unwrap());
        }
        assert_eq!(servers.len(), 2, "both replicas have clients");
        let left: u64 = cluster.replicas()[1].query("SELECT @@server_id").await.unwrap()[0];
        cluster.replicas()[0].kill();
        proxy.wait_for_log(&["server health", "db2", "down"]).await;
        for client in &mut clients {
            let server: Option<u64> = client.query_first("SELECT @@server_id").await.unwrap();
            assert_eq!(server, Some(left));
        }
        let server: Option<u64> = proxy.client().await.query_first("SELECT @@server_id").await.unwrap();
        assert_eq!(server, Some(left));
    }

    async fn a_unix_socket(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let start = Proxy::before(cluster);
        let socket = start.folder().join("proxy.sock");
        let path = socket.to_str().unwrap().to_owned();
        // One that was left over by a process that was killed is in nobody's way.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let proxy = start.listener(format!("{{address: \"unix:{path}\", name: local}}")).start().await;
        let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o777, "who may connect is for the servers to say");
        let options = proxy.options().prefer_socket(true).socket(Some(&path));
        let mut client = connect(options.clone()).await.unwrap();
        let answer: Option<String> = client.query_first("SELECT CURRENT_USER()").await.unwrap();
        assert_eq!(answer.as_deref(), Some("app@%"));
        let error = connect(options.pass(Some("wrong"))).await.unwrap_err().to_string();
        assert!(error.contains("'app'@'localhost' (using password: YES)"), "{error}");
        proxy.wait_for_log(&["client connected", "peer=\"local\"", "listener=\"local\""]).await;
        proxy.signal(Signal::TERM);
        proxy.wait_exit().await;
        assert!(!socket.exists());
    }

    async fn a_socket_that_somebody_uses_is_left_alone(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let first = Proxy::before(cluster);
        let path = first.folder().join("proxy.sock");
        let listener = format!("{{address: \"unix:{}\"}}", path.display());
        let _first = first.listener(&listener).start().await;
        let (status, log) = Proxy::before(cluster).listener(&listener).fails().await;
        assert_eq!(status.code(), Some(1), "{log}");
        UnixStream::connect(&path).await.unwrap();
    }

    async fn each_listener_has_its_mode(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .main_listener("mode: primary")
            .listener("{address: \"127.0.0.1:{port}\", mode: replica, name: reads}")
            .start()
            .await;
        let (primary, replica) = (cluster.primary().port, cluster.replicas()[0].port);
        for _ in 0..3 {
            for (listener, server) in proxy.ports.iter().zip([primary, replica]) {
                let mut client = connect(proxy.options().tcp_port(*listener)).await.unwrap();
                let port: Option<u16> = client.query_first("SELECT @@port").await.unwrap();
                assert_eq!(port, Some(server));
            }
        }
        let mut reader = connect(proxy.options().tcp_port(proxy.ports[1])).await.unwrap();
        // As on a replica; the account of the test may write there in spite of `read_only`, so it asks nicely.
        let read_only: Option<bool> = reader.query_first("SELECT @@global.read_only").await.unwrap();
        assert_eq!(read_only, Some(true));
        proxy.wait_for_log(&["client connected", "listener=\"reads\""]).await;
    }

    async fn a_trusted_balancer_says_for_whom_it_speaks(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with(FAR)
            .main_listener("proxy_protocol: {trusted: [127.0.0.0/8]}")
            .start()
            .await;
        for source in ["10.9.8.7:4321", "[2001:db8::7]:4321"] {
            login_behind(&header(put_v1, source), proxy.port()).await.unwrap();
            login_behind(&header(put_v2, source), proxy.port()).await.unwrap();
            proxy.wait_for_log(&["client connected", "far", source]).await;
        }
        for put in [put_v1, put_v2] {
            let (code, text) = login_behind(&header(put, "10.9.8.6:1"), proxy.port()).await.unwrap_err();
            assert_eq!(code, 1045);
            assert!(text.contains("'far'@'10.9.8.6'"), "{text}");
        }
        // The balancer itself, asking whether somebody is at home.
        let mut local = Vec::new();
        put_v2_local(&mut local);
        let (_, text) = login_behind(&local, proxy.port()).await.unwrap_err();
        assert!(text.contains("'far'@'localhost'"), "{text}");
        // It has promised to say, so nothing else is taken for a login.
        let mut silent = Plain::connect(proxy.port()).await;
        silent.stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        assert_eq!(silent.read().await, None);
        proxy.wait_for_log(&["client refused", "PROXY header"]).await;
    }

    async fn nobody_else_may_say_so(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with(FAR)
            .main_listener("proxy_protocol: {trusted: [192.0.2.0/24]}")
            .listener("{address: \"127.0.0.1:{port}\"}")
            .start()
            .await;
        for port in &proxy.ports {
            for put in [put_v1, put_v2] {
                let mut liar = Plain::connect(*port).await;
                liar.stream.write_all(&header(put, "10.9.8.7:4321")).await.unwrap();
                liar.read().await.expect("the greeting that everybody gets");
                // What it said is no login.
                while let Some(packet) = liar.read().await {
                    assert_eq!((packet[0], u16::from_le_bytes([packet[1], packet[2]])), (0xff, 1043));
                }
            }
            // And who says nothing of the kind is served as always.
            let mut client = connect(proxy.options().tcp_port(*port)).await.unwrap();
            client.query_drop("SELECT 1").await.unwrap();
        }
        assert!(!proxy.log().contains("10.9.8.7"));
        let error = connect(proxy.options().user(Some("far")).pass(None::<String>)).await.unwrap_err();
        assert!(matches!(error, Error::Server(error) if error.code == 1045));
    }
}
