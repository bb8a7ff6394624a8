//! Whom a KILL means.

use super::*;

#[test]
fn kills() {
    let kill = |text: &str| mariadb(text).kill.map(|kill| (kill.target, kill.hard, kill.id));
    assert_eq!(kill("KILL 5"), Some((KillTarget::Connection, None, Some(5))));
    assert_eq!(
        kill("KILL CONNECTION 5;"),
        Some((KillTarget::Connection, None, Some(5)))
    );
    assert_eq!(
        kill("kill /* c */ query 5 -- x"),
        Some((KillTarget::Query, None, Some(5)))
    );
    assert_eq!(
        kill("KILL HARD QUERY ID 5"),
        Some((KillTarget::QueryId, Some(true), Some(5)))
    );
    assert_eq!(
        kill("KILL SOFT USER a"),
        Some((KillTarget::User, Some(false), None))
    );
    assert_eq!(kill("KILL 5 + 1"), Some((KillTarget::Connection, None, None)));
    assert_eq!(kill("KILL @x"), Some((KillTarget::Connection, None, None)));
    assert_eq!(
        kill("KILL CONNECTION_ID()"),
        Some((KillTarget::Connection, None, None))
    );
    assert_eq!(
        kill("KILL 99999999999999999999999"),
        Some((KillTarget::Connection, None, None))
    );
    assert_eq!(kill("SELECT 5"), None);
    let features = mysql("KILL  QUERY  42 ");
    assert_eq!(features.kill.and_then(|kill| kill.id_range()), Some(13..15));
}
