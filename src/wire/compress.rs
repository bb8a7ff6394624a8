//! The compressed protocol: the stream of packets, cut anywhere into compressed packets of their own.
//!
//! A compressed packet has a header of seven bytes: its length, a sequence number of its own, and the length of
//! what comes out of it, or zero for bytes that are stored as they are. Each one stands alone, so the costly
//! contexts live in a [`Codec`] that many connections of one thread share.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::zstd_safe::{CCtx, DCtx};

use super::bytes::Put;

pub const HEADER: usize = 7;

/// Less than this is stored: servers do the same, it would only grow.
const WORTH_COMPRESSING: usize = 50;

/// How much goes into one compressed packet. The protocol allows 16 MiB; this much loses next to nothing and
/// bounds what the highest levels of zstd allocate, which a client may ask for.
const CHUNK: usize = 128 * 1024;

/// No deflated byte yields more (258 bytes from two bits), nor does a byte of zstd (a block of 128 KiB from
/// four): a packet that declares more lies, and is refused before memory is set aside for it.
const ZLIB_RATIO: usize = 1032;
const ZSTD_RATIO: usize = 32 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Zlib,
    Zstd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CompressError {
    #[error("compressed packets out of order: expected {expected}, got {got}")]
    OutOfOrder { expected: u8, got: u8 },
    #[error("a compressed packet does not hold what its header declares")]
    Corrupt,
    #[error("no memory for decompression")]
    NoMemory,
}

/// The header of a compressed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Of what follows the header.
    pub length: usize,
    pub sequence: u8,
    /// Of what comes out, zero when it is stored as it is.
    pub plain_length: usize,
}

/// The contexts of both algorithms, made when first needed and used again for every packet. It keeps nothing
/// from one packet to the next: one for each thread is enough.
#[derive(Default)]
pub struct Codec {
    /// One for each level, of which a process uses one or two.
    deflate: [Option<Compress>; 10],
    inflate: Option<Decompress>,
    zstd_compress: Option<CCtx<'static>>,
    zstd_decompress: Option<DCtx<'static>>,
}

/// Turns a stream of packets into compressed packets.
#[derive(Debug, Clone)]
pub struct Compressor {
    algorithm: Algorithm,
    level: u8,
    sequence: u8,
}

/// Turns compressed packets back into the stream of packets.
#[derive(Debug, Clone)]
pub struct Decompressor {
    algorithm: Algorithm,
    /// What the next packet is numbered, where that is looked at.
    expected: u8,
    checked: bool,
}

// === impl Header ===

impl Header {
    /// `None` while fewer than seven bytes are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, sequence, d, e, f] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: u32::from_le_bytes([a, b, c, 0]) as usize,
            sequence,
            plain_length: u32::from_le_bytes([d, e, f, 0]) as usize,
        })
    }

    pub fn encode(self) -> [u8; HEADER] {
        let [a, b, c, _] = (self.length as u32).to_le_bytes();
        let [d, e, f, _] = (self.plain_length as u32).to_le_bytes();
        [a, b, c, self.sequence, d, e, f]
    }

    /// The length of the packet, header included.
    pub fn total(self) -> usize {
        HEADER + self.length
    }
}

// === impl Compressor ===

impl Compressor {
    /// A level that the algorithm does not have becomes the nearest that it has.
    pub fn new(algorithm: Algorithm, level: u8) -> Self {
        let highest = match algorithm {
            Algorithm::Zlib => 9,
            Algorithm::Zstd => 22,
        };
        Self {
            algorithm,
            level: level.clamp(1, highest),
            sequence: 0,
        }
    }

    /// The number of the next packet: 0 when a command begins, one more than the last of the other side when
    /// it is answered.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Appends `plain` as compressed packets, or as stored ones where compression gains nothing.
    pub fn compress(&mut self, codec: &mut Codec, plain: &[u8], out: &mut Vec<u8>) {
        for chunk in plain.chunks(CHUNK) {
            self.put_chunk(codec, chunk, out);
        }
    }

