//! What is installed: the package has what it should, and the manifests' configurations are ones the proxy takes.

use std::path::Path;
use std::process::Command;

use splitrail::config::Config;

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
    // A small file in the place of the binary: it is not run.
    let binary = folder.path().join("splitrail");
    std::fs::write(&binary, "#!/bin/sh\n").unwrap();
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
        "-rw-r--r-- root/root .* ./usr/share/doc/splitrail/copyright\n",
    ] {
        let pattern = regex::Regex::new(line).unwrap();
        assert!(pattern.is_match(&listed), "{line}{listed}");
    }
}

#[test]
fn the_configurations_that_come_with_it_are_usable() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    assert_usable(&read("deploy/debian/proxy.yaml"));
    let manifests = read("deploy/kubernetes/splitrail.yaml");
    let mut kinds = Vec::new();
    for document in manifests.split("\n---\n") {
        let value: serde_json::Value = serde_yaml::from_str(document).unwrap();
        if let Some(text) = value["data"]["proxy.yaml"].as_str() {
            assert_usable(text);
        }
        kinds.push(value["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "Secret",
            "Deployment",
            "Service",
            "PodDisruptionBudget"
        ]
    );
}
