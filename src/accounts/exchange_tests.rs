//! Both sides of a login, set against each other and against garbage.

use proptest::prelude::*;

use super::account::{Method, Transport};
use super::*;
use crate::util::Secret;
use crate::wire::auth::{Plugin, Scramble, crypt, native};

/// What MySQL stored for the password `secret2` with 16000 rounds.
const SHA2_HASH: &[u8] =
    b"2441243031302455186565397536521B415C251A4F6611062531254769356F2E30614D76724756484C4243\
614F5258375069664D5958534C4561372E6230303772754F686837";
const SHA2_PASSWORD: &[u8] = b"secret2";

const SECURE: ClientChannel = ClientChannel {
    secure: true,
    tls: true,
    certificate: false,
};
const PLAIN: ClientChannel = ClientChannel {
    secure: false,
    tls: false,
    certificate: false,
};

fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap() as u8;
    text.chunks(2)
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}

fn accounts() -> Accounts {
    Accounts::new(Vec::new(), None).unwrap()
}

fn account(methods: Vec<Method>) -> Account {
    Account {
        methods,
        ..Account::unknown(b"u", "localhost".to_owned(), Flavour::MySql)
    }
}

fn sha2_method() -> Method {
    Method::CachingSha2(vec![crypt::Stored::parse(&unhex(SHA2_HASH)).unwrap()])
}

fn known(plugin: Option<Plugin>) -> Method {
    Method::Password {
        password: Secret::from("secret"),
        plugin,
    }
}

fn native_method() -> Method {
    Method::Native(vec![native::stored(&native::stage1(b"secret"))])
}

fn login<'a>(first: &'a FirstReply, scramble: Scramble, channel: ClientChannel) -> ClientLogin<'a> {
    ClientLogin {
        user: b"u",
        reply: &first.reply,
        plugin: Some(first.plugin.name().as_bytes()),
        scramble,
        channel,
        change_user: false,
        can_handle_expired: false,
    }
}

/// Lets a client with this credential log in, and says how that ended and how many packets the proxy sent before.
fn exchange(
    accounts: &Accounts,
    account: Account,
    credential: &Credential,
    greeting: &[u8],
    channel: ClientChannel,
) -> (Result<Credential, Refusal>, Vec<Vec<u8>>) {
    let scramble = Scramble::generate().unwrap();
    let server_channel = match channel.secure {
        true => ServerChannel::Tls,
        false => ServerChannel::Plain,
    };
    let (mut client, first) = ServerAuth::begin(credential, greeting, scramble, server_channel);
    let (mut proxy, mut step) = accounts.begin(account, login(&first, scramble, channel));
    let mut sent = Vec::new();
    for _ in 0..10 {
        let mut answer = None;
        if let Some(payload) = step.send {
            sent.push(payload.clone());
            match client.receive(&payload).expect("the client understands") {
                ServerStep::Reply(reply) => answer = Some(reply),
                ServerStep::Read => {}
                ServerStep::Accepted | ServerStep::Refused => panic!("no verdict was sent"),
            }
        }
        step = match (step.then, answer) {
            (Then::Accept(credential), _) => return (Ok(credential), sent),
            (Then::Refuse(refusal), _) => return (Err(refusal), sent),
            (Then::Read, Some(answer)) => proxy.receive(accounts, &answer),
            (Then::Read, None) => panic!("both wait"),
        };
    }
    panic!("no end")
}

fn ends(
    accounts: &Accounts,
    methods: Vec<Method>,
    password: &[u8],
    greeting: Plugin,
) -> (Result<Credential, Refusal>, usize) {
    let credential = Credential::password(password);
    let name = greeting.name().as_bytes();
    let (end, sent) = exchange(accounts, account(methods), &credential, name, SECURE);
    (end, sent.len())
}

fn code(end: Result<Credential, Refusal>) -> u16 {
    end.expect_err("refused").code
}