    fn put_chunk(&mut self, codec: &mut Codec, chunk: &[u8], out: &mut Vec<u8>) {
        let mut header = Header {
            length: chunk.len(),
            sequence: self.sequence,
            plain_length: 0,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let start = out.len();
        out.put_bytes(&header.encode());
        let body = out.len();
        if chunk.len() >= WORTH_COMPRESSING {
            out.resize(body + chunk.len(), 0);
            let compressed = codec.compress(self.algorithm, self.level, chunk, &mut out[body..]);
            if let Some(length) = compressed {
                header.length = length;
                header.plain_length = chunk.len();
                out.truncate(body + length);
                out[start..body].copy_from_slice(&header.encode());
                return;
            }
            out.truncate(body);
        }
        out.put_bytes(chunk);
    }
}

// === impl Decompressor ===

impl Decompressor {
    /// For what a client sends. A packet is numbered one more than the last, or 0 where a command begins,
    /// which a client that does not wait for its answers may do at any time.
    pub fn of_client(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            expected: 0,
            checked: true,
        }
    }

    /// For what a server sends. No client checks these numbers, and servers err in them, as when one refuses
    /// a command that it has not read to its end.
    pub fn of_server(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            expected: 0,
            checked: false,
        }
    }

    /// The number of the next packet to come in.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.expected = sequence;
    }

    pub fn sequence(&self) -> u8 {
        self.expected
    }

    /// Takes one packet off the front of `input`, appends what it holds to `out` and returns its length; `None`
    /// while the packet is not all there. At most 16 MiB are appended, and nothing when it fails, after which
    /// the stream is of no more use. Bytes left over when the connection ends are a packet cut short.
    pub fn packet(
        &mut self,
        codec: &mut Codec,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, CompressError> {
        let Some(header) = Header::parse(input) else {
            return Ok(None);
        };
        // Looked at before the rest is there: what is wrong already need not be waited for.
        if self.checked && header.sequence != self.expected && header.sequence != 0 {
            return Err(CompressError::OutOfOrder {
                expected: self.expected,
                got: header.sequence,
            });
        }
        if header.plain_length > header.length.saturating_mul(self.algorithm.ratio()) {
            return Err(CompressError::Corrupt);
        }
        let Some(body) = input.get(HEADER..header.total()) else {
            return Ok(None);
        };
        if header.plain_length == 0 {
            out.put_bytes(body);
        } else {
            let start = out.len();
            out.resize(start + header.plain_length, 0);
            if let Err(error) = codec.decompress(self.algorithm, body, &mut out[start..]) {
                out.truncate(start);
                return Err(error);
            }
        }
        self.expected = header.sequence.wrapping_add(1);
        Ok(Some(header.total()))
    }
}

// === impl Algorithm ===

impl Algorithm {
    fn ratio(self) -> usize {
        match self {
            Self::Zlib => ZLIB_RATIO,
            Self::Zstd => ZSTD_RATIO,
        }
    }
}

// === impl Codec ===

impl Codec {
    /// The length of what was written to `out`, `None` when it does not fit there.
    fn compress(&mut self, algorithm: Algorithm, level: u8, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        match algorithm {
            Algorithm::Zlib => self.deflate(level, plain, out),
            Algorithm::Zstd => {
                if self.zstd_compress.is_none() {
                    self.zstd_compress = CCtx::try_create();
                }
                let context = self.zstd_compress.as_mut()?;
                context.compress(out, plain, i32::from(level)).ok()
            }
        }
    }

    fn deflate(&mut self, level: u8, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        let slot = self.deflate.get_mut(usize::from(level))?;
        let context = slot.get_or_insert_with(|| Compress::new(Compression::new(u32::from(level)), true));
        context.reset();
        match context.compress(plain, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(context.total_out()).ok(),
            _ => None,
        }
    }

    /// Fills all of `out`, or fails.
    fn decompress(
        &mut self,
        algorithm: Algorithm,
        packed: &[u8],
        out: &mut [u8],
    ) -> Result<(), CompressError> {
        let length = match algorithm {
            Algorithm::Zlib => self.inflate(packed, out)?,
            Algorithm::Zstd => {
                if self.zstd_decompress.is_none() {
                    self.zstd_decompress = DCtx::try_create();
                }
                let context = self.zstd_decompress.as_mut().ok_or(CompressError::NoMemory)?;
                context
                    .decompress(out, packed)
                    .map_err(|_| CompressError::Corrupt)?
            }
        };
        if length == out.len() {
            Ok(())
        } else {
            Err(CompressError::Corrupt)
        }
    }

    fn inflate(&mut self, packed: &[u8], out: &mut [u8]) -> Result<usize, CompressError> {
        let context = self.inflate.get_or_insert_with(|| Decompress::new(true));
        context.reset(true);
        match context.decompress(packed, out, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => Ok(context.total_out() as usize),
            _ => Err(CompressError::Corrupt),
        }
    }
}
