//! A server that connections are made to, and what is known of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
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
    pub index: usize,
    pub config: config::Server,
    pub slots: Arc<Slots>,
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Replaced when the configuration is read again.
    pool: ArcSwap<config::Pool>,
    pub compression: config::ServerCompression,
    pub compression_levels: (u32, u32),
    /// From the latest greeting.
    profile: ArcSwapOption<Profile>,
    /// The same as in the profile; asked several times in every statement.
    is_mariadb: AtomicBool,
    /// Moves on when somebody changed a global variable: older connections began with the old value.
    generation: AtomicU64,
    /// All connections there are, and some that are gone.
    cutoffs: Mutex<Vec<Weak<Cutoff>>>,
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
            config: config.servers[index].clone(),
            slots,
            tls,
            pool: ArcSwap::from_pointee(config.pool.clone()),
            compression: config.compression.server,
            compression_levels: (config.compression.zlib_level, config.compression.zstd_level),
            profile: ArcSwapOption::empty(),
            is_mariadb: AtomicBool::new(false),
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
            self.slots.set_max_waiting(new.pool.max_waiting as usize);
        }
        let maximum = |config: &config::Config| {
            config
                .servers
                .get(self.index)
                .map(|server| server.max_connections)
        };
        if let Some(most) = maximum(new).filter(|most| Some(*most) != maximum(old)) {
            self.slots.set_maximum(most as usize);
        }
    }

    pub fn name(&self) -> &str {
        &self.config.name
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

/// All servers, in the order of the configuration.
#[derive(Debug, Clone)]
pub struct Servers(Arc<[Arc<Server>]>);

// === impl Servers ===

impl Servers {
    pub fn new(servers: Vec<Arc<Server>>) -> Self {
        Self(servers.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.0.iter()
    }

    /// There is one at least.
    pub fn first(&self) -> &Arc<Server> {
        &self.0[0]
    }

    pub fn get(&self, index: usize) -> Option<&Arc<Server>> {
        self.0.get(index)
    }
}
