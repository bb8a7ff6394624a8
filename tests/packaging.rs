//! What is installed: the package has what it should, and the manifests' configurations are ones the proxy takes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use splitrail::config::Config;

const PROGRAM: &str = env!("CARGO_BIN_EXE_splitrail");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_usable(text: &str) {
    let text = text.replace("${SPLITRAIL_PASSWORD}", "x");
    Config::parse(&text, Path::new("proxy.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn the_package_has_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    // A small file in the place of the binary, which would take its time to be packed.
    let binary = folder.path().join("splitrail");
    std::fs::write(&binary, format!("#!/bin/sh\nexec {PROGRAM} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
    let built = Command::new(root().join("scripts/package.sh"))
        .args([&binary, &folder.path().join("out")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let package = String::from_utf8(built.stdout).unwrap();
    let listed = Command::new("dpkg-deb")
        .args(["-c", package.trim()])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for line in [
        "-rwxr-xr-x root/root .* ./usr/bin/splitrail\n",
        "-rw-r--r-- root/root .* ./lib/systemd/system/splitrail.service\n",
        "-rw-r----- root/root .* ./etc/splitrail/proxy.yaml\n",
        "-rw-r--r-- root/root .* ./usr/share/doc/splitrail/reference.md\n",
        "-rwxr-xr-x root/root .* ./usr/share/splitrail/reclone-mariadb\n",
        "-rw-r--r-- root/root .* ./usr/share/doc/splitrail/copyright\n",
        "-rw-r--r-- root/root .* ./usr/share/doc/splitrail/changelog.gz\n",
        "-rw-r--r-- root/root .* ./usr/share/bash-completion/completions/splitrail\n",
        "-rw-r--r-- root/root .* ./usr/share/zsh/vendor-completions/_splitrail\n",
        "-rw-r--r-- root/root .* ./usr/share/fish/vendor_completions.d/splitrail.fish\n",
        "-rw-r--r-- root/root .* ./usr/share/man/man1/splitrail.1.gz\n",
    ] {
        let pattern = regex::Regex::new(line).unwrap();
        assert!(pattern.is_match(&listed), "{line}{listed}");
    }
    // A page for each that splitrail's own page names.
    for subcommand in subcommands() {
        let page = format!("/splitrail-{subcommand}.1.gz\n");
        assert!(listed.contains(&page), "{page}{listed}");
    }
}

fn said(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// As the page of the manual lists them.
fn subcommands() -> Vec<String> {
    let pattern = regex::Regex::new(r"splitrail\\-([a-z]+)\(1\)").unwrap();
    let page = said(&["man"]);
    let names: Vec<_> = pattern
        .captures_iter(&page)
        .map(|found| found[1].to_owned())
        .collect();
    assert!(names.len() > 10 && names.contains(&"top".to_owned()), "{page}");
    names
}

#[test]
fn bash_completes_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("splitrail");
    std::fs::write(&script, said(&["completions", "bash"])).unwrap();
    // As bash itself asks: the words, which of them, and the word before.
    let complete = |words: &[&str]| {
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let list = words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" ");
        let asked = format!(
            "source {script:?}; COMP_WORDS=({list}); COMP_CWORD={}; _splitrail splitrail '{last}' '{before}'; \
             echo \"${{COMPREPLY[@]}}\"; complete -p splitrail",
            words.len() - 1
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &asked])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(complete(&["splitrail", "to"]).starts_with("top\n"));
    assert!(complete(&["splitrail", "top", "--pan"]).starts_with("--panel\n"));
    assert!(complete(&["splitrail", "top", "--panel", ""]).starts_with("servers sessions digests\n"));
    assert!(complete(&["splitrail", "sandbox", "--flavour", "ma"]).starts_with("mariadb\n"));
    for (shell, word) in [("zsh", "#compdef splitrail"), ("fish", "complete -c splitrail")] {
        assert!(said(&["completions", shell]).contains(word));
    }
}

#[test]
fn the_manual_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let names = subcommands();
    let pages = std::iter::once(None).chain(names.iter().map(Some));
    let overstruck = regex::Regex::new(".\u{8}").unwrap();
    for name in pages {
        let arguments: Vec<_> = ["man"].into_iter().chain(name.map(String::as_str)).collect();
        let page = folder.path().join("page.1");
        std::fs::write(&page, said(&arguments)).unwrap();
        // groff is what `man` formats with.
        let formatted = Command::new("groff")
            .args(["-man", "-ww", "-Tutf8"])
            .arg(&page)
            .output()
            .unwrap();
        let (text, warnings) = (
            String::from_utf8_lossy(&formatted.stdout),
            String::from_utf8_lossy(&formatted.stderr),
        );
        assert!(
            formatted.status.success() && warnings.is_empty(),
            "{arguments:?}: {warnings}"
        );
        // Bold letters may be written twice, one over the other.
        let text = overstruck.replace_all(&text, "");
        assert!(
            text.contains("SYNOPSIS") && text.contains("OPTIONS"),
            "{arguments:?}: {text}"
        );
    }
    let none = Command::new(PROGRAM).args(["man", "nothing"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn the_configurations_that_come_with_it_are_usable() {
    assert_usable(&read("deploy/debian/proxy.yaml"));
    assert_usable(manifests()["ConfigMap"]["data"]["proxy.yaml"].as_str().unwrap());
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// By their kinds.
fn manifests() -> BTreeMap<String, Value> {
    let text = read("deploy/kubernetes/splitrail.yaml");
    let documents = text.split("\n---\n").map(|document| {
        let value: Value = serde_yaml::from_str(document).unwrap();
        (value["kind"].as_str().unwrap().to_owned(), value)
    });
    documents.collect()
}

#[test]
fn the_manifests_fit_each_other() {
    let all = manifests();
    let kinds: Vec<_> = all.keys().map(String::as_str).collect();
    let wanted = [
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Secret",
        "Service",
    ];
    assert_eq!(kinds, wanted);
    let pod = &all["Deployment"]["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    // Everything that picks pods picks these.
    let labels = &pod["metadata"]["labels"];
    let spread = &pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert!(labels["app.kubernetes.io/name"].is_string() && spread == labels);
    for kind in ["Deployment", "PodDisruptionBudget"] {
        assert_eq!(&all[kind]["spec"]["selector"]["matchLabels"], labels, "{kind}");
    }
    assert_eq!(&all["Service"]["spec"]["selector"], labels);
    let least = all["PodDisruptionBudget"]["spec"]["minAvailable"]
        .as_u64()
        .unwrap();
    assert!(least < all["Deployment"]["spec"]["replicas"].as_u64().unwrap());
    // Names of what is mounted, and of what passwords come from.
    let name = |kind: &str| &all[kind]["metadata"]["name"];
    assert_eq!(&container["envFrom"][0]["secretRef"]["name"], name("Secret"));
    assert_eq!(&pod["spec"]["volumes"][0]["configMap"]["name"], name("ConfigMap"));
    assert!(all["Secret"]["stringData"]["SPLITRAIL_PASSWORD"].is_string());
    let folder = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    assert_eq!(container["args"][2], format!("{folder}/proxy.yaml"));
    // Ports, and what is asked there.
    let text = all["ConfigMap"]["data"]["proxy.yaml"].as_str().unwrap();
    let text = text.replace("${SPLITRAIL_PASSWORD}", "x");
    let config = Config::parse(&text, Path::new("proxy.yaml")).unwrap();
    let port = |name: &str| {
        let mut ports = container["ports"].as_array().unwrap().iter();
        ports.find(|port| port["name"] == name).unwrap()["containerPort"].to_string()
    };
    assert!(
        config.listeners[0]
            .address
            .to_string()
            .ends_with(&format!(":{}", port("mysql")))
    );
    assert!(
        config
            .http
            .address
            .unwrap()
            .to_string()
            .ends_with(&format!(":{}", port("http")))
    );
    for served in all["Service"]["spec"]["ports"].as_array().unwrap() {
        port(served["targetPort"].as_str().unwrap());
    }
    let served = read("src/admin/http/endpoint.rs");
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(
            (&asked["path"], &asked["port"]),
            (&path.into(), &"http".into()),
            "{probe}"
        );
        assert!(served.contains(&format!("\"{path}\"")));
    }
    // Longer than transactions may take to end.
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > config.shutdown.grace.as_secs());
}

/// What the program's files, their tests left out, include from outside their folder; from the root.
fn included(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            all.extend(included(&path));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for part in program.split("include_str!(\"../").skip(1) {
            let name = part.split('"').next().unwrap();
            let file = folder.join("..").join(name).canonicalize().unwrap();
            all.push(file.strip_prefix(root()).unwrap().to_owned());
        }
    }
    all
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let dockerfile = read("deploy/docker/Dockerfile");
    let ignored = read(".dockerignore");
    let mut copied = Vec::new();
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        if words[0].starts_with("--from") {
            assert_eq!(
                words[1..],
                ["/src/target/release/splitrail", "/usr/bin/splitrail"]
            );
            continue;
        }
        copied.extend(words[..words.len() - 1].iter().map(|&word| word.to_owned()));
    }
    for path in &copied {
        assert!(root().join(path).exists(), "{path}");
        assert!(
            ignored.lines().any(|line| line == format!("!{path}")),
            "{path} is ignored"
        );
    }
    assert_eq!(
        ignored.lines().filter(|line| line.starts_with('!')).count(),
        copied.len()
    );
    for path in included(&root().join("src")) {
        let is_copied = copied.iter().any(|copied| path.starts_with(copied));
        assert!(is_copied, "the program includes {path:?}, which the image lacks");
    }
    // The compiler is no older than the crate wants.
    let manifest = read("Cargo.toml");
    let wanted = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let wanted = wanted.trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{wanted}-")), "{wanted}");
}
