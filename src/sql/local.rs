//! What every server has for itself, so that a replica gives another answer than the primary: functions, system
//! variables and tables. The lists of harmless ones are closed: what is not on them is local.

/// Variables that people read to see where a statement went.
const IDENTITY: &[&str] = &[
    "hostname",
    "port",
    "server_id",
    "server_uuid",
    "version",
    "version_comment",
    "version_compile_machine",
    "version_compile_os",
];

/// Functions that look at the server's files, or wait for its position in the binary log.
const FUNCTIONS: &[&str] = &[
    "binlog_gtid_pos",
    "load_file",
    "master_gtid_wait",
    "master_pos_wait",
    "ps_current_thread_id",
    "ps_thread_id",
    "source_pos_wait",
    "wait_for_executed_gtid_set",
    "wait_until_sql_thread_after_gtids",
];

/// Tables of information_schema that describe what replication makes the same everywhere.
const DESCRIPTIONS: &[&str] = &[
    "character_sets",
    "check_constraints",
    "collation_character_set_applicability",
    "collations",
    "column_statistics",
    "columns",
    "columns_extensions",
    "geometry_columns",
    "key_column_usage",
    "key_period_usage",
    "keywords",
    "libraries",
    "parameters",
    "partitions",
    "periods",
    "referential_constraints",
    "routine_libraries",
    "routines",
    "schemata",
    "schemata_extensions",
    "sequences",
    "spatial_ref_sys",
    "sql_functions",
    "st_geometry_columns",
    "st_spatial_reference_systems",
    "st_units_of_measure",
    "statistics",
    "table_constraints",
    "table_constraints_extensions",
    "tables",
    "tables_extensions",
    "triggers",
    "view_routine_usage",
    "view_table_usage",
    "views",
];

pub(super) fn is_identity_variable(name: &[u8]) -> bool {
    holds(IDENTITY, name)
}

pub(super) fn is_local_function(name: &[u8]) -> bool {
    holds(FUNCTIONS, name)
}

pub(super) fn is_information_schema(schema: &[u8]) -> bool {
    schema.eq_ignore_ascii_case(b"information_schema")
}

/// Whether a table, named with its schema, is one that every server has for itself.
pub fn is_server_local(schema: &[u8], table: &[u8]) -> bool {
    let own: [&[u8]; 3] = [b"mysql", b"performance_schema", b"sys"];
    own.iter().any(|known| schema.eq_ignore_ascii_case(known))
        || (is_information_schema(schema) && !holds(DESCRIPTIONS, table))
}

fn holds(table: &[&str], name: &[u8]) -> bool {
    table
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
