//! A server that connections are made to, and what is known of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::profile::Profile;
use super::slots::Slots;
use crate::config;
use crate::net::Cutoff;

/// Held to add or go through connections, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

#[derive(Debug)]
pub struct Server {
    /// Its place; nobody else gets it before nothing refers to this one any more.
    pub index: usize,
    name: Box<str>,
    pub slots: Arc<Slots>,
    /// Both are replaced when the configuration is read again.
    endpoint: ArcSwap<Endpoint>,
    pool: ArcSwap<config::Pool>,
    /// Of the pool's settings: how old a connection may become, in milliseconds. Asked in every statement.
    max_age: AtomicU64,
    /// From the latest greeting.
    profile: ArcSwapOption<Profile>,
    /// The same as in the profile; asked several times in every statement.
    is_mariadb: AtomicBool,
    /// It has a query cache that is on.
    keeps_results: AtomicBool,
    /// Moves on when somebody changed a global variable: older connections began with the old value.
    generation: AtomicU64,
    /// All connections there are, and some that are gone.
    cutoffs: Mutex<Vec<Weak<Cutoff>>>,
}

/// Where connections are opened, and how.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: config::Address,
    pub tls_mode: config::ServerTlsMode,
    pub tls: Option<Arc<rustls::ClientConfig>>,
    pub compression: config::ServerCompression,
    /// Of zlib and zstd.
    pub levels: (u32, u32),
}

/// Without a limit, longer than anything lasts.
fn max_age(pool: &config::Pool) -> u64 {
    let millis = pool.max_age.map(|age| age.as_millis());
    millis
        .and_then(|millis| u64::try_from(millis).ok())
        .unwrap_or(u64::MAX)
}

// === impl Endpoint ===

impl Endpoint {
    pub fn of(index: usize, config: &config::Config, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
        Self {
            address: config.servers[index].address.clone(),
            tls_mode: config.servers[index].tls.mode,
            tls,
            compression: config.compression.server,
            levels: (config.compression.zlib_level, config.compression.zstd_level),
        }
    }
}

// === impl Server ===

impl Server {
    pub fn new(index: usize, config: &config::Config, tls: Option<Arc<rustls::ClientConfig>>) -> Arc<Self> {
        let slots = Slots::new(
            config.servers[index].max_connections as usize,
            config.pool.max_waiting as usize,
        );
        Arc::new(Self {
            index,
            name: config.servers[index].name.as_str().into(),
            slots,
            endpoint: ArcSwap::from_pointee(Endpoint::of(index, config, tls)),
            pool: ArcSwap::from_pointee(config.pool.clone()),
            max_age: AtomicU64::new(max_age(&config.pool)),
            profile: ArcSwapOption::empty(),
            is_mariadb: AtomicBool::new(false),
            keeps_results: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            cutoffs: Mutex::default(),
        })
    }

    /// What counts for connections from now on.
    pub fn pool(&self) -> Guard<Arc<config::Pool>> {
        self.pool.load()
    }

    /// Takes up what may change while it runs: the pool's settings, and how many connections there may be.
    pub fn configure(&self, old: &config::Config, new: &config::Config) {
        if old.pool != new.pool {
            self.pool.store(Arc::new(new.pool.clone()));
            self.max_age.store(max_age(&new.pool), Ordering::Relaxed);
            self.slots.set_max_waiting(new.pool.max_waiting as usize);
        }
        let maximum = |config: &config::Config| {
            let server = config.servers.get(self.index);
            server.map(|server| server.max_connections)
        };
        if let Some(most) = maximum(new).filter(|most| Some(*most) != maximum(old)) {
            self.slots.set_maximum(most as usize);
        }
    }

    /// Where connections are opened from now on.
    pub fn endpoint(&self) -> Guard<Arc<Endpoint>> {
        self.endpoint.load()
    }

    /// Connections are opened elsewhere, or otherwise, from now on; those that there are may serve who has them,
    /// and go into no pool.
    pub fn move_to(&self, endpoint: Endpoint) {
        if self.endpoint.load().address != endpoint.address {
            self.profile.store(None);
        }
        self.endpoint.store(Arc::new(endpoint));
        self.outdate_connections();
    }

