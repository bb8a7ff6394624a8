//! Replication positions of both flavours: what parses is written and read again as the same, and operations on
//! positions agree with plain sets and maps. The first byte chooses: raw texts, divided by a zero byte, or positions
//! that are built from the bytes, with their models.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use splitrail::gtid::{Domains, Position, Set};

const UUIDS: [&str; 3] = [
    "3e11fa47-71ca-11e1-9e33-c80aa9429562",
    "3E11FA4771CA11E19E33C80AA9429563",
    "{00000000-0000-0000-0000-000000000001}",
];
const TAGS: [&str; 3] = ["", "a", "_Tag9"];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    match choice & 3 {
        0 => raw(false, bytes),
        1 => raw(true, bytes),
        2 => sets(bytes),
        _ => domains(bytes),
    }
});

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let middle = bytes.iter().position(|byte| *byte == 0);
    middle.map_or((bytes, &[]), |middle| (&bytes[..middle], &bytes[middle + 1..]))
}

fn raw(mariadb: bool, bytes: &[u8]) {
    let (one, other) = halves(bytes);
    let parse = |text| Position::parse(mariadb, text).ok();
    let (Some(one), Some(other)) = (parse(one), parse(other)) else {
        return;
    };
    for position in [&one, &other] {
        let text = position.to_string();
        assert_eq!(&Position::parse(mariadb, text.as_bytes()).expect("what is written parses"), position);
        assert_eq!(position.is_empty(), text.is_empty());
    }
    laws(&one, &other);
}

/// What holds for any two positions of a flavour.
fn laws(one: &Position, other: &Position) {
    let merged = |one: &Position, other: &Position| {
        let mut both = one.clone();
        both.merge(other);
        both
    };
    let both = merged(one, other);
    assert!(both.contains(one) && both.contains(other) && one.contains(&Position::Empty));
    assert_eq!(one.contains(other), other.minus(one).is_empty());
    assert_eq!(merged(one, &other.minus(one)), both);
    assert!(one.minus(one).is_empty());
    assert_eq!(one.ahead_of(other) == 0, one.minus(other).is_empty() || one.minus(other).count() == 0);
    let mut extended = one.clone();
    extended.extend(other);
    assert!(extended.contains(&both));
    assert!(one.contains(&one.written_by(UUIDS[0], 1)));
}

type Model = BTreeSet<(usize, usize, u64)>;

/// A set in some notation that servers take, and what is in it: three bytes for each interval.
fn set(bytes: &[u8]) -> (Set, Model) {
    let (mut text, mut model) = (String::new(), Model::new());
    for item in bytes.chunks_exact(3) {
        let (uuid, tag) = (usize::from(item[0] % 3), usize::from(item[0] / 3 % 3));
        let (first, length) = (u64::from(item[1] % 60) + 1, u64::from(item[2] % 8));
        let space = if item[2] & 0x80 != 0 { " \n" } else { "" };
        let _ = write!(text, "{space}{}", UUIDS[uuid]);
        if tag > 0 {
            let _ = write!(text, ":{}{space}", TAGS[tag]);
        }
        // A length of zero is an empty interval, or one number.
        match length {
            0 if item[2] & 0x40 != 0 && first > 1 => {
                let _ = write!(text, ":{first}-{}", first - 1);
            }
            0 => {
                let _ = write!(text, ":{first}");
                model.insert((uuid, tag, first));
            }
            length => {
                let _ = write!(text, ":{first}{space}-{}", first + length);
                model.extend((first..=first + length).map(|number| (uuid, tag, number)));
            }
        }
        text.push(',');
    }
    (Set::parse(text.as_bytes()).expect("it is well formed"), model)
}

fn of_model(model: &Model) -> Set {
    let text: Vec<_> = model
        .iter()
        .map(|(uuid, tag, number)| match TAGS[*tag] {
            "" => format!("{}:{number}", UUIDS[*uuid]),
            tag => format!("{}:{tag}:{number}", UUIDS[*uuid]),
        })
        .collect();
    Set::parse(text.join(",").as_bytes()).expect("it is well formed")
}

fn sets(bytes: &[u8]) {
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let ((one, model), (other, others)) = (set(left), set(right));
    assert_eq!((&one, one.count()), (&of_model(&model), model.len() as u64));
    assert_eq!(one.contains(&other), others.is_subset(&model));
    assert_eq!(one.minus(&other), of_model(&(&model - &others)));
    let mut both = one.clone();
    both.merge(&other);
    assert_eq!(both, of_model(&(&model | &others)));
    for (index, uuid) in UUIDS.iter().enumerate() {
        let own: Model = model.iter().filter(|(uuid, ..)| *uuid == index).copied().collect();
        assert_eq!(one.written_by(uuid), of_model(&own));
    }
    laws(&one.into(), &other.into());
}

type Lasts = BTreeMap<u32, (u64, u32)>;

/// Three bytes for each transaction; of the same number in a domain the first one counts.
fn position(bytes: &[u8]) -> (Domains, Lasts) {
    let (mut text, mut model) = (Vec::new(), Lasts::new());
    for item in bytes.chunks_exact(3) {
        let (domain, server, sequence) = (u32::from(item[0] % 5), u32::from(item[1] % 3), u64::from(item[2] % 9));
        text.push(format!("{domain}-{server}-{sequence}"));
        let last = model.entry(domain).or_insert((sequence, server));
        if sequence > last.0 {
            *last = (sequence, server);
        }
    }
    let domains = Domains::parse(text.join(" ,").as_bytes()).expect("it is well formed");
    (domains, model)
}

fn listed(domains: &Domains) -> Lasts {
    domains.iter().map(|last| (last.domain, (last.sequence, last.server))).collect()
}

fn domains(bytes: &[u8]) {
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let ((one, model), (other, others)) = (position(left), position(right));
    assert_eq!(listed(&one), model);
    let ahead = |one: &Lasts, other: &Lasts| -> Lasts {
        let is_ahead = |(domain, last): &(&u32, &(u64, u32))| other.get(domain).is_none_or(|theirs| theirs.0 < last.0);
        one.iter().filter(is_ahead).map(|(domain, last)| (*domain, *last)).collect()
    };
    assert_eq!(one.contains(&other), ahead(&others, &model).is_empty());
    assert_eq!(listed(&one.minus(&other)), ahead(&model, &others));
    let mut both = one.clone();
    both.merge(&other);
    let mut expected = model.clone();
    expected.extend(ahead(&others, &model));
    assert_eq!(listed(&both), expected);
    let conflicts: Vec<u32> = one.conflicts(&other).iter().map(|last| last.domain).collect();
    let differ = |domain: &&u32| others.get(*domain).is_some_and(|last| last.0 == model[*domain].0 && last.1 != model[*domain].1);
    assert_eq!(conflicts, model.keys().filter(differ).copied().collect::<Vec<_>>());
    laws(&one.into(), &other.into());
}
