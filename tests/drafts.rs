//! Drafts of configurations: what `splitrail init` finds of real servers, and that its file is one the proxy takes.

use std::path::Path;
use std::process::Stdio;

use splitrail::config::{Config, Role};
use tokio::process::Command;

use crate::fixture::{Cluster, on_both_flavours};

/// Runs `splitrail init` at one server; answers whether it succeeded, and what it said.
async fn init(server: &str, user: &str, password: &str, folder: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_splitrail"))
        .args(["init", "--server", server, "--user", user])
        .args(more)
        .env("SPLITRAIL_INIT_PASSWORD", password)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

on_both_flavours! {
    async fn init_finds_the_others_from_any_server(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let (user, password) = (&cluster.user, &cluster.password);
        let mut all: Vec<_> = cluster.servers().iter().map(|server| server.address()).collect();
        all.sort();
        for server in cluster.servers() {
            let folder = tempfile::tempdir().unwrap();
            let (done, said) = init(&server.address(), user, password, folder.path(), &[]).await;
            assert!(done, "{said}");
            assert!(!said.contains("warning"), "{said}");
            assert!(said.contains("splitrail setup -c proxy.yaml --apply"), "{said}");
            let text = std::fs::read_to_string(folder.path().join("proxy.yaml")).unwrap();
            let text = text.replace("${SPLITRAIL_PASSWORD}", "monitor");
            let config = Config::parse(&text, Path::new("proxy.yaml")).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            let mut found: Vec<_> = config.servers.iter().map(|each| each.address.to_string()).collect();
            found.sort();
            assert_eq!(found, all, "{text}");
            assert_eq!(config.servers[0].role, Role::Primary);
            assert_eq!(config.servers[0].address.to_string(), cluster.primary().address());
            let (again, said) = init(&server.address(), user, password, folder.path(), &[]).await;
            assert!(!again && said.contains("exists already"), "{said}");
            let (forced, said) = init(&server.address(), user, password, folder.path(), &["--force"]).await;
            assert!(forced, "{said}");
        }
        let folder = tempfile::tempdir().unwrap();
        let (done, said) = init(&all[0], user, "wrong-secret", folder.path(), &[]).await;
        assert!(!done && !said.contains("wrong-secret"), "{said}");
        assert!(!folder.path().join("proxy.yaml").exists());
    }
}
