//! The PROXY header: a decision taken on fewer bytes is the one taken on all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::proxy_protocol::{ProxyHeader, put_v1, put_v2};

fuzz_target!(|data: &[u8]| {
    let whole = ProxyHeader::parse(data);
    for end in 0..data.len() {
        let part = ProxyHeader::parse(&data[..end]);
        if part != ProxyHeader::NeedMore {
            assert_eq!(part, whole);
            break;
        }
    }
    match whole {
        ProxyHeader::NeedMore => assert!(data.len() < 4096),
        ProxyHeader::Local { length } => assert!(length <= data.len()),
        ProxyHeader::Proxied {
            source,
            destination,
            length,
        } => {
            assert!(length <= data.len());
            for put in [put_v1, put_v2] {
                let mut out = Vec::new();
                put(&mut out, source, destination);
                let again = ProxyHeader::parse(&out);
                assert!(matches!(again, ProxyHeader::Proxied { source: s, .. }
                        if s.port() == source.port() && s.ip().to_canonical() == source.ip().to_canonical()));
            }
        }
        ProxyHeader::Invalid(_) => {}
    }
});
