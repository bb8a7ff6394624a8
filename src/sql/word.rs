//! The words that change what a statement does, found without hashing or copying: up to sixteen bytes are
//! folded to lower case in one integer and matched as a number.

/// A word that means something to the scan. [`Word::Other`] is any other name.
macro_rules! words {
    (long: $($long:ident)*; short: $($name:ident $text:literal)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Word { Other, $($long,)* $($name),* }

        #[allow(non_upper_case_globals)]
        mod packed {
            $(pub(super) const $name: u128 = super::pack($text);)*
        }

        fn short(packed: u128) -> Word {
            match packed {
                $(packed::$name => Word::$name,)*
                _ => Word::Other,
            }
        }
    };
}

words! {
    long: CharacterSet CalcFoundRows Modifier NextTransaction OneShot PerformanceSchema ReleaseAllLocks ServiceLocks SessionTrack TrxMysqlThreadId;
    short:
    All b"all" Alter b"alter" Analyze b"analyze" As b"as" Backup b"backup" Begin b"begin" Binary b"binary"
    Binlog b"binlog" Call b"call" Case b"case" Change b"change" Character b"character" Charset b"charset"
    Check b"check" Checksum b"checksum" Close b"close" Collate b"collate" Commit b"commit" Connection b"connection"
    ConnectionId b"connection_id" Create b"create" Currval b"currval" Deallocate b"deallocate"
    Declare b"declare" Default b"default" Delayed b"delayed" Delete b"delete" Desc b"desc"
    Describe b"describe" Distinct b"distinct" Distinctrow b"distinctrow" Do b"do" Drop b"drop"
    Dumpfile b"dumpfile" End b"end" ErrorCount b"error_count" Errors b"errors" Event b"event"
    Except b"except" Execute b"execute" Exists b"exists" Explain b"explain" Export b"export"
    Flush b"flush" For b"for" FoundRows b"found_rows" From b"from" Function b"function" Get b"get"
    GetLock b"get_lock" Global b"global" Grant b"grant" Group b"group" GtidNext b"gtid_next"
    GtidSeqNo b"gtid_seq_no" Handler b"handler" Hard b"hard" Having b"having" Help b"help"
    HighPriority b"high_priority" Id b"id" Identity b"identity" If b"if" Ignore b"ignore"
    Immediate b"immediate" In b"in" Index b"index" Insert b"insert" InsertId b"insert_id"
    Install b"install" Instance b"instance" Intersect b"intersect" Into b"into"
    IsFreeLock b"is_free_lock" IsUsedLock b"is_used_lock" Join b"join" Key b"key" Kill b"kill"
    LastInsertId b"last_insert_id" Lastval b"lastval" Limit b"limit" Load b"load" Local b"local"
    Lock b"lock" Loop b"loop" LowPriority b"low_priority" Names b"names" Next b"next"
    Nextval b"nextval" No b"no" Not b"not" On b"on" Open b"open" Optimize b"optimize" OptimizerTrace b"optimizer_trace" Order b"order"
    Outfile b"outfile" Package b"package" Password b"password" Persist b"persist"
    PersistOnly b"persist_only" Prepare b"prepare" Previous b"previous" Procedure b"procedure"
    Processlist b"processlist" ProcesslistId b"processlist_id" Profiling b"profiling" PseudoThreadId b"pseudo_thread_id"
    Purge b"purge" Query b"query"
    RandSeed1 b"rand_seed1" RandSeed2 b"rand_seed2" Read b"read" Recursive b"recursive"
    References b"references" Release b"release" ReleaseLock b"release_lock" Rename b"rename"
    Repair b"repair" Repeat b"repeat" Replace b"replace" Reset b"reset" Resignal b"resignal"
    Resource b"resource" Returning b"returning" Revoke b"revoke" Role b"role" Rollback b"rollback"
    RowCount b"row_count" Savepoint b"savepoint" Select b"select" Session b"session" Set b"set"
    Share b"share" Show b"show" Shutdown b"shutdown" Signal b"signal" Sleep b"sleep" Soft b"soft"
    SqlBigResult b"sql_big_result" SqlCache b"sql_cache" SqlLogBin b"sql_log_bin"
    SqlMode b"sql_mode" SqlNoCache b"sql_no_cache" SqlSmallResult b"sql_small_result" Stage b"stage"
    Start b"start" Statement b"statement" Stop b"stop" StraightJoin b"straight_join" Table b"table"
    Tables b"tables" Temporary b"temporary" Threads b"threads" Timestamp b"timestamp" To b"to"
    Transaction b"transaction" Trigger b"trigger" Truncate b"truncate" TxIsolation b"tx_isolation"
    TxReadOnly b"tx_read_only" Uninstall b"uninstall" Union b"union" Unlock b"unlock"
    Update b"update" Use b"use" User b"user" Value b"value" Values b"values" Warnings b"warnings"
    WarningCount b"warning_count" Where b"where" While b"while" Window b"window" With b"with"
    Work b"work" Xa b"xa"
}