#[test]
fn a_native_account_gives_the_hash_and_that_logs_in_again() {
    let accounts = accounts();
    let (end, packets) = ends(&accounts, vec![native_method()], b"secret", Plugin::Native);
    let hash = end.unwrap();
    assert!(matches!(hash, Credential::NativeHash(_)) && packets == 0);
    let name = Plugin::CachingSha2.name().as_bytes();
    let (again, sent) = exchange(&accounts, account(vec![native_method()]), &hash, name, PLAIN);
    assert!(again == Ok(hash) && sent.is_empty());
    let (end, packets) = ends(&accounts, vec![native_method()], b"secret", Plugin::CachingSha2);
    assert!(end.is_ok() && packets == 1);
    assert_eq!(
        code(ends(&accounts, vec![native_method()], b"Secret", Plugin::Native).0),
        1045
    );
}

#[test]
fn a_full_login_is_needed_once_and_again_after_a_change() {
    let accounts = accounts();
    for (channel, full) in [(SECURE, 1), (PLAIN, 2)] {
        let accounts = self::accounts();
        let login = || {
            let credential = Credential::password(SHA2_PASSWORD);
            let name = Plugin::CachingSha2.name().as_bytes();
            exchange(
                &accounts,
                account(vec![sha2_method()]),
                &credential,
                name,
                channel,
            )
        };
        let (first, sent) = login();
        assert_eq!(
            (first, sent.len()),
            (Ok(Credential::password(SHA2_PASSWORD)), full)
        );
        assert_eq!(sent[0], [1, 4]);
        let (second, sent) = login();
        assert_eq!(
            (second, sent),
            (Ok(Credential::password(SHA2_PASSWORD)), vec![vec![1, 3]])
        );
        let changed = vec![Method::CachingSha2(vec![crypt::Stored::unknown()])];
        assert_eq!(
            code(ends(&accounts, changed, SHA2_PASSWORD, Plugin::CachingSha2).0),
            1045
        );
    }
    assert_eq!(
        code(ends(&accounts, vec![sha2_method()], b"wrong", Plugin::CachingSha2).0),
        1045
    );
}

#[test]
fn a_listed_password_does_for_every_plugin() {
    let accounts = accounts();
    for greeting in [Plugin::Native, Plugin::CachingSha2] {
        for plugin in [
            None,
            Some(Plugin::Native),
            Some(Plugin::CachingSha2),
            Some(Plugin::Sha256),
            Some(Plugin::Ed25519),
        ] {
            let (end, packets) = ends(&accounts, vec![known(plugin)], b"secret", greeting);
            assert_eq!(end, Ok(Credential::password(b"secret")), "{plugin:?}");
            let switched = plugin.is_some_and(|plugin| plugin != greeting);
            let fast = plugin.unwrap_or(greeting) == Plugin::CachingSha2;
            assert_eq!(
                packets,
                usize::from(switched) + usize::from(fast),
                "{plugin:?} {greeting:?}"
            );
            assert_eq!(
                code(ends(&accounts, vec![known(plugin)], b"wrong", greeting).0),
                1045
            );
            assert_eq!(code(ends(&accounts, vec![known(plugin)], b"", greeting).0), 1045);
        }
    }
}

#[test]
fn an_empty_password_is_right_only_where_there_is_none() {
    let accounts = accounts();
    for plugin in [
        Plugin::Native,
        Plugin::CachingSha2,
        Plugin::Sha256,
        Plugin::Ed25519,
    ] {
        for greeting in [Plugin::Native, Plugin::CachingSha2] {
            let empty = || vec![Method::Empty(plugin)];
            assert_eq!(ends(&accounts, empty(), b"", greeting).0, Ok(Credential::Empty));
            assert_eq!(code(ends(&accounts, empty(), b"x", greeting).0), 1045);
        }
    }
    let (end, _) = ends(&accounts, vec![sha2_method()], b"", Plugin::CachingSha2);
    assert!(end.unwrap_err().message.ends_with("(using password: NO)"));
}

#[test]
fn alternatives_are_tried_until_one_is_right() {
    let accounts = accounts();
    let methods = || {
        vec![
            Method::Unsupported("unix_socket".to_owned()),
            Method::Native(Vec::new()),
            native_method(),
        ]
    };
    let (end, packets) = ends(&accounts, methods(), b"secret", Plugin::Native);
    assert!(end.is_ok() && packets == 1);
    assert_eq!(code(ends(&accounts, methods(), b"wrong", Plugin::Native).0), 1045);
    let unsupported = vec![Method::Unsupported("parsec".to_owned())];
    let refusal = ends(&accounts, unsupported, b"secret", Plugin::Native)
        .0
        .unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (1524, "Plugin 'parsec' is not loaded")
    );
}

