//! Which session variables the servers are asked to report.
//!
//! MariaDB takes `*`. So does MySQL, but then it adds `statement_id` to every single reply, so it gets a list of
//! those that a session can change and that can be put back. A name unknown to a server's version is ignored there.
//! Variables that the next statement consumes (`insert_id`, `timestamp`, `gtid_next`) are not here: a session that
//! sets one keeps its connection.

use crate::wire::track::Change;

/// The transaction's state as a client was told it last: the beginning of eight characters, `T_R` or `___`.
pub type ToldState = [u8; 3];

pub const NO_TRANSACTION: ToldState = *b"___";

/// Asks for the names and values that the server derived from the login. To set a variable to what it is would
/// tell as much, but a character set's name stands for its default collation, and the login named a collation.
pub const FROM_LOGIN: &str = "SELECT 'character_set_client',@@character_set_client \
    UNION ALL SELECT 'character_set_results',@@character_set_results \
    UNION ALL SELECT 'collation_connection',@@collation_connection";

/// The statement that makes a fresh connection tell what becomes of its session. MariaDB keeps no results for a
/// connection that tells of transactions, which are known without that, if less closely: where it is to keep them
/// (`keeps_results`), it is not asked to.
pub fn statement(is_mariadb: bool, keeps_results: bool) -> Vec<u8> {
    let variables = if is_mariadb {
        "*".to_owned()
    } else {
        MYSQL.join(",")
    };
    let mut sql = format!(
        "SET SESSION session_track_schema=ON,session_track_state_change=ON,session_track_transaction_info={},\
         session_track_system_variables='{variables}'",
        if keeps_results { "OFF" } else { "CHARACTERISTICS" },
    );
    if !is_mariadb {
        sql.push_str(",session_track_gtids=OWN_GTID");
    }
    sql.into_bytes()
}

/// The statement that leaves tracking as it is for a client that connects by itself.
pub fn undo_statement(is_mariadb: bool) -> Vec<u8> {
    let mut sql = "SET SESSION session_track_schema=DEFAULT,session_track_state_change=DEFAULT,\
         session_track_transaction_info=DEFAULT,session_track_system_variables=DEFAULT"
        .to_owned();
    if !is_mariadb {
        sql.push_str(",session_track_gtids=DEFAULT");
    }
    sql.into_bytes()
}

/// MariaDB reports with `*` what is no setting to restore.
pub fn is_transient(name: &[u8]) -> bool {
    TRANSIENT.contains(&name)
}

/// The servers' defaults of `session_track_system_variables` and its like: the same on both flavours.
pub fn is_told_by_default(change: &Change<'_>) -> bool {
    match change {
        Change::Schema(_) => true,
        Change::SystemVariable { name, .. } => matches!(
            *name,
            b"autocommit"
                | b"character_set_client"
                | b"character_set_connection"
                | b"character_set_results"
                | b"time_zone"
        ),
        _ => false,
    }
}

const TRANSIENT: &[&[u8]] = &[
    b"error_count",
    b"identity",
    b"in_transaction",
    b"insert_id",
    b"last_gtid",
    b"last_insert_id",
    b"pseudo_thread_id",
    b"rand_seed1",
    b"rand_seed2",
    b"statement_id",
    b"timestamp",
    b"warning_count",
];

const MYSQL: &[&str] = &[
    "auto_increment_increment",
    "auto_increment_offset",
    "autocommit",
    "big_tables",
    "binlog_direct_non_transactional_updates",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_value_options",
    "binlog_rows_query_log_events",
    "block_encryption_mode",
    "bulk_insert_buffer_size",
    "character_set_client",
    "character_set_connection",
    "character_set_database",
    "character_set_filesystem",
    "character_set_results",
    "character_set_server",
    "collation_connection",
    "collation_database",
    "collation_server",
    "completion_type",
    "connection_memory_chunk_size",
    "cte_max_recursion_depth",
    "default_collation_for_utf8mb4",
    "default_storage_engine",
    "default_table_encryption",
    "default_tmp_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "end_markers_in_json",
    "eq_range_index_dive_limit",
    "explain_format",
    "explain_json_format_version",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "generated_random_password_length",
    "global_connection_memory_tracking",
    "group_concat_max_len",
    "group_replication_consistency",
    "high_priority_updates",
    "histogram_generation_max_mem_size",
    "information_schema_stats_expiry",
    "innodb_ddl_buffer_size",
    "innodb_ddl_threads",
    "innodb_ft_enable_stopword",
    "innodb_ft_user_stopword_table",
    "innodb_lock_wait_timeout",
    "innodb_parallel_read_threads",
    "innodb_strict_mode",
    "innodb_table_locks",
    "innodb_tmpdir",
    "interactive_timeout",
    "internal_tmp_mem_storage_engine",
    "join_buffer_size",
    "keep_files_on_create",
    "last_insert_id",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "long_query_time",
    "low_priority_updates",
    "max_allowed_packet",
    "max_delayed_threads",
    "max_error_count",
    "max_execution_time",
    "max_heap_table_size",
    "max_insert_delayed_threads",
    "max_join_size",
    "max_length_for_sort_data",
    "max_points_in_geometry",
    "max_seeks_for_key",
    "max_sort_length",
    "max_sp_recursion_depth",
    "max_user_connections",
    "min_examined_row_limit",
    "myisam_repair_threads",
    "myisam_sort_buffer_size",
    "myisam_stats_method",
    "ndb_use_transactions",
    "net_buffer_length",
    "net_read_timeout",
    "net_retry_count",
    "net_write_timeout",
    "new",
    "old_alter_table",
    "optimizer_max_subgraph_pairs",
    "optimizer_prune_level",
    "optimizer_search_depth",
    "optimizer_switch",
    "optimizer_trace",
    "optimizer_trace_features",
    "optimizer_trace_limit",
    "optimizer_trace_max_mem_size",
    "optimizer_trace_offset",
    "parser_max_mem_size",
    "preload_buffer_size",
    "print_identified_with_as_hex",
    "profiling",
    "profiling_history_size",
    "pseudo_replica_mode",
    "pseudo_slave_mode",
    "query_alloc_block_size",
    "query_prealloc_size",
    "range_alloc_block_size",
    "range_optimizer_max_mem_size",
    "rbr_exec_mode",
    "read_buffer_size",
    "read_rnd_buffer_size",
    "require_row_format",
    "restrict_fk_on_non_standard_key",
    "resultset_metadata",
    "secondary_engine_cost_threshold",
    "select_into_buffer_size",
    "select_into_disk_sync",
    "select_into_disk_sync_delay",
    "set_operations_buffer_size",
    "show_create_table_skip_secondary_engine",
    "show_create_table_verbosity",
    "show_gipk_in_create_table_and_information_schema",
    "show_old_temporals",
    "sort_buffer_size",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_buffer_result",
    "sql_generate_invisible_primary_key",
    "sql_log_bin",
    "sql_log_off",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_require_primary_key",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "terminology_use_previous",
    "time_zone",
    "tmp_table_size",
    "transaction_alloc_block_size",
    "transaction_allow_batching",
    "transaction_isolation",
    "transaction_prealloc_size",
    "transaction_read_only",
    "transaction_write_set_extraction",
    "unique_checks",
    "updatable_views_with_limit",
    "use_secondary_engine",
    "wait_timeout",
    "windowing_use_high_precision",
    "xa_detach_on_prepare",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_and_has_nothing_twice() {
        assert!(super::MYSQL.is_sorted_by(|a, b| a < b));
        assert!(super::TRANSIENT.is_sorted_by(|a, b| a < b));
    }
}
