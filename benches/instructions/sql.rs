//! The scan and the facts of statements as they come from sysbench and from applications.

use std::hint::black_box;

use std::cell::RefCell;

use splitrail::sql::{Dialect, FactsCache, Flavour, analyse, scan};

use crate::Case;

pub const CASES: &[Case] = &[
    ("sql/scan point select", || {
        one("SELECT c FROM sbtest1 WHERE id=12345")
    }),
    ("sql/scan sum of a range", || {
        one("SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 5000 AND 5099")
    }),
    ("sql/scan update", || {
        one("UPDATE sbtest1 SET k=k+1 WHERE id=500123")
    }),
    ("sql/scan insert", || one(INSERT)),
    ("sql/scan commit", || one("COMMIT")),
    ("sql/scan set names", || {
        one("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci")
    }),
    ("sql/scan wide orm select", || one(ORM)),
    ("sql/cached point select", || {
        cached("SELECT c FROM sbtest1 WHERE id=12345")
    }),
    ("sql/cached insert", || cached(INSERT)),
    ("sql/cached wide orm select", || cached(ORM)),
    ("sql/analyse point select", || {
        analysed("SELECT c FROM sbtest1 WHERE id=12345")
    }),
    ("sql/analyse wide orm select", || analysed(ORM)),
];

fn one(text: &str) {
    black_box(scan(
        black_box(text.as_bytes()),
        Dialect::new(Flavour::MySql, 90_700),
    ));
}

thread_local! {
    static CACHE: RefCell<FactsCache> = RefCell::new(FactsCache::new(100));
}

fn cached(text: &str) {
    CACHE.with_borrow_mut(|cache| {
        black_box(cache.look(black_box(text.as_bytes()), Dialect::new(Flavour::MySql, 90_700)));
    });
}

fn analysed(text: &str) {
    black_box(analyse(
        black_box(text.as_bytes()),
        Dialect::new(Flavour::MySql, 90_700),
    ));
}

const INSERT: &str = "INSERT INTO sbtest1 (id, k, c, pad) VALUES (5012, 4999, \
    '68487932199-96439406143-93774651418-41631865787-96406072701-20604855487-25459966574-28203206787-41238978918', \
    '22195207048-70116052123-74140395089-76317954521-98694025897')";

const ORM: &str = "SELECT `orders`.`id`, `orders`.`customer_id`, `orders`.`status`, `orders`.`total`, \
    `orders`.`currency`, `orders`.`created_at`, `orders`.`updated_at`, `customers`.`name`, `customers`.`email`, \
    COUNT(`items`.`id`) AS `items_count`, COALESCE(SUM(`items`.`price`), 0) AS `items_total` FROM `orders` \
    INNER JOIN `customers` ON (`orders`.`customer_id` = `customers`.`id`) \
    LEFT OUTER JOIN `items` ON (`items`.`order_id` = `orders`.`id`) \
    WHERE (`orders`.`status` IN ('open', 'paid') AND `orders`.`created_at` >= '2026-01-01 00:00:00' \
    AND NOT (`customers`.`email` LIKE '%@example.com')) GROUP BY `orders`.`id` \
    ORDER BY `orders`.`created_at` DESC LIMIT 25 OFFSET 50";
