use crate::{config::Config, session::Session, topology::Snapshot};

macro_rules! log {
    () => {
        $crate::app::log() // rejected
    };
}