#[test]
fn an_old_client_cannot_be_switched() {
    let accounts = accounts();
    let scramble = Scramble::generate().unwrap();
    let reply = native::reply(&native::stage1(b"secret"), &scramble);
    let begin = |method| {
        let login = ClientLogin {
            user: b"u",
            reply: &reply,
            plugin: None,
            scramble,
            channel: PLAIN,
            change_user: false,
            can_handle_expired: false,
        };
        accounts.begin(account(vec![method]), login).1.then
    };
    assert!(matches!(begin(native_method()), Then::Accept(_)));
    assert!(matches!(begin(sha2_method()), Then::Refuse(refusal) if refusal.code == 1251));
}

#[test]
fn a_change_of_user_takes_a_new_scramble_where_it_does_with_servers() {
    for (plugin, method) in [
        (Plugin::Native, native_method()),
        (Plugin::CachingSha2, sha2_method()),
    ] {
        change_user(plugin, method);
    }
}

fn change_user(plugin: Plugin, method: Method) {
    let accounts = accounts();
    let scramble = Scramble::generate().unwrap();
    let credential = Credential::password(b"secret");
    let name = plugin.name().as_bytes();
    let (mut client, first) = ServerAuth::begin(&credential, name, scramble, ServerChannel::Plain);
    let login = ClientLogin {
        change_user: true,
        ..login(&first, scramble, PLAIN)
    };
    let (mut proxy, step) = accounts.begin(account(vec![method]), login);
    let switch = step.send.expect("a switch");
    assert!(switch.starts_with(&[b"\xfe", name, b"\0"].concat()));
    let is_old = switch.windows(20).any(|window| window == scramble.as_bytes());
    assert_eq!(is_old, plugin == Plugin::Native);
    let Ok(ServerStep::Reply(reply)) = client.receive(&switch) else {
        panic!("no reply")
    };
    assert_eq!(reply == first.reply, is_old);
    let then = proxy.receive(&accounts, &reply).then;
    assert!(!matches!(then, Then::Refuse(_)) && matches!(then, Then::Accept(_)) == is_old);
}

#[test]
fn what_else_an_account_demands_is_told_after_the_password() {
    let accounts = accounts();
    let end = |change: fn(&mut Account), password: &[u8]| {
        let mut account = account(vec![native_method()]);
        change(&mut account);
        let name = Plugin::Native.name().as_bytes();
        exchange(&accounts, account, &Credential::password(password), name, SECURE).0
    };
    let lock: fn(&mut Account) = |account| account.locked = true;
    assert_eq!(code(end(lock, b"secret")), 3118);
    assert_eq!(code(end(lock, b"wrong")), 1045);
    assert_eq!(
        code(end(
            |account| {
                account.password_expired = true;
                account.refuses_expired = true;
            },
            b"secret"
        )),
        1862
    );
    assert!(end(|account| account.transport = Transport::Tls, b"secret").is_ok());
    assert_eq!(
        code(end(
            |account| account.transport = Transport::Certificate,
            b"secret"
        )),
        1045
    );
    assert_eq!(
        code(end(
            |account| account.transport = Transport::Particular,
            b"secret"
        )),
        1045
    );
}

#[test]
fn a_password_is_never_shown_to_a_server_that_others_can_hear() {
    let scramble = Scramble::generate().unwrap();
    let sha2 = Plugin::CachingSha2.name().as_bytes();
    let clear = b"\xfemysql_clear_password\0";
    let begin = |credential: &Credential, channel| ServerAuth::begin(credential, sha2, scramble, channel).0;
    let secret = Credential::password(b"secret");
    let mut plain = begin(&secret, ServerChannel::Plain);
    assert!(
        plain
            .receive(b"\x01\x04")
            .is_ok_and(|step| step == ServerStep::Reply(vec![2]))
    );
    assert_eq!(
        plain.receive(b"\x01nonsense").err(),
        Some(ServerAuthError::PublicKey)
    );
    let insecure = ServerAuthError::Insecure("mysql_clear_password");
    assert_eq!(
        begin(&secret, ServerChannel::Plain).receive(clear).err(),
        Some(insecure)
    );
    assert!(begin(&secret, ServerChannel::Tls).receive(clear).is_ok());
    let hash = Credential::NativeHash(Secret::from(&native::stage1(b"secret")[..]));
    let mut hashed = begin(&hash, ServerChannel::Tls);
    assert!(matches!(
        hashed.receive(clear),
        Err(ServerAuthError::NeedsPassword(_))
    ));
    let parsec = begin(&secret, ServerChannel::Tls)
        .receive(b"\xfeparsec\0data")
        .err();
    assert_eq!(parsec, Some(ServerAuthError::Unsupported("parsec".to_owned())));
    assert!(begin(&secret, ServerChannel::Tls).receive(b"\xfe").is_err());
}

