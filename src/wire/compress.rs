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
    pub fn kind(&self) -> (Algorithm, u8) {
        (self.algorithm, self.level)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: [Algorithm; 2] = [Algorithm::Zlib, Algorithm::Zstd];

    /// Everything `bytes` hold, which come in pieces of `piece` bytes.
    fn unpack(algorithm: Algorithm, bytes: &[u8], piece: usize) -> Result<Vec<u8>, CompressError> {
        let mut codec = Codec::default();
        let mut decompressor = Decompressor::of_client(algorithm);
        let (mut plain, mut buffer) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(length) = decompressor.packet(&mut codec, &buffer, &mut plain)? {
                buffer.drain(..length);
            }
        }
        assert!(buffer.is_empty());
        Ok(plain)
    }

    fn pack(algorithm: Algorithm, level: u8, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compressor::new(algorithm, level).compress(&mut Codec::default(), plain, &mut out);
        out
    }

    #[test]
    fn what_a_real_server_sends_is_understood() -> Result<(), CompressError> {
        // MySQL 9.7's answer to `select repeat("a",100)`.
        const ANSWER: &[u8] =
            b"\x4b\x00\x00\x01\xa9\x00\x00\x78\x9c\x63\x64\x60\x60\x64\x54\x65\x60\x60\x62\x4e\x49\x4d\
            \x63\x60\x60\xe0\x2f\x4a\x2d\x48\x4d\x2c\xd1\x50\x4a\x54\xd2\x31\x34\x30\xd0\x64\xe0\xd1\
            \x65\x98\xc0\xc8\xc0\xf0\x97\x81\x41\x9e\x81\x81\x95\x81\x81\xf9\x1f\x50\x31\x43\x2a\x03\
            \x03\x4b\x4a\x22\x1d\x00\xd0\x46\x56\xb0\x8d\x00\xea\x60\x30\x49";
        let mut server = Decompressor::of_server(Algorithm::Zlib);
        let mut out = Vec::new();
        let length = server.packet(&mut Codec::default(), ANSWER, &mut out)?;
        assert_eq!((length, server.sequence()), (Some(ANSWER.len()), 2));
        assert!(out.windows(100).any(|window| window == [b'a'; 100]));
        Ok(())
    }

    #[test]
    fn a_long_stream_is_cut_and_numbered() -> Result<(), CompressError> {
        let plain: Vec<u8> = (0..3 * CHUNK + 10).map(|index| (index / 7) as u8).collect();
        for algorithm in BOTH {
            let packed = pack(algorithm, 0, &plain);
            assert!(packed.len() < plain.len() / 4);
            assert_eq!(unpack(algorithm, &packed, 1000)?, plain);
            // The last ten bytes are not worth compressing.
            let last = Header::parse(&packed[packed.len() - 17..]);
            let stored = Header {
                length: 10,
                sequence: 3,
                plain_length: 0,
            };
            assert_eq!(last, Some(stored));
        }
        Ok(())
    }

    #[test]
    fn noise_is_stored() -> Result<(), CompressError> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..1000).map(|_| next()).collect();
        for algorithm in BOTH {
            let packed = pack(algorithm, 9, &noise);
            assert_eq!(packed.len(), HEADER + noise.len());
            assert_eq!(unpack(algorithm, &packed, 100)?, noise);
        }
        Ok(())
    }

    #[test]
    fn every_split_point_and_one_codec_for_all() -> Result<(), CompressError> {
        let plain = b"select * from orders where customer = 1 and customer = 1 and customer = 1".repeat(3);
        for algorithm in BOTH {
            let packed = pack(algorithm, 6, &plain);
            let mut codec = Codec::default();
            for end in 0..packed.len() {
                let mut decompressor = Decompressor::of_server(algorithm);
                let mut out = Vec::new();
                assert_eq!(decompressor.packet(&mut codec, &packed[..end], &mut out)?, None);
                assert!(out.is_empty());
                let length = decompressor.packet(&mut codec, &packed, &mut out)?;
                assert_eq!((length, &out), (Some(packed.len()), &plain));
            }
        }
        Ok(())
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let plain = vec![b'a'; 5000];
        for algorithm in BOTH {
            let packed = pack(algorithm, 6, &plain);
            for declared in [1, 4999, 5001, 0xff_ffff] {
                let mut lie = packed.clone();
                let mut header = Header::parse(&lie).unwrap();
                header.plain_length = declared;
                lie[..HEADER].copy_from_slice(&header.encode());
                let mut out = b"before".to_vec();
                let result = Decompressor::of_client(algorithm).packet(&mut Codec::default(), &lie, &mut out);
                assert_eq!(result, Err(CompressError::Corrupt), "{algorithm:?} {declared}");
                assert_eq!(out, b"before");
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_memory() {
        // Declares 16 MiB, has ten bytes: known to be false before they are there.
        let header = Header {
            length: 10,
            sequence: 0,
            plain_length: 0xff_ffff,
        };
        for algorithm in BOTH {
            let mut out = Vec::new();
            let result =
                Decompressor::of_client(algorithm).packet(&mut Codec::default(), &header.encode(), &mut out);
            assert_eq!((result, out.capacity()), (Err(CompressError::Corrupt), 0));
        }
    }

    #[test]
    fn the_most_compressible_is_not_taken_for_a_bomb() -> Result<(), CompressError> {
        // Some clients put 16 MiB into one packet.
        let plain = vec![0; 0xff_ffff];
        let mut codec = Codec::default();
        for algorithm in BOTH {
            let mut body = vec![0; plain.len()];
            let length = codec.compress(algorithm, 9, &plain, &mut body).unwrap();
            let header = Header {
                length,
                sequence: 0,
                plain_length: plain.len(),
            };
            let packet = [&header.encode()[..], &body[..length]].concat();
            let mut out = Vec::new();
            Decompressor::of_client(algorithm).packet(&mut codec, &packet, &mut out)?;
            assert!(out == plain);
        }
        Ok(())
    }

    #[test]
    fn packets_out_of_order_are_refused_of_clients_only() -> Result<(), CompressError> {
        let stored = |sequence| {
            let header = Header {
                length: 1,
                sequence,
                plain_length: 0,
            };
            [&header.encode()[..], b"x"].concat()
        };
        let mut codec = Codec::default();
        let mut client = Decompressor::of_client(Algorithm::Zlib);
        for sequence in [0, 1, 2, 0, 0, 1] {
            client.packet(&mut codec, &stored(sequence), &mut Vec::new())?;
        }
        let error = CompressError::OutOfOrder { expected: 2, got: 3 };
        assert_eq!(client.packet(&mut codec, &stored(3), &mut Vec::new()), Err(error));
        client.set_sequence(3);
        client.packet(&mut codec, &stored(3), &mut Vec::new())?;
        let mut server = Decompressor::of_server(Algorithm::Zlib);
        server.packet(&mut codec, &stored(7), &mut Vec::new())?;
        assert_eq!(server.sequence(), 8);
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            plain in proptest::collection::vec(0_u8..4, 0..2000),
            level in 0_u8..30,
            zstd in any::<bool>(),
            piece in 1_usize..500,
        ) {
            let algorithm = BOTH[usize::from(zstd)];
            prop_assert_eq!(unpack(algorithm, &pack(algorithm, level, &plain), piece), Ok(plain));
        }

        #[test]
        fn any_bytes_are_survived(
            mut bytes in proptest::collection::vec(any::<u8>(), 7..100),
            declared in 0_u8..200,
            zstd in any::<bool>(),
        ) {
            let length = (bytes.len() - HEADER) as u8;
            bytes[..HEADER].copy_from_slice(&[length, 0, 0, 0, declared, 0, 0]);
            let mut out = Vec::new();
            let mut decompressor = Decompressor::of_client(BOTH[usize::from(zstd)]);
            let _ = decompressor.packet(&mut Codec::default(), &bytes, &mut out);
        }
    }
}
