//! Where operators come in, the admin port and the HTTP listener: opened at the start, and elsewhere when a reload
//! moves them. Who has come in stays.

use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use super::secure;
use crate::admin::{State, http, mysql};
use crate::config::{Address, Config};
use crate::frontend::door::Inherited;
use crate::net::tls::TlsError;

/// Held to open and close, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// One for the process.
pub struct Operators {
    state: Arc<State>,
    open: Mutex<Open>,
}

/// Both are closed when the process ends.
#[derive(Default)]
struct Open {
    port: Option<Standing>,
    site: Option<Standing>,
}

struct Standing {
    address: Address,
    /// Dropped, nobody is let in any more.
    _close: oneshot::Sender<()>,
}

/// What is open and serves nobody yet.
#[derive(Default)]
pub struct Opened {
    pub port: Option<mysql::Port>,
    pub site: Option<http::Site>,
}

/// What the admin port is to be opened at.
fn port_address(config: &Config) -> Option<&Address> {
    config.admin.address.as_ref().filter(|_| config.admin.is_open())
}

// === impl Opened ===

impl Opened {
    /// All that the configuration wants and `old` had not.
    pub async fn beside(
        old: Option<&Config>,
        new: &Config,
        inherited: &mut Inherited,
    ) -> Result<Self, super::StartError> {
        let mut opened = Self::default();
        if old.is_none_or(|old| port_address(old) != port_address(new)) {
            opened.port = mysql::Port::open(&new.admin, inherited).await?;
        }
        if old.is_none_or(|old| old.http.address != new.http.address) {
            opened.site = http::Site::open(&new.http, inherited).await?;
        }
        Ok(opened)
    }
}

// === impl Operators ===

impl Operators {
    pub fn new(state: Arc<State>) -> Self {
        Self {
            state,
            open: Mutex::default(),
        }
    }

    /// Lets people in where `opened` is open, and nowhere that the configuration does not name.
    pub fn take_up(&self, opened: Opened, config: &Config) -> Result<(), TlsError> {
        self.state.http_tls.store(secure::for_http(config)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = |standing: &Standing, wanted: Option<&Address>| Some(&standing.address) == wanted;
        open.port = open
            .port
            .take()
            .filter(|port| is_wanted(port, port_address(config)));
        let address = config.http.address.as_ref();
        open.site = open.site.take().filter(|site| is_wanted(site, address));
        let stand = |address: &Address| {
            let (close, closed) = oneshot::channel();
            let address = address.clone();
            (
                Standing {
                    address,
                    _close: close,
                },
                closed,
            )
        };
        if let (Some(port), Some(address)) = (opened.port, port_address(config)) {
            let (standing, closed) = stand(address);
            open.port = Some(standing);
            tokio::spawn(port.serve(self.state.clone(), closed));
        }
        if let (Some(site), Some(address)) = (opened.site, address) {
            let (standing, closed) = stand(address);
            open.site = Some(standing);
            tokio::spawn(site.serve(self.state.clone(), closed));
        }
        Ok(())
    }

    /// What the HTTP listener shows from now on.
    pub fn show(&self, tls: Option<Arc<rustls::ServerConfig>>) {
        self.state.http_tls.store(tls);
    }

    /// Nobody is let in any more.
    pub fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Open::default();
    }
}
