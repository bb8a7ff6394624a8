//! Who may log in, and as whom: the proxy gives the answer that the servers would, now and in their words.

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};
use splitrail::wire::command::Command;

use crate::fixture::proxy::{connect, unique};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// Code, SQLSTATE and text of a login that must fail. None when the server named a plugin that this client lacks.
async fn refusal(options: OptsBuilder) -> Option<(u16, String, String)> {
    match connect(options).await {
        Err(Error::Server(error)) => Some((error.code, error.state, error.message)),
        Err(Error::Driver(DriverError::UnknownAuthPlugin { .. })) => None,
        Err(error) => panic!("not the server's refusal: {error:?}"),
        Ok(_) => panic!("it was let in"),
    }
}

/// The login fails with exactly the error that the primary gives; returns its code.
async fn refused_as_direct(proxy: &Proxy<'_>, options: &OptsBuilder) -> u16 {
    // What TLS remembers of one server is of no use to another.
    let secure = Opts::from(options.clone()).ssl_opts().is_some();
    let options = || options.clone().ssl_opts(secure.then(tls));
    let direct = refusal(options().tcp_port(proxy.cluster.primary().port)).await;
    let proxied = refusal(options().tcp_port(proxy.port())).await.unwrap();
    // Of an account that is no more, or not for this host, MySQL may name a plugin that this client lacks.
    assert_eq!(proxied, direct.unwrap_or_else(|| proxied.clone()));
    proxied.0
}

/// A name that no account has. MySQL pretends that each has one, with a plugin that depends on the name; it must
/// be one that this client knows.
async fn nobody(proxy: &Proxy<'_>) -> String {
    loop {
        let name = unique("nobody");
        let options = proxy
            .options()
            .user(Some(&name))
            .tcp_port(proxy.cluster.primary().port);
        if refusal(options).await.is_some() {
            return name;
        }
    }
}

async fn create_user(cluster: &Cluster, user: &str, identified: &str) {
    let primary = cluster.primary();
    primary
        .execute(format!("CREATE USER '{user}'@'%' {identified}"))
        .await
        .unwrap();
    primary
        .execute(format!("GRANT SELECT ON app.* TO '{user}'@'%'"))
        .await
        .unwrap();
}

fn tls() -> SslOpts {
    SslOpts::default()
        .with_danger_accept_invalid_certs(true)
        .with_danger_skip_domain_validation(true)
}

async fn text(client: &mut Conn, sql: &str) -> String {
    client.query_first::<String, _>(sql).await.unwrap().unwrap()
}

