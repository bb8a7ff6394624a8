# Everything that is done with this repository, at home and in CI alike.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What `make demo` starts.
FLAVOUR ?= mysql
REPLICAS ?= 2
# Both, unless one is named.
REGRESSION := $(if $(filter file,$(origin FLAVOUR)),mariadb mysql,$(FLAVOUR))

COMPILER := cc=gcc,libc6-dev
MARIADB := mariadbd=mariadb-server mariadb-backup=mariadb-backup /usr/lib/mysql/plugin/auth_ed25519.so=mariadb-server mariadb=mariadb-client

.PHONY: help
help:
	@echo 'make demo      real servers, replication and splitrail before them (FLAVOUR=mysql|mariadb REPLICAS=2)'
	@echo 'make test      installs what it needs, then checks and runs every test'
	@echo 'make check     format, lints, documentation, licences: no server needed'
	@echo 'make servers   fetches the servers that the tests and the demo start'
	@echo "make clients   client libraries' own test suites, direct and through splitrail"
	@echo 'make compare   splitrail beside HAProxy and MySQL Router on the same server'
	@echo 'make package   the Debian package, in target/package'
	@echo 'make chaos     failover under faults, over and over (ROUNDS=60 SEED=1 FLAVOUR=mysql|mariadb FAULT=Kill ASYNC=1 EVIDENCE=1)'
	@echo 'make takeover  a hundred takeovers under load, without a refused connection'
	@echo 'make dashboard-test   the dashboard in a real browser (chromium and npm)'
	@echo 'make regression       the servers'"'"' own regression tests, through the proxy and directly (perl; installs mariadb-test)'
	@echo 'make openapi-test     the HTTP API against its description (python3; fetches schemathesis)'
	@echo 'make fuzz      the fuzz targets (FUZZ_SECONDS each)'

.PHONY: demo
demo: rust servers
	@cargo run --quiet -- sandbox --flavour $(FLAVOUR) --replicas $(REPLICAS) --tools target/demo --restart 5s

.PHONY: test
test: check servers
	scripts/install.sh tmux=tmux man=man-db groff=groff
	cargo test --locked

.PHONY: check
check: rust
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	@if command -v promtool >/dev/null; then promtool check rules deploy/prometheus/alerts.yaml; else \
		echo 'check: the alerts are not checked (promtool, in the package prometheus)'; fi
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; else \
		echo 'check: licences and advisories are not checked (cargo install --locked cargo-deny)'; fi

# MariaDB is the distribution's; where it may not be installed it is unpacked too.
.PHONY: servers
servers:
	@scripts/servers.sh mysql
	@scripts/install.sh $(MARIADB) || scripts/servers.sh mariadb

.PHONY: clients
clients: rust servers
	scripts/install.sh python3=python3,python3-venv pkg-config=pkg-config mariadb_config=libmariadb-dev npm=nodejs,npm \
		dpkg-source=dpkg-dev mariadb=mariadb-client
	cargo build --locked --release
	tests/clients/run

# Needs chromium and npm.
.PHONY: dashboard-test
dashboard-test: rust servers
	cargo build --locked
	tests/dashboard/run

# Needs python3 with venv.
.PHONY: openapi-test
openapi-test: rust servers
	cargo build --locked
	tests/openapi/run

# Needs perl. Both flavours, unless one is named.
.PHONY: regression
regression: rust
	$(if $(filter mysql,$(REGRESSION)),scripts/install.sh prove=perl && scripts/servers.sh mysql-tests)
	$(if $(filter mariadb,$(REGRESSION)),scripts/install.sh mariadb-test=mariadb-test)
	cargo build --locked
	tests/regression/run $(REGRESSION:%=--flavour %)

.PHONY: compare
compare: rust servers
	scripts/install.sh sysbench=sysbench haproxy=haproxy python3=python3
	cargo build --locked --release
	benches/compare/run
	benches/compare/run --split
	benches/compare/run --scaling --busy

# Each round's seed, figures and broken promises are added to target/tmp/chaos/runs.md.
.PHONY: chaos
# Both flavours, unless one is named.
chaos: export FLAVOUR := $(if $(filter file,$(origin FLAVOUR)),,$(FLAVOUR))
chaos: rust servers
	cargo test --locked --test integration chaos:: -- --ignored --nocapture --test-threads 1

# A hundred takeovers under load, one after the other.
.PHONY: takeover
takeover: rust servers
	cargo test --locked --test integration takeover:: -- --ignored --nocapture --test-threads 1

.PHONY: fuzz
fuzz: rust
	fuzz/run

# cargo-deb is not needed: dpkg-deb does it.
.PHONY: package
package: rust
	cargo build --locked --release --bin splitrail
	@mkdir -p target/package
	strip -o target/package/splitrail target/release/splitrail
	scripts/package.sh target/package/splitrail target/package

# A C compiler is for the cryptography library.
.PHONY: rust
rust:
	@scripts/install.sh $(COMPILER)
	@command -v cargo >/dev/null || { echo 'install Rust, version 1.90 or newer: https://rustup.rs' >&2; exit 1; }
