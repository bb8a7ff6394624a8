//! Compressed packets. The first byte chooses the algorithm and whether the rest is a stream to decompress, in
//! pieces, or one to compress and get back.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use splitrail::wire::compress::{Algorithm, Codec, Compressor, Decompressor};

thread_local! {
    // Shared by all runs: what one packet leaves behind must not show in the next.
    static CODEC: RefCell<Codec> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let algorithm = if choice & 1 == 0 {
        Algorithm::Zlib
    } else {
        Algorithm::Zstd
    };
    CODEC.with_borrow_mut(|codec| {
        if choice & 2 == 0 {
            let whole = unpack(codec, Decompressor::of_server(algorithm), rest, rest.len());
            let piece = usize::from(choice >> 2) + 1;
            assert_eq!(
                unpack(codec, Decompressor::of_server(algorithm), rest, piece),
                whole
            );
            let _ = unpack(codec, Decompressor::of_client(algorithm), rest, rest.len());
        } else {
            let mut packed = Vec::new();
            Compressor::new(algorithm, choice >> 2).compress(codec, rest, &mut packed);
            let plain = unpack(codec, Decompressor::of_client(algorithm), &packed, packed.len());
            assert_eq!(plain, (true, rest.to_vec()));
        }
    });
});

/// Whether all went well, and what came out, when the bytes arrive in pieces.
fn unpack(codec: &mut Codec, mut decompressor: Decompressor, bytes: &[u8], piece: usize) -> (bool, Vec<u8>) {
    let mut plain = Vec::new();
    let mut start = 0;
    let mut end = 0;
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        loop {
            match decompressor.packet(codec, &bytes[start..end], &mut plain) {
                Ok(Some(length)) => start += length,
                Ok(None) => break,
                Err(_) => return (false, plain),
            }
        }
    }
    (true, plain)
}
