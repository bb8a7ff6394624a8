//! TLS on both sides: what is offered, demanded and verified, and that nothing is lost in large amounts of it.

use std::path::Path;
use std::process::Command;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Error, OptsBuilder, SslOpts};
use splitrail::sandbox::Certificates;

use crate::fixture::proxy::{Signal, connect, unique};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

fn blind() -> SslOpts {
    SslOpts::default()
        .with_danger_accept_invalid_certs(true)
        .with_danger_skip_domain_validation(true)
}

/// Believes only in this authority, and in 127.0.0.1.
fn trusting(certificates: &Certificates) -> SslOpts {
    SslOpts::default()
        .with_root_certs(vec![certificates.authority().into()])
        .with_disable_built_in_roots(true)
}

fn identity(certificates: &Certificates) -> Option<ClientIdentity> {
    Some(ClientIdentity::new(
        certificates.client_certificate().into(),
        certificates.client_key().into(),
    ))
}

/// `tls: {client: ...}` with the cluster's own certificates.
fn client_side(certificates: &Certificates, more: &str) -> String {
    let (certificate, key) = (certificates.server_certificate(), certificates.server_key());
    format!(
        "{{certificate: \"{}\", key: \"{}\"{more}}}",
        certificate.display(),
        key.display()
    )
}

/// The command line client that belongs to the servers, with this version alone: what `\s` says of TLS.
fn status(proxy: &Proxy<'_>, version: &str) -> Result<String, String> {
    let secure = match proxy.cluster.flavour {
        Flavour::MySql => "--ssl-mode=REQUIRED",
        Flavour::MariaDb => "--ssl",
    };
    let output = Command::new(&proxy.cluster.client)
        .args([
            "--no-defaults",
            "-uapp",
            "-papp",
            "-h127.0.0.1",
            "--protocol=tcp",
            // MySQL's client knows `\\s` only when asked to.
            "--loose-commands",
            secure,
        ])
        .args([
            format!("-P{}", proxy.port()),
            format!("--tls-version={version}"),
            "-e\\s".to_owned(),
        ])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    let all = text(&output.stdout);
    let line = all.lines().find(|line| line.starts_with("SSL:"));
    match line.unwrap_or_else(|| panic!("{all}")) {
        // MariaDB's client goes on without it where it is not offered.
        line if line.contains("Not in use") => Err(line.to_owned()),
        line => Ok(line.to_owned()),
    }
}

/// The cipher between proxy and server; empty without one.
async fn server_cipher(client: &mut Conn) -> String {
    // SHOW STATUS would say it of the client's own connection.
    let mut cipher = None;
    for schema in ["performance_schema", "information_schema"] {
        let sql =
            format!("SELECT variable_value FROM {schema}.session_status WHERE variable_name = 'Ssl_cipher'");
        cipher = cipher.or(client.query_first::<String, _>(sql).await.ok().flatten());
    }
    cipher.unwrap()
}

fn message(error: &Error) -> (u16, String) {
    match error {
        Error::Server(error) => (error.code, error.message.clone()),
        other => panic!("not an error of the protocol: {other:?}"),
    }
}

/// A proxy before the primary alone, with these settings towards it, and an account that is not looked up.
async fn towards<'a>(cluster: &'a Cluster, host: &str, server: &str) -> Proxy<'a> {
    let port = cluster.primary().port;
    Proxy::before(cluster)
        .with(format!("servers: [{{name: db1, address: \"{host}:{port}\"}}]"))
        .with("accounts: [{name: app, password: app}]")
        .with(format!("tls: {{server: {server}}}"))
        .start()
        .await
}

