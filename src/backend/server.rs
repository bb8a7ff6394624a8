//! A server that connections are made to, and what is known of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::profile::Profile;
use super::slots::Slots;
use crate::config;

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
    /// Moves on when somebody changed a global variable: older connections began with the old value.
    generation: AtomicU64,
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
            generation: AtomicU64::new(0),
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
            self.profile.store(Some(Arc::new(profile)));
        }
    }

    pub fn is_mariadb(&self) -> bool {
        self.profile
            .load()
            .as_ref()
            .is_some_and(|profile| profile.is_mariadb())
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Fresh connections would differ from the pooled ones from here on.
    pub fn outdate_connections(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
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

    pub fn get(&self, index: usize) -> Option<&Arc<Server>> {
        self.0.get(index)
    }

    /// The server that takes writes: the configuration has exactly one.
    pub fn primary(&self) -> &Arc<Server> {
        self.0
            .iter()
            .find(|server| server.config.role == config::Role::Primary)
            .unwrap_or(&self.0[0])
    }

    /// One of the replicas, another one for each turn.
    pub fn replica(&self, turn: usize) -> Option<&Arc<Server>> {
        let replicas = || {
            self.0
                .iter()
                .filter(|server| server.config.role == config::Role::Replica)
        };
        replicas().nth(turn % replicas().count().max(1))
    }
}