on_both_flavours! {
    async fn a_servers_account_may_log_in(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("plain");
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'a long secret'").await;
        // The first login needs the password itself where a server keeps a salted hash; here it travels encrypted
        // by RSA, with a key that the client asks for. The second one does not.
        for _ in 0..2 {
            let mut client = proxy.connect(&user, "a long secret").await.unwrap();
            assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, format!("{user}@%"));
            client.disconnect().await.unwrap();
        }
        let options = proxy.options().user(Some(&user));
        assert_eq!(refused_as_direct(proxy, &options.clone().pass(Some("a long secre"))).await, 1045);
        assert_eq!(refused_as_direct(proxy, &options.pass(None::<String>)).await, 1045);
    }

    async fn a_servers_account_may_log_in_over_tls(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("tls");
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'secret'").await;
        let options = proxy.options().user(Some(&user)).pass(Some("secret")).ssl_opts(tls());
        for _ in 0..2 {
            let mut client = connect(options.clone()).await.unwrap();
            assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, format!("{user}@%"));
        }
        refused_as_direct(proxy, &options.clone().pass(Some("wrong"))).await;
        refused_as_direct(proxy, &options.user(Some(nobody(proxy).await))).await;
    }

    async fn an_account_without_a_password(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("empty");
        create_user(proxy.cluster, &user, "IDENTIFIED BY ''").await;
        let options = proxy.options().user(Some(&user));
        for options in [options.clone(), options.clone().ssl_opts(tls())] {
            let mut client = connect(options.clone().pass(None::<String>)).await.unwrap();
            assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, format!("{user}@%"));
            refused_as_direct(proxy, &options.pass(Some("something"))).await;
        }
    }

    async fn who_is_refused_learns_it_in_the_servers_words(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let (user, other) = (unique("refused"), unique("elsewhere"));
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'secret'").await;
        let primary = proxy.cluster.primary();
        primary.execute(format!("CREATE USER '{other}'@'10.1.2.3' IDENTIFIED BY 'secret'")).await.unwrap();
        let options = proxy.options().user(Some(&user)).pass(Some("secret"));
        let code = async |options| refused_as_direct(proxy, &options).await;
        let options = || options.clone();
        assert_eq!(code(options().pass(Some("wrong"))).await, 1045);
        let nobody = nobody(proxy).await;
        assert_eq!(code(options().user(Some(&nobody))).await, 1045);
        // The servers may claim otherwise: it depends on the account that they take for an example.
        let (_, _, text) = refusal(options().user(Some(&nobody)).pass(None::<String>)).await.unwrap();
        assert_eq!(text, format!("Access denied for user '{nobody}'@'127.0.0.1' (using password: NO)"));
        assert_eq!(code(options().user(Some(&other))).await, 1045);
        assert_eq!(code(options().db_name(Some("mysql"))).await, 1044);
        assert_eq!(code(options().db_name(Some("no_such_database"))).await, 1044);
        assert_eq!(code(proxy.options().db_name(Some("no_such_database"))).await, 1049);
        // The same with connections in the pool.
        connect(options()).await.unwrap().disconnect().await.unwrap();
        assert_eq!(code(options().db_name(Some("mysql"))).await, 1044);
        assert_eq!(code(proxy.options().db_name(Some("no_such_database"))).await, 1049);
    }

    async fn locked_and_expired_accounts(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("locked");
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'secret'").await;
        let options = proxy.options().user(Some(&user)).pass(Some("secret"));
        let mut open = connect(options.clone()).await.unwrap();
        let primary = proxy.cluster.primary();
        primary.execute(format!("ALTER USER '{user}'@'%' ACCOUNT LOCK")).await.unwrap();
        let code = match flavour {
            Flavour::MySql => 3118,
            Flavour::MariaDb => 4151,
        };
        assert_eq!(refused_as_direct(proxy, &options).await, code);
        // Who is in stays in, as on the server.
        open.query_drop("SELECT 1").await.unwrap();
        primary.execute(format!("ALTER USER '{user}'@'%' ACCOUNT UNLOCK")).await.unwrap();
        connect(options.clone()).await.unwrap();
        primary.execute(format!("ALTER USER '{user}'@'%' PASSWORD EXPIRE")).await.unwrap();
        if flavour == Flavour::MySql {
            assert_eq!(refused_as_direct(proxy, &options).await, 1862);
            return;
        }
        // Let in, to do nothing but to change the password.
        let mut expired = connect(options.clone()).await.unwrap();
        let error = expired.query_drop("SELECT 1").await.unwrap_err().to_string();
        assert!(error.contains("1820"), "{error}");
        expired.query_drop("SET PASSWORD = PASSWORD('renewed')").await.unwrap();
        expired.query_drop("SELECT 1").await.unwrap();
        refused_as_direct(proxy, &options).await;
        proxy.connect(&user, "renewed").await.unwrap();
    }

    async fn a_changed_password_counts_at_once(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("changed");
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'first'").await;
        let primary = proxy.cluster.primary();
        let (mut old, mut new) = ("first".to_owned(), String::new());
        for round in 0..3 {
            // A connection of the old password lies in the pool.
            let mut client = proxy.connect(&user, &old).await.unwrap();
            client.query_drop("SELECT 1").await.unwrap();
            client.disconnect().await.unwrap();
            new = format!("changed {round}");
            primary.execute(format!("ALTER USER '{user}'@'%' IDENTIFIED BY '{new}'")).await.unwrap();
            let options = proxy.options().user(Some(&user)).pass(Some(&old));
            refused_as_direct(proxy, &options).await;
            proxy.connect(&user, &new).await.unwrap();
            old = new.clone();
        }
        proxy.connect(&user, &new).await.unwrap();
    }

    async fn a_dropped_account_is_gone_at_once(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let user = unique("dropped");
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'secret'").await;
        let client = proxy.connect(&user, "secret").await.unwrap();
        client.disconnect().await.unwrap();
        proxy.cluster.primary().execute(format!("DROP USER '{user}'@'%'")).await.unwrap();
        let options = proxy.options().user(Some(&user)).pass(Some("secret"));
        assert_eq!(refused_as_direct(proxy, &options).await, 1045);
        // One that is created anew is another account.
        create_user(proxy.cluster, &user, "IDENTIFIED BY 'other'").await;
        refused_as_direct(proxy, &options).await;
        proxy.connect(&user, "other").await.unwrap();
    }

    async fn a_client_changes_its_user_and_back(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let (other, empty) = (unique("other"), unique("empty"));
        let identified = match flavour {
            Flavour::MySql => "IDENTIFIED WITH caching_sha2_password BY 'other'",
            Flavour::MariaDb => "IDENTIFIED VIA mysql_native_password USING PASSWORD('other')",
        };
        create_user(proxy.cluster, &other, identified).await;
        create_user(proxy.cluster, &empty, "IDENTIFIED BY ''").await;
        let mut client = proxy.client().await;
        client.query_drop("SET @a = 1").await.unwrap();
        for (user, password) in [(&*other, Some("other")), (&*empty, None), ("app", Some("app"))] {
            let options = ChangeUserOpts::default()
                .with_user(Some(user.to_owned()))
                .with_pass(password.map(str::to_owned))
                .with_db_name(Some("app".to_owned()));
            client.change_user(options).await.unwrap();
            assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, format!("{user}@%"));
            assert_eq!(text(&mut client, "SELECT DATABASE()").await, "app");
            let variable: Option<Option<i64>> = client.query_first("SELECT @a").await.unwrap();
            assert_eq!(variable, Some(None));
        }
        let wrong = |user: &str| ChangeUserOpts::default()
            .with_user(Some(user.to_owned()))
            .with_pass(Some("wrong".to_owned()));
        let mut direct = proxy.cluster.primary().connect().await.unwrap();
        for user in [&*other, &*nobody(proxy).await] {
            let (proxied, expected) = (client.change_user(wrong(user)).await, direct.change_user(wrong(user)).await);
            assert_eq!(proxied.unwrap_err().to_string(), expected.unwrap_err().to_string());
            client = proxy.client().await;
            direct = proxy.cluster.primary().connect().await.unwrap();
        }
    }

    async fn who_becomes_nobody_else_stays_or_goes_as_with_the_server(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut request = b"nobody_at_all\0\x14".to_vec();
        request.extend([7; 20]);
        request.extend(b"app\0\x2d\0mysql_native_password\0");
        let who = Who::of(proxy.cluster, Who::usual()).database("app");
        let mut answers = Vec::new();
        for address in [proxy.cluster.primary().address(), proxy.address()] {
            let mut raw = Raw::open(&address, &who).await;
            raw.run("SET @a = 1").await;
            let mut steps = Vec::new();
            for _ in 0..4 {
                raw.send(Command::CHANGE_USER, &request).await;
                // It may be asked for another proof first.
                let mut answer = raw.packet().await;
                if answer.as_ref().is_some_and(|packet| packet[0] == 0xfe) {
                    raw.put(&[7; 20]).await;
                    answer = raw.packet().await;
                }
                steps.push(answer.map(|packet| packet[1..3].to_vec()));
                raw.send_query("SELECT CURRENT_USER(), DATABASE(), @a IS NULL").await;
                let next = raw.packet().await;
                let goes_on = next.is_some();
                if goes_on {
                    while raw.packet().await.is_some_and(|packet| packet[0] != 0xfe) {}
                    steps.push(raw.packet().await);
                    raw.packet().await;
                }
                steps.push(next);
                if !goes_on {
                    break;
                }
            }
            answers.push(steps);
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].len(), if flavour == Flavour::MariaDb { 12 } else { 2 });
    }

    async fn rights_count_from_the_next_login_on(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let (user, database) = (unique("rights"), cluster.new_database().await);
        create_user(cluster, &user, "IDENTIFIED BY 'secret'").await;
        let primary = cluster.primary();
        primary.execute(format!("CREATE TABLE {database}.t (id INT)")).await.unwrap();
        let change = async |sql: &str| primary.execute(sql.replace("WHO", &format!("'{user}'@'%'"))).await.unwrap();
        // Of what a server looks at for once: everywhere, and in one schema. Connections of before lie in the pool.
        for place in ["*.*".to_owned(), format!("{database}.*")] {
            for allowed in [false, true, false] {
                if allowed {
                    change(&format!("GRANT SELECT, INSERT ON {place} TO WHO")).await;
                } else {
                    change("GRANT USAGE ON *.* TO WHO").await;
                    primary.execute(format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{user}'@'%'")).await.unwrap();
                }
                let mut client = proxy.connect(&user, "secret").await.unwrap();
                let written = client.query_drop(format!("INSERT INTO {database}.t VALUES (1)")).await;
                assert_eq!(written.is_ok(), allowed, "{place}: {written:?}");
                assert_eq!(client.query_drop(format!("USE {database}")).await.is_ok(), allowed);
                client.disconnect().await.unwrap();
            }
        }
    }
}

