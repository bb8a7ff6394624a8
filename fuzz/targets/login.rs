//! What a client says before it is known: its login, and COM_CHANGE_USER, which has a layout of its own.
//! The first byte chooses between them, and what was negotiated before a change of user.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::Capabilities;
use splitrail::wire::change_user::ChangeUser;
use splitrail::wire::login::{Login, Opening};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, payload)) = data.split_first() else {
        return;
    };
    if choice & 1 == 0 {
        opening(payload);
    } else {
        change_user(payload, choice);
    }
});

fn opening(payload: &[u8]) {
    let mut out = Vec::new();
    match Opening::parse(payload) {
        Ok(Opening::Tls(request)) => {
            request.encode(&mut out);
            assert_eq!(Opening::parse(&out), Ok(Opening::Tls(request)));
        }
        Ok(Opening::Login(login)) => {
            login.encode(&mut out);
            let again = Login::parse(&out).expect("what is written parses");
            assert_eq!(said(&again), said(&login));
            assert!(login.attributes().count() <= payload.len());
            let _ = format!("{login:?}");
        }
        Ok(Opening::TooOld) | Err(_) => {}
    }
}

/// A login without the difference between a field left out and an empty one.
fn said<'a>(login: &Login<'a>) -> Login<'a> {
    Login {
        attributes: login.attributes.filter(|block| !block.is_empty()),
        zstd_level: login.zstd_level.filter(|level| *level != 3),
        ..login.clone()
    }
}

fn change_user(payload: &[u8], choice: u8) {
    let mut capabilities = Capabilities::PROTOCOL_41;
    for (bit, flag) in [
        (2, Capabilities::SECURE_CONNECTION),
        (4, Capabilities::PLUGIN_AUTH),
        (8, Capabilities::CONNECT_ATTRS),
    ] {
        if choice & bit == 0 {
            capabilities |= flag;
        }
    }
    let Ok(change) = ChangeUser::parse(payload, capabilities) else {
        return;
    };
    let mut out = Vec::new();
    change.encode(&mut out, capabilities);
    assert_eq!(ChangeUser::parse(&out, capabilities), Ok(change.clone()));
    assert!(change.attributes().count() <= payload.len());
    let _ = format!("{change:?}");
}
