//! The compressed protocol as a layer of a link.

use std::cell::RefCell;
use std::io;

use super::buffer::Inbox;
use crate::wire::compress::{Algorithm, Codec, Compressor, Decompressor};

thread_local! {
    /// Contexts are large and keep nothing between packets: one set serves all links of a thread.
    static CODEC: RefCell<Codec> = RefCell::default();
}

#[derive(Debug)]
pub struct Zip {
    compressor: Compressor,
    decompressor: Decompressor,
    /// Bytes of a compressed packet that has not arrived whole.
    partial: Vec<u8>,
    /// Something was read since the last write: the numbers go on from there, or begin again.
    turned: bool,
    towards_server: bool,
}

// === impl Zip ===

impl Zip {
    pub fn with_client(algorithm: Algorithm, level: u8) -> Self {
        Self::new(algorithm, level, Decompressor::of_client(algorithm), false)
    }

    pub fn with_server(algorithm: Algorithm, level: u8) -> Self {
        Self::new(algorithm, level, Decompressor::of_server(algorithm), true)
    }

    fn new(algorithm: Algorithm, level: u8, decompressor: Decompressor, towards_server: bool) -> Self {
        let compressor = Compressor::new(algorithm, level);
        Self {
            compressor,
            decompressor,
            partial: Vec::new(),
            turned: true,
            towards_server,
        }
    }

    pub fn unpack(&mut self, raw: &[u8], inbox: &mut Inbox) -> io::Result<()> {
        if raw.is_empty() {
            return Ok(());
        }
        self.partial.extend_from_slice(raw);
        let (mut start, mut plain) = (0, Vec::new());
        loop {
            let packet = CODEC.with_borrow_mut(|codec| {
                self.decompressor
                    .packet(codec, &self.partial[start..], &mut plain)
            });
            let Some(length) = packet.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            else {
                break;
            };
            start += length;
            inbox.extend(&plain);
            plain.clear();
            self.turned = true;
        }
        self.partial.drain(..start);
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        Ok(())
    }

    /// How, and how hard, what is sent is compressed.
    pub fn kind(&self) -> (Algorithm, u8) {
        self.compressor.kind()
    }

    /// The number that the next packet out would have, as an answer.
    pub fn next_number(&self) -> u8 {
        if self.turned {
            self.decompressor.sequence()
        } else {
            self.compressor.sequence()
        }
    }

    pub fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if std::mem::take(&mut self.turned) {
            // A command begins at zero; an answer, or a file that was asked for, goes on from what was read.
            let is_command = self.towards_server && plain.get(3) == Some(&0);
            self.compressor.set_sequence(if is_command {
                0
            } else {
                self.decompressor.sequence()
            });
        }
        CODEC.with_borrow_mut(|codec| self.compressor.compress(codec, plain, out));
        if !self.towards_server {
            // A client that is asked for a file goes on from our number.
            self.decompressor.set_sequence(self.compressor.sequence());
        }
        Ok(())
    }
}