    pub fn max_age(&self) -> Duration {
        Duration::from_millis(self.max_age.load(Ordering::Relaxed))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn profile(&self) -> Option<Arc<Profile>> {
        self.profile.load_full()
    }

    pub fn set_profile(&self, profile: Profile) {
        if self.profile.load().as_deref() != Some(&profile) {
            self.is_mariadb.store(profile.is_mariadb(), Ordering::Relaxed);
            self.profile.store(Some(Arc::new(profile)));
        }
    }

    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb.load(Ordering::Relaxed)
    }

    /// Whether MariaDB's query cache is on, as far as is known.
    pub fn keeps_results(&self) -> bool {
        self.keeps_results.load(Ordering::Relaxed)
    }

    /// Counts for connections that are opened from now on: those that are idle are no more use.
    pub fn set_keeps_results(&self, keeps_results: bool) {
        if self.keeps_results.swap(keeps_results, Ordering::Relaxed) != keeps_results {
            self.outdate_connections();
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Fresh connections would differ from the pooled ones from here on.
    pub fn outdate_connections(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// For a connection that is about to be opened: from now on it can be given up.
    pub fn cutoff(&self) -> Arc<Cutoff> {
        let cutoff = Arc::new(Cutoff::default());
        let mut cutoffs = self.cutoffs.lock().unwrap_or_else(PoisonError::into_inner);
        if cutoffs.len() == cutoffs.capacity() {
            cutoffs.retain(|cutoff| cutoff.strong_count() > 0);
        }
        cutoffs.push(Arc::downgrade(&cutoff));
        cutoff
    }

    /// Gives up all connections that there are, whatever runs there; answers how many.
    pub fn evict(&self) -> usize {
        self.outdate_connections();
        let cutoffs = std::mem::take(&mut *self.cutoffs.lock().unwrap_or_else(PoisonError::into_inner));
        let standing: Vec<_> = cutoffs.iter().filter_map(Weak::upgrade).collect();
        for cutoff in &standing {
            cutoff.cut();
        }
        standing.len()
    }

    pub fn connect_timeout(&self) -> Duration {
        self.pool().connect_timeout
    }
}

/// All servers, each at its place for as long as anything refers to it. Places are few and made in advance, so that
/// servers come and go while everybody looks. Who has gone stays at its place until another one takes it.
#[derive(Debug, Clone)]
pub struct Servers {
    places: Arc<[OnceLock<ArcSwap<Server>>]>,
    /// Of the configuration that the process began with.
    first: Arc<Server>,
}

// === impl Servers ===

impl Servers {
    /// In the order of the configuration; there is one at least.
    pub fn new(servers: Vec<Arc<Server>>) -> Self {
        let places = (0..config::MOST_SERVERS).map(|_| OnceLock::new());
        let all = Self {
            places: places.collect(),
            first: servers[0].clone(),
        };
        for server in servers {
            all.put(server);
        }
        all
    }

    /// Takes a server's place for it, whoever had it before.
    pub fn put(&self, server: Arc<Server>) {
        if let Some(place) = self.places.get(server.index) {
            place.get_or_init(|| ArcSwap::new(server.clone())).store(server);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Guard<Arc<Server>>> {
        self.places.iter().filter_map(|place| Some(place.get()?.load()))
    }

    pub fn get(&self, index: usize) -> Option<Guard<Arc<Server>>> {
        Some(self.places.get(index)?.get()?.load())
    }

    pub fn first(&self) -> &Arc<Server> {
        &self.first
    }

    /// Whether nobody has the server any more: no connection, no session, no probe.
    pub fn is_forgotten(&self, index: usize) -> bool {
        let server = self.get(index).map(|server| Arc::clone(&server));
        server.is_none_or(|server| {
            // This one, and the one in its place.
            let own = 2 + usize::from(Arc::ptr_eq(&server, &self.first));
            Arc::strong_count(&server) <= own && server.slots.open() == 0
        })
    }
}