/// MariaDB has no such clause.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_wrong_passwords_lock_an_account_of_mysql() {
    let cluster = Cluster::shared(Flavour::MySql).await;
    let proxy = Proxy::shared(Flavour::MySql).await;
    let mut told = Vec::new();
    for direct in [true, false] {
        let user = unique("guessed");
        let clause = "FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 3";
        create_user(cluster, &user, &format!("IDENTIFIED BY 'right' {clause}")).await;
        let base = if direct {
            cluster.primary().options()
        } else {
            proxy.options()
        };
        let login = async |password: &str| {
            let options = base.clone().user(Some(&user)).pass(Some(password));
            match connect(options).await {
                Ok(client) => client.disconnect().await.map(|()| "let in".to_owned()).unwrap(),
                Err(Error::Server(error)) => {
                    format!("{} {}", error.code, error.message.replace(&user, "USER"))
                }
                Err(error) => panic!("{error}"),
            }
        };
        let mut steps = Vec::new();
        for password in ["wrong", "right", "wrong", "wrong", "right", "wrong"] {
            steps.push(login(password).await);
        }
        let unlocks = format!("ALTER USER '{user}'@'%' ACCOUNT UNLOCK FAILED_LOGIN_ATTEMPTS 4");
        cluster.primary().execute(unlocks).await.unwrap();
        steps.push(login("right").await);
        told.push(steps);
    }
    assert_eq!(told[0], told[1]);
    assert!(
        told[0][4].starts_with("3955 ") && told[0][6] == "let in",
        "{told:?}"
    );
}

