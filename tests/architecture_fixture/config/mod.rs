use crate::wire::Capabilities;
use crate::{
    session::Session, // rejected
    sql::{Dialect, Flags},
    util,
    wire::{
        Status,
        packet::{self, Header},
    },
    topology, // rejected
};
