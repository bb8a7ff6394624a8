//! A server's first packet: whatever parses is written back as the same greeting.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::greeting::Greeting;

fuzz_target!(|data: &[u8]| {
    let Ok(greeting) = Greeting::parse(data) else {
        return;
    };
    let mut out = Vec::new();
    greeting.encode(&mut out);
    assert_eq!(Greeting::parse(&out), Ok(greeting));
});