/// Somebody on the servers as whom the listed accounts log in, with the plugins of each flavour.
async fn listed(flavour: Flavour) -> (&'static Cluster, String, String) {
    let cluster = Cluster::shared(flavour).await;
    let (first, second) = (unique("listed"), unique("signing"));
    create_user(cluster, &first, "IDENTIFIED BY 'server secret'").await;
    let identified = match flavour {
        Flavour::MySql => "IDENTIFIED WITH caching_sha2_password BY 'signed'",
        Flavour::MariaDb => "IDENTIFIED VIA ed25519 USING PASSWORD('signed')",
    };
    create_user(cluster, &second, identified).await;
    (cluster, first, second)
}

on_both_flavours! {
    async fn listed_accounts(flavour) {
        let (cluster, user, signing) = listed(flavour).await;
        // SHA1(SHA1('hashed')), as mysql_native_password stores it.
        let hash = "*89DF8EEC9A524A8C112D91F8759ABBCF85DC14E6";
        let accounts = format!(
            "accounts:\n  - {{name: {user}, password: server secret}}\n  \
             - {{name: masked, password: \"${{MASKED}}\", backend_user: {user}, backend_password: file:backend.secret}}\n  \
             - {{name: hashed, hash: \"{hash}\", backend_user: {user}, backend_password: server secret}}\n  \
             - {{name: open, password: \"\", backend_user: {user}, backend_password: server secret}}\n  \
             - {{name: native, password: n, plugin: mysql_native_password, backend_user: {user}, \
                backend_password: server secret}}\n  \
             - {{name: edwards, password: e, plugin: ed25519, backend_user: {user}, \
                backend_password: server secret}}\n  \
             - {{name: sha2, password: s, plugin: caching_sha2_password, backend_user: {user}, \
                backend_password: server secret}}\n  \
             - {{name: elsewhere, password: e, hosts: [10.0.0.0/8, \"192.168.%\"], backend_user: {user}, \
                backend_password: server secret}}\n  \
             - {{name: {signing}, password: signed}}\n  \
             - {{name: broken, password: b, backend_user: {user}, backend_password: wrong}}\n  \
             - {{name: single, password: s, max_connections: 1, backend_user: {user}, \
                backend_password: server secret}}"
        );
        let proxy = Proxy::before(cluster)
            .with(accounts)
            .environment("MASKED", "from outside")
            .file("backend.secret", "server secret\n")
            .start()
            .await;
        let good = [
            (&*user, Some("server secret"), &*user),
            ("masked", Some("from outside"), &*user),
            ("hashed", Some("hashed"), &*user),
            ("open", None, &*user),
            ("native", Some("n"), &*user),
            ("sha2", Some("s"), &*user),
            ("edwards", Some("e"), &*user),
            (&*signing, Some("signed"), &*signing),
        ];
        for (name, password, expected) in good {
            for ssl in [None, Some(tls())] {
                let options = proxy.options().user(Some(name)).ssl_opts(ssl);
                let mut client = connect(options.clone().pass(password)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, format!("{expected}@%"));
                let (code, _, message) = refusal(options.pass(Some("not it"))).await.unwrap();
                assert_eq!(code, 1045);
                assert_eq!(message, format!("Access denied for user '{name}'@'localhost' (using password: YES)"));
            }
        }
        let code = async |name: &str, password: &str| {
            refusal(proxy.options().user(Some(name)).pass(Some(password))).await.unwrap().0
        };
        assert_eq!(code("elsewhere", "e").await, 1045);
        // The servers' own accounts are not asked for.
        assert_eq!(code("app", "app").await, 1045);
        // Not the client's fault, and the log says whose.
        assert_eq!(code("broken", "b").await, 1045);
        proxy.wait_for_log(&["client refused", "broken", "server 'db1' refused the login"]).await;
        let _single = proxy.connect("single", "s").await.unwrap();
        assert_eq!(code("single", "s").await, 1226);
    }

    async fn no_account_is_for_this_host(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let primary = cluster.primary();
        let native = match flavour {
            Flavour::MySql => "IDENTIFIED BY",
            Flavour::MariaDb => "IDENTIFIED VIA mysql_native_password USING PASSWORD",
        };
        let secret = |secret: &str| match flavour {
            Flavour::MySql => format!("{native} '{secret}'"),
            Flavour::MariaDb => format!("{native} ('{secret}')"),
        };
        let start = Proxy::before(&cluster);
        let socket = start.folder().join("proxy.sock");
        let servers = format!("servers: [{{name: db1, address: \"unix:{}\"}}]", primary.socket.display());
        let proxy = start
            .with(servers)
            .listener(format!("{{address: \"unix:{}\"}}", socket.display()))
            .start()
            .await;
        for (user, rights) in [("monitor", "SELECT"), ("app", "ALL")] {
            primary.execute(format!("CREATE USER '{user}'@'localhost' {}", secret(user))).await.unwrap();
            primary.execute(format!("GRANT {rights} ON *.* TO '{user}'@'localhost'")).await.unwrap();
        }
        let users: Vec<(String, String)> =
            primary.query("SELECT User, Host FROM mysql.user WHERE Host <> 'localhost' ORDER BY User = 'app'").await.unwrap();
        let mut last = primary.connect().await.unwrap();
        for (user, host) in users {
            last.query_drop(format!("DROP USER '{user}'@'{host}'")).await.unwrap();
        }
        // MariaDB forgets only then that everybody was welcome.
        last.query_drop("FLUSH PRIVILEGES").await.unwrap();
        let code = refused_as_direct(&proxy, &proxy.options()).await;
        assert_eq!(code, 1130);
        let mut client = connect(proxy.options().prefer_socket(true).socket(socket.to_str())).await.unwrap();
        assert_eq!(text(&mut client, "SELECT CURRENT_USER()").await, "app@localhost");
    }
}

