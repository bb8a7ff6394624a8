//! splitrail: a MySQL wire-protocol read/write-splitting proxy.
//!
//! # A bird's-eye view
//!
//! A client connects to a [listener](frontend::listener), which is open on one of a few threads, and stays on that
//! thread or is handed to one with fewer clients.
//! Each thread has an event loop, its clients and its [pools](backend::pool) of server connections; what threads
//! share is in [`frontend::shared`]. The client [proves who it is](frontend::authentication) against the
//! [`accounts`], and then its [command loop](frontend::command) runs: a request goes to a
//! [server connection](backend::connection) in the session's state, the [relay](frontend::relay) forwards the
//! response, and between statements the connection goes back to the pool unless the [`session`] has a
//! [reason](session::hold) to hold it.
//!
//! Where a statement goes is [decided](routing::decide) from the [facts](sql::Facts) about its text, from what its
//! session holds and has [seen](session::seen), and from the [`topology`], which the [`monitor`] keeps up to date.
//! A read may [run elsewhere](frontend::elsewhere) than on the connection that its session holds.
//!
//! Who is the primary is for [`failover`] to say, which [judges](failover::verdict) what the monitor saw,
//! [plans](failover::plan) and acts. Sessions know nothing of it but the [gate](topology::gate) in the topology: while
//! it is shut, what needs a primary [waits](frontend::parking), and an open transaction whose server is lost is
//! [run again](frontend::replay) on the next one. People look and steer through [`admin`]: one set of
//! [tables](admin::catalog) and [commands](admin::console) behind a MySQL port, HTTP and the command line.
//!
//! Responses are never decoded into rows. The [framer](wire::framing) follows packet headers and looks at OK, EOF
//! and ERR alone. In OK packets the server says what a statement did to the session: the proxy asks it to, and
//! [learns](session::observation) rather than guesses.
//!
//! A new process may [take over](app::run()) the listening sockets; only one of the two decides about the primary and
//! writes heartbeats at any time. Statements that are [traced](frontend::spans) are told to a queue.
//!
//! # Floors
//!
//! An import goes strictly down, folders of one floor never import each other, and anyone may import [`util`];
//! `tests/architecture.rs` enforces it.
//!
//! | floor | folders |
//! |---|---|
//! | 0 | [`wire`], [`sql`], [`gtid`], [`util`] |
//! | 1 | [`config`], [`session`], [`net`] |
//! | 2 | [`accounts`], [`topology`] |
//! | 3 | [`backend`], [`routing`], [`draft`] |
//! | 4 | [`monitor`], [`failover`], [`frontend`] |
//! | 5 | [`admin`], [`sandbox`] |
//! | 6 | [`app`] |
//!
//! # What must never be
//!
//! - `wire`, `sql` and `gtid` do no I/O, spawn nothing and know no session.
//! - `topology` opens no socket: the monitor and the sessions tell it what they saw.
//! - `session` decides nothing about sockets: it is told what was said, and is asked.
//! - `failover` judges and plans without I/O; what it does to servers is steps that can be read beforehand.
//! - `net` moves bytes and does not know what they say, beyond packet headers and compression.
//! - Nothing that came off a network is trusted: no parser panics, every length is bounded before it is used.
//! - A server connection with traces of a session (a transaction, locks, user variables, temporary tables) is never
//!   given to another one: it is held, or closed.
//! - Nothing on the path of a statement asks the kernel for the time, takes a lock or hops to another thread, unless
//!   it has to wait for a connection, rules throttle statements or keep results, or reads go where the latency is
//!   least. What is [counted](frontend::digests) of it is its thread's own, timed by a [clock](util::stopwatch) that
//!   takes no system call.
//! - A statement that may have changed anything for good is never sent twice. Reads are, and the statements of a
//!   transaction that was rolled back with its server.
//! - No secret is printed: they live in [`util::Secret`] and in [`accounts::Credential`], which hide themselves.

pub mod accounts;
pub mod admin;
pub mod app;
pub mod backend;
pub mod config;
pub mod draft;
pub mod failover;
pub mod frontend;
pub mod gtid;
pub mod monitor;
pub mod net;
pub mod routing;
pub mod sandbox;
pub mod session;
pub mod sql;
pub mod topology;
pub mod util;
pub mod wire;