const LONGEST_SHORT: usize = 16;
const LOWER: u128 = u128::from_le_bytes([0x20; LONGEST_SHORT]);

/// Setting this bit folds letters to lower case and keeps any two different word bytes apart.
const fn pack(text: &[u8]) -> u128 {
    let mut bytes = [0; LONGEST_SHORT];
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text[at] | 0x20;
        at += 1;
    }
    u128::from_le_bytes(bytes)
}

/// What the name at `start..end` of a text means. Names in quotes are given without them.
pub(super) fn classify(text: &[u8], start: usize, end: usize) -> Word {
    let length = end.saturating_sub(start);
    if length > LONGEST_SHORT {
        return text.get(start..end).map_or(Word::Other, long);
    }
    if length < 2 {
        return Word::Other;
    }
    let kept = u128::MAX >> (8 * (LONGEST_SHORT - length));
    // Reading past the word is quicker than copying it, where the text goes on for long enough.
    match text
        .get(start..)
        .and_then(|rest| rest.first_chunk::<LONGEST_SHORT>())
    {
        Some(chunk) => short((u128::from_le_bytes(*chunk) | LOWER) & kept),
        None => short(text.get(start..end).map_or(0, pack)),
    }
}

fn long(name: &[u8]) -> Word {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.len() {
        17 if is("release_all_locks") => Word::ReleaseAllLocks,
        17 if is("sql_buffer_result") => Word::Modifier,
        18 if is("performance_schema") => Word::PerformanceSchema,
        19 if is("sql_calc_found_rows") => Word::CalcFoundRows,
        19 if is("trx_mysql_thread_id") => Word::TrxMysqlThreadId,
        20 if is("character_set_client") => Word::CharacterSet,
        21 if is("transaction_isolation") || is("transaction_read_only") => Word::NextTransaction,
        22 if is("service_get_read_locks") => Word::ServiceLocks,
        23 if is("service_get_write_locks") => Word::ServiceLocks,
        _ if name
            .get(..14)
            .is_some_and(|head| head.eq_ignore_ascii_case(b"session_track_")) =>
        {
            Word::SessionTrack
        }
        _ if ONE_SHOT.iter().any(|known| is(known)) => Word::OneShot,
        _ => Word::Other,
    }
}

const ONE_SHOT: [&str; 5] = [
    "pseudo_slave_mode",
    "pseudo_replica_mode",
    "original_commit_timestamp",
    "immediate_server_version",
    "original_server_version",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(name: &str) -> Word {
        classify(name.as_bytes(), 0, name.len())
    }

    #[test]
    fn words_are_known_in_any_case_and_place() {
        assert_eq!(alone("select"), Word::Select);
        assert_eq!(alone("SeLeCt"), Word::Select);
        assert_eq!(alone("PSEUDO_THREAD_ID"), Word::PseudoThreadId);
        assert_eq!(alone("Release_All_Locks"), Word::ReleaseAllLocks);
        assert_eq!(alone("session_track_gtids"), Word::SessionTrack);
        assert_eq!(alone("selects"), Word::Other);
        assert_eq!(alone("s"), Word::Other);
        assert_eq!(alone(""), Word::Other);
        let text = b"xselect_sixteen_bytes_and_more";
        assert_eq!(classify(text, 1, 7), Word::Select);
        assert_eq!(classify(text, 1, 8), Word::Other);
    }
}