/// What the command line client that belongs to the servers prints, or its complaint.
fn command_line(proxy: &Proxy<'_>, arguments: &[&str], sql: &str) -> Result<String, String> {
    let output = std::process::Command::new(&proxy.cluster.client)
        .args(["--no-defaults", "-h127.0.0.1", "--protocol=tcp", "-N"])
        .args([format!("-P{}", proxy.port()), format!("-e{sql}")])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

on_both_flavours! {
    async fn the_command_line_clients(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let cluster = proxy.cluster;
        let mut accounts = vec![(unique("cli"), "IDENTIFIED BY 'c'")];
        match flavour {
            Flavour::MySql => {
                accounts.push((unique("cli"), "IDENTIFIED WITH sha256_password BY 'c'"));
                accounts.push((unique("cli"), "IDENTIFIED WITH caching_sha2_password BY 'c'"));
            }
            Flavour::MariaDb => accounts.push((unique("cli"), "IDENTIFIED VIA mysql_native_password USING PASSWORD('c')")),
        }
        let (secure, plain): (&[&str], &[&str]) = match flavour {
            Flavour::MySql => (&["--ssl-mode=REQUIRED"], &["--ssl-mode=DISABLED", "--get-server-public-key"]),
            Flavour::MariaDb => (&["--ssl"], &["--skip-ssl"]),
        };
        for (user, identified) in &accounts {
            create_user(cluster, user, identified).await;
            for channel in [plain, secure, plain] {
                let login = |password: &str| {
                    let (user, password) = (format!("-u{user}"), format!("-p{password}"));
                    command_line(proxy, &[channel, &[&user, &password]].concat(), "SELECT CURRENT_USER()")
                };
                assert_eq!(login("c").unwrap(), format!("{user}@%"), "{identified} {channel:?}");
                let error = login("wrong").unwrap_err();
                assert!(error.contains("ERROR 1045 (28000)") && error.contains(&**user), "{error}");
            }
        }
    }

    async fn accounts_are_read_though_the_server_prepares_no_more_statements(flavour) {
        let cluster = Cluster::of(flavour).option("max-prepared-stmt-count=0").start().await;
        let proxy = Proxy::before(&cluster).start().await;
        for password in ["first", "second"] {
            let user = cluster.new_account("unprepared", &format!("IDENTIFIED BY '{password}'")).await;
            let options = |password| proxy.options().user(Some(&user)).pass(Some(password));
            connect(options(password)).await.unwrap().query_drop("SELECT 1").await.unwrap();
            assert_eq!(refused_as_direct(&proxy, &options("wrong")).await, 1045);
        }
    }

    async fn a_change_of_user_counts_for_the_new_one(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {per_user: 1}").start().await;
        let user = unique("changing");
        create_user(cluster, &user, "IDENTIFIED BY 'c'").await;
        let change = || ChangeUserOpts::default()
            .with_user(Some(user.clone()))
            .with_pass(Some("c".to_owned()));
        let mut first = proxy.client().await;
        first.change_user(change()).await.unwrap();
        // The place of the old name is free again, and that of the new one is taken.
        let mut second = proxy.client().await;
        let error = second.change_user(change()).await.unwrap_err();
        assert!(error.to_string().contains("1226"), "{error}");
        proxy.wait_for_log(&["client disconnected", "1226", "max_user_connections"]).await;
        drop(second);
        first.query_drop("SELECT 1").await.unwrap();
    }
}