fn any_method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(native_method()),
        Just(sha2_method()),
        Just(Method::CachingSha2(Vec::new())),
        Just(Method::Native(Vec::new())),
        Just(Method::Unsupported("parsec".to_owned())),
        Just(known(None)),
        Just(known(Some(Plugin::Ed25519))),
        Just(known(Some(Plugin::Sha256))),
        Just(Method::Sha256(vec![crypt::Stored::unknown()])),
        Just(known(Some(Plugin::Clear))),
    ]
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![0]),
        Just(vec![2]),
        Just(b"wrong\0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..70),
        prop::collection::vec(any::<u8>(), 20..21),
        prop::collection::vec(any::<u8>(), 32..33),
        prop::collection::vec(any::<u8>(), 64..65),
        prop::collection::vec(any::<u8>(), 256..257),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nobody_gets_in_without_the_password(
        methods in prop::collection::vec(any_method(), 0..4),
        plugin in prop::sample::select(vec![None, Some("mysql_native_password"), Some("caching_sha2_password"), Some("")]),
        packets in prop::collection::vec(any_packet(), 1..6),
        secure in any::<bool>(),
    ) {
        thread_local!(static ACCOUNTS: Accounts = accounts());
        ACCOUNTS.with(|accounts| {
            let login = ClientLogin {
                user: b"u",
                reply: &packets[0],
                plugin: plugin.map(str::as_bytes),
                scramble: Scramble::from([b'x'; 20]),
                channel: if secure { SECURE } else { PLAIN },
                change_user: false,
                can_handle_expired: true,
            };
            let (mut auth, step) = accounts.begin(account(methods), login);
            assert!(!matches!(step.then, Then::Accept(_)));
            for packet in &packets[1..] {
                assert!(!matches!(auth.receive(accounts, packet).then, Then::Accept(_)));
            }
        });
    }

    #[test]
    fn a_right_reply_cut_short_or_changed_is_wrong(cut in 0usize..32, flip in 0usize..256, sha2 in any::<bool>()) {
        thread_local!(static ACCOUNTS: Accounts = accounts());
        let scramble = Scramble::from([b'x'; 20]);
        let plugin = if sha2 { Plugin::CachingSha2 } else { Plugin::Native };
        let credential = Credential::password(b"secret");
        let (_, right) = ServerAuth::begin(&credential, plugin.name().as_bytes(), scramble, ServerChannel::Tls);
        let mut changed = right.reply.clone();
        let bit = flip % (changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        let short = right.reply[..cut.min(right.reply.len() - 1)].to_vec();
        for reply in [changed, short] {
            let first = FirstReply { plugin, reply };
            let then = ACCOUNTS.with(|accounts| {
                accounts.begin(account(vec![known(None)]), login(&first, scramble, SECURE)).1.then
            });
            prop_assert!(matches!(then, Then::Refuse(refusal) if refusal.code == 1045));
        }
    }

    #[test]
    fn a_server_may_say_anything(packets in prop::collection::vec(
        (prop::sample::select(vec![&b""[..], b"\x01", b"\xfe", b"\xfecaching_sha2_password\0", b"\xfeclient_ed25519\0",
            b"\xfemysql_native_password\0", b"\xfesha256_password\0"]), prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let credential = Credential::password(b"secret");
        let scramble = Scramble::from([b'x'; 20]);
        let (mut auth, _) = ServerAuth::begin(&credential, b"x", scramble, ServerChannel::Plain);
        for (head, tail) in packets {
            if let Ok(ServerStep::Reply(reply)) = auth.receive(&[head, &tail[..]].concat()) {
                prop_assert!(!reply.windows(6).any(|window| window == b"secret"));
            }
        }
    }
}
