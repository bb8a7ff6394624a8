//! Tells the service manager that the proxy is ready, reloads or ends: systemd's datagrams, for `Type=notify`.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

/// Of the process before this one, which the service manager started.
static INHERITED: OnceLock<OsString> = OnceLock::new();

/// Where the service manager listens. `None`: nobody asked to be told.
pub fn manager() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").or_else(|| INHERITED.get().cloned())
}

/// For a process that somebody else started than the service manager, and that serves in the place of one of its own.
pub fn inherit(socket: &OsStr) {
    INHERITED.get_or_init(|| socket.to_owned());
}

/// Sends `READY=1` and the like; nothing happens where nobody asked to be told.
pub fn notify(state: &str) {
    let Some(path) = manager() else {
        return;
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
