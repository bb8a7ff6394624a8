//! What a server has that its primary lacks. Where transactions are numbered across servers (MariaDB), a number
//! alone does not tell: it takes the reigns to know who may have written it.

use super::epoch::Epoch;
use crate::gtid::Position;

/// `own`: all that the server has. `reigns`: the latest first, as far as they are known.
pub(super) fn surplus(own: &Position, primary: &Position, reigns: &[Epoch]) -> Position {
    let (Position::MariaDb(domains), Position::MariaDb(_)) = (own, primary) else {
        return own.minus(primary);
    };
    let ahead = own.minus(primary);
    let strangers = domains.iter().filter(|last| {
        writer(last.domain, last.sequence, reigns).is_some_and(|writer| writer != last.server)
    });
    let text: Vec<_> = strangers
        .map(|last| format!("{}-{}-{}", last.domain, last.server, last.sequence))
        .collect();
    let mut all = ahead;
    if let Ok(strangers) = Position::parse(true, text.join(",").as_bytes()) {
        all.merge(&strangers);
    }
    all
}

/// Who was the primary when this number was given out; `None`: that was before all reigns that are known.
fn writer(domain: u32, sequence: u64, reigns: &[Epoch]) -> Option<u32> {
    reign_of(domain, sequence, reigns).map(|reign| reign.server_id)
}

/// The reign in which this number was given out.
pub(super) fn reign_of(domain: u32, sequence: u64, reigns: &[Epoch]) -> Option<&Epoch> {
    let began = |reign: &Epoch| match &reign.fork {
        Position::MariaDb(fork) => {
            let last = fork.iter().find(|last| last.domain == domain);
            last.map_or(0, |last| last.sequence)
        }
        _ => u64::MAX,
    };
    reigns.iter().find(|reign| began(reign) < sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(text: &str) -> Position {
        Position::parse(true, text.as_bytes()).unwrap()
    }

    fn reign(number: u64, server_id: u32, fork: &str) -> Epoch {
        Epoch {
            number,
            uuid: String::new(),
            server_id,
            name: "db".into(),
            fork: mariadb(fork),
        }
    }

    #[test]
    fn a_number_is_the_reigns() {
        // Server 2 began after 0-1-100, server 3 after 0-2-200.
        let reigns = [reign(3, 3, "0-2-200"), reign(2, 2, "0-1-100")];
        let now = mariadb("0-3-300");
        let of = |own: &str| surplus(&mariadb(own), &now, &reigns).to_string();
        assert_eq!(of("0-1-100"), "");
        assert_eq!(of("0-1-90"), "");
        assert_eq!(of("0-1-105"), "0-1-105");
        assert_eq!(of("0-2-150"), "");
        assert_eq!(of("0-2-200"), "");
        assert_eq!(of("0-2-201"), "0-2-201");
        assert_eq!(of("0-3-250"), "");
        assert_eq!(of("0-3-301"), "0-3-301");
        assert_eq!(of("1-7-1"), "1-7-1");
        // Without reigns the number is all there is.
        assert_eq!(surplus(&mariadb("0-1-105"), &now, &[]).to_string(), "");
    }

    #[test]
    fn sets_say_it_themselves() {
        let mysql = |intervals: &str| {
            Position::parse(
                false,
                format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{intervals}").as_bytes(),
            )
            .unwrap()
        };
        assert!(surplus(&mysql("1-5"), &mysql("1-9"), &[]).is_empty());
        assert_eq!(surplus(&mysql("1-11"), &mysql("1-9"), &[]), mysql("10-11"));
    }
}