on_both_flavours! {
    async fn both_versions(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let both = Proxy::shared(flavour).await;
        assert!(status(both, "TLSv1.3").unwrap().contains("in use is TLS_"));
        let older = status(both, "TLSv1.2").unwrap();
        assert!(older.contains("in use is") && !older.contains("is TLS_"), "{older}");
        let modern = Proxy::before(cluster).with("tls: {client: {min_version: 1.3}}").start().await;
        assert!(status(&modern, "TLSv1.3").unwrap().contains("in use is TLS_"));
        status(&modern, "TLSv1.2").unwrap_err();
        modern.wait_for_log(&["client refused", "TLS failed"]).await;
        let off = Proxy::before(cluster).with("tls: {client: off}").start().await;
        status(&off, "TLSv1.3").unwrap_err();
        connect(off.options().ssl_opts(blind())).await.unwrap_err();
        connect(off.options()).await.unwrap();
    }

    async fn a_listener_that_demands_it(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster)
            .main_listener("tls: require")
            .listener("{address: \"127.0.0.1:{port}\"}")
            .start()
            .await;
        cluster.primary().execute("SET GLOBAL require_secure_transport = ON").await.unwrap();
        let proxied = connect(proxy.options()).await.unwrap_err();
        let (code, text) = message(&proxied);
        assert!(code == 3159 && text.contains("insecure transport"), "{code} {text}");
        proxy
            .wait_for_log(&["client refused", "user=\"app\"", "3159"])
            .await;
        if flavour == Flavour::MySql {
            let direct = connect(cluster.primary().options()).await.unwrap_err();
            assert_eq!(proxied.to_string(), direct.to_string());
        }
        for port in &proxy.ports {
            // The server demands it of the proxy and of its monitor account as well.
            let mut client = connect(proxy.options().ssl_opts(blind()).tcp_port(*port)).await.unwrap();
            assert_ne!(server_cipher(&mut client).await, "");
        }
        connect(proxy.options().tcp_port(proxy.ports[1])).await.unwrap();
    }

    async fn certificates_of_clients(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let ours = &cluster.certificates;
        let folder = tempfile::tempdir().unwrap();
        let others = Certificates::create(folder.path()).unwrap();
        let ca = format!(", client_ca: \"{}\"", ours.authority().display());
        let optional = Proxy::before(cluster)
            .with(format!("tls: {{client: {}}}", client_side(ours, &ca)))
            .start()
            .await;
        let required = Proxy::before(cluster)
            .with(format!(
                "tls: {{client: {}}}",
                client_side(ours, &format!("{ca}, mode: require, require_client_certificate: true"))
            ))
            .start()
            .await;
        let ours_or = |certificate| trusting(ours).with_client_identity(certificate);
        for proxy in [&optional, &required] {
            connect(proxy.options().ssl_opts(ours_or(identity(ours)))).await.unwrap();
            connect(proxy.options().ssl_opts(ours_or(identity(&others)))).await.unwrap_err();
            proxy.wait_for_log(&["client refused", "TLS failed", "certificate"]).await;
            // The proxy shows the certificate that it was given.
            connect(proxy.options().ssl_opts(trusting(&others))).await.unwrap_err();
        }
        connect(optional.options().ssl_opts(ours_or(None))).await.unwrap();
        connect(optional.options()).await.unwrap();
        connect(required.options().ssl_opts(ours_or(None))).await.unwrap_err();
        connect(required.options()).await.unwrap_err();
        // An account may demand one, too.
        let user = unique("certified");
        cluster.primary().execute(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'c' REQUIRE SSL")).await.unwrap();
        let options = optional.options().user(Some(&user)).pass(Some("c"));
        let refused = connect(options.clone()).await.unwrap_err();
        let direct = connect(options.clone().tcp_port(cluster.primary().port)).await.unwrap_err();
        assert_eq!(message(&refused), message(&direct));
        connect(options.ssl_opts(ours_or(None))).await.unwrap();
    }

    async fn certificates_are_loaded_again_without_a_restart(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let folder = tempfile::tempdir().unwrap();
        let old = Certificates::create(&folder.path().join("old")).unwrap();
        let new = Certificates::create(&folder.path().join("new")).unwrap();
        let install = |to: &Path, from: &Certificates| {
            std::fs::copy(from.server_certificate(), to.join("proxy.crt")).unwrap();
            std::fs::copy(from.server_key(), to.join("proxy.key")).unwrap();
        };
        let start = Proxy::before(cluster).with("tls: {client: {certificate: proxy.crt, key: proxy.key}}");
        install(start.folder(), &old);
        let proxy = start.start().await;
        let with = |certificates: &Certificates| proxy.options().ssl_opts(trusting(certificates));
        let mut early = connect(with(&old)).await.unwrap();
        install(proxy.folder(), &new);
        connect(with(&old)).await.unwrap();
        proxy.signal(Signal::HUP);
        proxy.wait_for_log(&["certificates loaded again"]).await;
        connect(with(&new)).await.unwrap();
        connect(with(&old)).await.unwrap_err();
        early.query_drop("SELECT 1").await.unwrap();
        // A mistake costs nothing but a line in the log.
        std::fs::write(proxy.folder().join("proxy.key"), "no key").unwrap();
        proxy.signal(Signal::HUP);
        proxy.wait_for_log(&["ERROR", "proxy.key", "the old one stays"]).await;
        connect(with(&new)).await.unwrap();
    }

    async fn towards_servers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let ca = cluster.certificates.authority();
        let verifying = |mode: &str| format!("{{mode: {mode}, ca: \"{}\"}}", ca.display());
        // A way to write 127.0.0.1 that no certificate names.
        let unnamed = "0x7f000001";
        let good = [
            ("127.0.0.1", "prefer".to_owned(), true),
            ("127.0.0.1", "require".to_owned(), true),
            ("127.0.0.1", "off".to_owned(), false),
            ("127.0.0.1", "{mode: require, min_version: 1.3}".to_owned(), true),
            ("127.0.0.1", verifying("verify-ca"), true),
            (unnamed, verifying("verify-ca"), true),
            ("127.0.0.1", verifying("verify-identity"), true),
            ("localhost", verifying("verify-identity"), true),
        ];
        for (host, mode, encrypted) in good {
            let proxy = towards(cluster, host, &mode).await;
            let mut client = proxy.client().await;
            assert_eq!(server_cipher(&mut client).await.is_empty(), !encrypted, "{host} {mode}");
        }
        let folder = tempfile::tempdir().unwrap();
        let others = Certificates::create(folder.path()).unwrap();
        let strange = |mode: &str| format!("{{mode: {mode}, ca: \"{}\"}}", others.authority().display());
        for (host, mode) in
            [("127.0.0.1", strange("verify-ca")), ("localhost", strange("verify-identity")), (unnamed, verifying("verify-identity"))]
        {
            let proxy = towards(cluster, host, &mode).await;
            let (code, text) = message(&connect(proxy.options()).await.unwrap_err());
            assert_eq!(code, 1158);
            assert!(text.contains("TLS with server 'db1' failed") && text.contains("certificate"), "{text}");
            proxy.wait_for_log(&["client refused", "TLS with server 'db1' failed"]).await;
        }
    }

    async fn as_the_client_does(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("tls: {server: follow}").start().await;
        for _ in 0..2 {
            let mut secure = connect(proxy.options().ssl_opts(blind())).await.unwrap();
            assert_ne!(server_cipher(&mut secure).await, "");
            assert_eq!(server_cipher(&mut proxy.client().await).await, "");
        }
    }

    async fn the_servers_own_accounts_over_verified_tls(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let ca = cluster.certificates.authority();
        let tls = format!("tls: {{server: {{mode: verify-identity, ca: \"{}\"}}}}", ca.display());
        let proxy = Proxy::before(cluster).with(tls).start().await;
        let mut client = proxy.client().await;
        assert_ne!(server_cipher(&mut client).await, "");
    }

    async fn a_certificate_for_servers_that_ask_for_one(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let user = unique("x509");
        let primary = cluster.primary();
        primary.execute(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x' REQUIRE X509")).await.unwrap();
        let certificates = &cluster.certificates;
        let shown = format!(
            "{{mode: require, certificate: \"{}\", key: \"{}\"}}",
            certificates.client_certificate().display(),
            certificates.client_key().display()
        );
        for (settings, accepted) in [(&*shown, true), ("require", false)] {
            let proxy = Proxy::before(cluster)
                .with(format!("accounts: [{{name: {user}, password: x}}]"))
                .with(format!("tls: {{server: {settings}}}"))
                .start()
                .await;
            let result = proxy.connect(&user, "x").await;
            assert_eq!(result.is_ok(), accepted, "{result:?}");
        }
    }

    async fn servers_without_tls(flavour) {
        let option = match flavour {
            Flavour::MySql => "tls-version=",
            Flavour::MariaDb => "skip-ssl",
        };
        let cluster = Cluster::of(flavour).option(option).start().await;
        let preferring = Proxy::before(&cluster).start().await;
        let mut client = connect(preferring.options().ssl_opts(blind())).await.unwrap();
        assert_eq!(server_cipher(&mut client).await, "");
        let demanding = towards(&cluster, "127.0.0.1", "require").await;
        let (code, text) = message(&connect(demanding.options()).await.unwrap_err());
        assert_eq!(code, 1158);
        assert!(text.contains("'db1'") && text.contains("does not offer TLS"), "{text}");
    }

    async fn large_amounts_both_ways(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("tls: {server: require}").start().await;
        let options: OptsBuilder = proxy.options().ssl_opts(blind());
        let mut client = connect(options).await.unwrap();
        assert_ne!(server_cipher(&mut client).await, "");
        let sizes = [16_000, 16_383, 16_384, 16_385, 40_000, 65_536, 1 << 20, (16 << 20) + 7];
        for size in sizes {
            let sent: Vec<u8> = (0..size).map(|index: u32| b'a' + (index % 23) as u8).collect();
            let echoed: Option<(u32, Vec<u8>)> =
                client.exec_first("SELECT LENGTH(?), ?", (&sent, &sent)).await.unwrap();
            let (length, received) = echoed.unwrap();
            assert_eq!((length, received.len()), (size, sent.len()));
            assert!(received == sent, "{size} bytes were changed");
            let repeated: Option<Vec<u8>> =
                client.query_first(format!("SELECT REPEAT('x', {size})")).await.unwrap();
            assert_eq!(repeated.unwrap().len(), size as usize);
        }
        // Many rows, each small.
        let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
            UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        let sql = format!(
            "SELECT CONCAT('row ', a.d, b.d, c.d, d.d, e.d) FROM {digits} a, {digits} b, {digits} c, {digits} d, {digits} e"
        );
        let rows: Vec<String> = client.query(sql).await.unwrap();
        assert_eq!(rows.len(), 100_000);
    }
}

on_both_flavours! {
    async fn a_client_sees_the_status_of_its_own_connection(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("tls: {server: off}").start().await;
        let mut status = Vec::new();
        for tls in [None, Some(blind())] {
            let mut client = connect(proxy.options().ssl_opts(tls)).await.unwrap();
            for name in ["Ssl_version", "Ssl_cipher"] {
                let row: Option<(String, String)> =
                    client.query_first(format!("SHOW SESSION STATUS LIKE '{name}'")).await.unwrap();
                status.push(row.unwrap().1);
            }
            assert_eq!(server_cipher(&mut client).await, "");
        }
        assert_eq!(status[..3], ["", "", "TLSv1.3"]);
        assert!(status[3].starts_with("TLS_"), "{status:?}");
    }
}
