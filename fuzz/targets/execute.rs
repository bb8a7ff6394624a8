//! Query attributes and the parameters of executions: whatever the bytes, no value lies outside of them, and what is
//! written anew is read as the same. The first byte chooses what was negotiated and asked, the second the number of
//! parameters, the third how many bytes of types are remembered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::Capabilities;
use splitrail::wire::bytes::Put;
use splitrail::wire::execute::{Bulk, Execute};
use splitrail::wire::query::{self, Value};

fuzz_target!(|data: &[u8]| {
    let [choice, parameters, remembered, rest @ ..] = data else {
        return;
    };
    let capabilities = match choice & 1 {
        0 => Capabilities::NONE,
        _ => Capabilities::QUERY_ATTRIBUTES,
    };
    let (remembered, payload) = rest.split_at(usize::from(*remembered).min(rest.len()));
    let parameters = u16::from(*parameters);
    match choice >> 1 & 3 {
        0 => text(payload),
        1 => bulk(payload, parameters, remembered),
        2 => built(payload, capabilities),
        _ => execute(payload, parameters, remembered, capabilities),
    }
});

fn text(payload: &[u8]) {
    let found = query::attributes(payload).count();
    match query::text_offset(payload) {
        Some(offset) => assert!(offset <= payload.len() && found <= offset),
        None => assert_eq!(found, 0),
    }
    // The text says nothing about its own place.
    if let Some(offset) = query::text_offset(payload) {
        assert_eq!(query::text_offset(&payload[..offset]), Some(offset));
    }
}

fn bulk(payload: &[u8], parameters: u16, remembered: &[u8]) {
    let Ok(parsed) = Bulk::parse(payload, parameters) else {
        return;
    };
    let mut named = payload.to_vec();
    parsed.put_types(&mut named, remembered);
    if named != payload {
        let again = Bulk::parse(&named, parameters).expect("it was longer before");
        assert_eq!(again.parameter_types(&named), Some(remembered));
    }
}

fn execute(payload: &[u8], parameters: u16, remembered: &[u8], capabilities: Capabilities) {
    let Ok(parsed) = Execute::parse(payload, parameters, capabilities) else {
        assert_eq!(Execute::parse(&payload[..payload.len() / 2], parameters, capabilities).ok(), None);
        return;
    };
    let values = parsed.values(payload, Some(remembered));
    let attributes = parsed.attributes(payload).count();
    assert!(attributes == 0 || Execute::has_attributes(payload, parameters, capabilities));
    if let Some(values) = values.clone().filter(|_| parsed.types.is_some()) {
        assert_eq!(values.count(), usize::from(parameters) + attributes);
    }
    if let Some(types) = parsed.parameter_types(payload) {
        assert_eq!(types.len(), usize::from(parameters) * 2);
    }
    let mut named = payload.to_vec();
    parsed.put_types(&mut named, remembered);
    if named != payload {
        let again = Execute::parse(&named, parameters, capabilities).expect("types are whole");
        assert_eq!(again.parameter_types(&named).as_deref(), Some(remembered));
        let values = values.map(|values| values.map(shown).collect::<Vec<_>>());
        let again = again.values(&named, None).map(|values| values.map(shown).take(parameters.into()).collect());
        assert_eq!(again, values);
    }
    let Some(found) = parsed.parameters(payload, Some(remembered)) else {
        return;
    };
    for other in [Capabilities::NONE, Capabilities::QUERY_ATTRIBUTES] {
        let written = found.encode(parsed.statement, other);
        let again = Execute::parse(&written, parameters, other).expect("what is written parses");
        assert_eq!((again.statement, again.parameters(&written, None).as_ref()), (parsed.statement, Some(&found)));
    }
}

/// Not a number is no number, and equal to none.
fn shown(attribute: query::Attribute<'_>) -> String {
    format!("{:?}", attribute.value)
}

/// Values of all kinds, two bytes each, behind a parameter: what was put in comes out.
fn built(bytes: &[u8], capabilities: Capabilities) {
    let named = capabilities.has(Capabilities::QUERY_ATTRIBUTES);
    let items: Vec<_> = bytes.chunks_exact(2).take(300).collect();
    let parameters = if named { items.len() / 2 } else { items.len() };
    let mut payload = vec![0x17, 1, 0, 0, 0, 8, 1, 0, 0, 0];
    if named {
        payload.put_lenenc(items.len() as u64);
    }
    let (mut nulls, mut types, mut values) = (vec![0; items.len().div_ceil(8)], Vec::new(), Vec::new());
    let mut expected = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (kind, value) = put(item[0], item[1], &mut values);
        nulls[index / 8] |= u8::from(value == Value::Null) << (index % 8);
        types.put_u16(kind);
        if named {
            types.put_lenenc_bytes(&item[..usize::from(item[0] % 3)]);
        }
        expected.push(format!("{value:?}"));
    }
    if !items.is_empty() {
        payload.extend_from_slice(&nulls);
        payload.push(1);
        payload.extend_from_slice(&types);
        payload.extend_from_slice(&values);
    }
    let count = u16::try_from(parameters).expect("there are few");
    let parsed = Execute::parse(&payload, count, capabilities).expect("it is well formed");
    let found: Vec<_> = parsed.values(&payload, None).expect("it is whole").map(shown).collect();
    assert_eq!(found, expected);
    let attributes: Vec<_> = parsed.attributes(&payload).map(shown).collect();
    assert_eq!(attributes, expected[parameters..]);
    for end in [payload.len() / 3, payload.len() * 2 / 3] {
        if let Ok(parsed) = Execute::parse(&payload[..end], count, capabilities) {
            let _ = parsed.values(&payload[..end], None);
        }
    }
}

fn put(choice: u8, byte: u8, out: &mut Vec<u8>) -> (u16, Value<'static>) {
    let number = u64::from(byte) << (choice / 16);
    match choice % 8 {
        0 => (6, Value::Null),
        1 => {
            out.push(byte);
            (0x8001, Value::Unsigned(byte.into()))
        }
        2 => {
            out.put_u16(byte.into());
            (2, Value::Signed(byte.into()))
        }
        3 => {
            out.put_u32(byte.into());
            (3, Value::Signed(byte.into()))
        }
        4 => {
            out.put_u64(number);
            (0x8008, Value::Unsigned(number))
        }
        5 => {
            out.put_bytes(&f64::from(byte).to_le_bytes());
            (5, Value::Float(byte.into()))
        }
        6 => {
            out.put_u8(4);
            out.put_bytes(&[byte; 4]);
            (0x0c, Value::Other)
        }
        _ => {
            out.put_lenenc_bytes(&b"some text"[..usize::from(byte % 10)]);
            (0xfe, Value::Text(&b"some text"[..usize::from(byte % 10)]))
        }
    }
}
