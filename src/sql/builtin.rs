//! The names that may stand before a parenthesis without anything unknown happening: built-in functions that
//! change nothing, types, and keywords. What is not here is taken for a stored or loadable function, which may
//! write, lock or set variables. A name that only one flavour has built in may be a user's function on the other.

/// Whether a call of `name` can have no effect beyond its result.
pub(super) fn is_known(name: &[u8], mariadb: bool) -> bool {
    let own = if mariadb { MARIADB } else { MYSQL };
    holds(BOTH, name) || holds(own, name)
}

fn holds(table: &[&str], name: &[u8]) -> bool {
    let lower = name.iter().map(u8::to_ascii_lowercase);
    table
        .binary_search_by(|entry| entry.bytes().cmp(lower.clone()))
        .is_ok()
}

/// Both flavours, sorted.
#[rustfmt::skip]
const BOTH: &[&str] = &[
    "abs", "acos", "adddate", "addtime", "aes_decrypt", "aes_encrypt", "against", "all", "and", "any", "as",
    "ascii", "asin", "atan", "atan2", "avg", "benchmark", "between", "bigint", "bin", "binary", "bit_and",
    "bit_count", "bit_length", "bit_or", "bit_xor", "blob", "by", "case", "cast", "ceil", "ceiling", "char",
    "char_length", "character", "character_length", "charset", "coalesce", "coercibility", "collation",
    "column", "columns", "compress", "concat", "concat_ws", "contains", "conv", "convert", "convert_tz",
    "cos", "cot", "count", "crc32", "cross", "cume_dist", "curdate", "current_date", "current_role",
    "current_time", "current_timestamp", "current_user", "curtime", "database", "date", "date_add",
    "date_format", "date_sub", "datediff", "datetime", "day", "dayname", "dayofmonth", "dayofweek",
    "dayofyear", "dec", "decimal", "default", "degrees", "dense_rank", "distinct", "distinctrow", "div",
    "double", "else", "elt", "end", "except", "exists", "exp", "export_set", "extract", "extractvalue",
    "fetch", "field", "find_in_set", "first_value", "floor", "for", "force", "format", "from",
    "from_base64", "from_days", "from_unixtime", "geometrycollection", "greatest", "group_concat", "having",
    "hex", "high_priority", "hour", "if", "ifnull", "ignore", "in", "index", "inet6_aton", "inet6_ntoa",
    "inet_aton", "inet_ntoa", "insert", "instr", "int", "intersect", "interval", "into", "is", "is_ipv4",
    "is_ipv4_compat", "is_ipv4_mapped", "is_ipv6", "isnull", "join", "json_array", "json_array_append",
    "json_array_insert", "json_arrayagg", "json_contains", "json_contains_path", "json_depth",
    "json_extract", "json_insert", "json_keys", "json_length", "json_merge", "json_merge_patch",
    "json_merge_preserve", "json_object", "json_objectagg", "json_overlaps", "json_pretty", "json_quote",
    "json_remove", "json_replace", "json_schema_valid", "json_search", "json_set", "json_table",
    "json_type", "json_unquote", "json_valid", "json_value", "key", "lag", "last_day", "last_value",
    "lcase", "lead", "least", "left", "length", "like", "limit", "linestring", "ln", "load_file",
    "localtime", "localtimestamp", "locate", "log", "log10", "log2", "low_priority", "lower", "lpad",
    "ltrim", "make_set", "makedate", "maketime", "match", "max", "mbrcontains", "mbrdisjoint", "mbrequals",
    "mbrintersects", "mbroverlaps", "mbrtouches", "mbrwithin", "md5", "mediumint", "microsecond", "mid",
    "min", "minute", "mod", "month", "monthname", "multilinestring", "multipoint", "multipolygon",
    "name_const", "national", "natural", "nchar", "not", "now", "nth_value", "ntile", "nullif", "numeric",
    "oct", "octet_length", "offset", "on", "or", "ord", "order", "over", "partition", "percent_rank",
    "period_add", "period_diff", "pi", "point", "polygon", "position", "pow", "power", "precision",
    "primary", "quarter", "quote", "radians", "rand", "random_bytes", "rank", "real", "regexp",
    "regexp_instr", "regexp_replace", "regexp_substr", "repeat", "replace", "return", "returning",
    "reverse", "right", "rlike", "round", "row", "row_number", "rows", "rpad", "rtrim", "schema",
    "sec_to_time", "second", "select", "session_user", "set", "sha", "sha1", "sha2", "sign", "signed",
    "sin", "smallint", "some", "soundex", "sounds", "space", "sql_big_result", "sql_buffer_result",
    "sql_calc_found_rows", "sql_no_cache", "sql_small_result", "sqrt", "st_area", "st_asbinary",
    "st_asgeojson", "st_astext", "st_aswkb", "st_aswkt", "st_buffer", "st_centroid", "st_collect",
    "st_contains", "st_convexhull", "st_crosses", "st_difference", "st_dimension", "st_disjoint",
    "st_distance", "st_distance_sphere", "st_endpoint", "st_envelope", "st_equals", "st_exteriorring",
    "st_geomcollfromtext", "st_geomcollfromwkb", "st_geometrycollectionfromtext",
    "st_geometrycollectionfromwkb", "st_geometryfromtext", "st_geometryfromwkb", "st_geometryn",
    "st_geometrytype", "st_geomfromgeojson", "st_geomfromtext", "st_geomfromwkb", "st_interiorringn",
    "st_intersection", "st_intersects", "st_isclosed", "st_isempty", "st_issimple", "st_isvalid",
    "st_length", "st_linefromtext", "st_linefromwkb", "st_linestringfromtext", "st_linestringfromwkb",
    "st_mlinefromtext", "st_mlinefromwkb", "st_mpointfromtext", "st_mpointfromwkb", "st_mpolyfromtext",
    "st_mpolyfromwkb", "st_multilinestringfromtext", "st_multilinestringfromwkb", "st_multipointfromtext",
    "st_multipointfromwkb", "st_multipolygonfromtext", "st_multipolygonfromwkb", "st_numgeometries",
    "st_numinteriorrings", "st_numpoints", "st_overlaps", "st_pointfromtext", "st_pointfromwkb",
    "st_pointn", "st_polyfromtext", "st_polyfromwkb", "st_polygonfromtext", "st_polygonfromwkb",
    "st_simplify", "st_srid", "st_startpoint", "st_symdifference", "st_touches", "st_union", "st_within",
    "st_x", "st_y", "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "straight_join", "strcmp",
    "subdate", "substr", "substring", "substring_index", "subtime", "sum", "sysdate", "system_user",
    "table", "tan", "then", "time", "time_format", "time_to_sec", "timediff", "timestamp", "timestampadd",
    "timestampdiff", "tinyint", "to_base64", "to_days", "to_seconds", "trim", "truncate", "ucase",
    "uncompress", "uncompressed_length", "unhex", "union", "unique", "unix_timestamp", "unsigned", "update",
    "updatexml", "upper", "use", "user", "using", "utc_date", "utc_time", "utc_timestamp", "uuid",
    "uuid_short", "value", "values", "var_pop", "var_samp", "varbinary", "varchar", "variance", "version",
    "week", "weekday", "weekofyear", "weight_string", "when", "where", "while", "window", "with", "xor",
    "year", "year_month", "yearweek",
];

/// MySQL alone, sorted.
#[rustfmt::skip]
const MYSQL: &[&str] = &[
    "any_value", "array", "bin_to_uuid", "can_access_column", "can_access_database", "can_access_routine",
    "can_access_table", "can_access_user", "can_access_view", "cube", "etag", "format_bytes",
    "format_pico_time", "from_vector", "geomcollection", "grouping", "gtid_subset", "gtid_subtract",
    "icu_version", "is_uuid", "is_visible_dd_object", "json_schema_validation_report", "json_storage_free",
    "json_storage_size", "lateral", "manual", "mbrcoveredby", "mbrcovers", "member",
    "mysql_query_attribute_string", "of", "qualify", "regexp_like", "roles_graphml", "rollup",
    "source_pos_wait", "st_buffer_strategy", "st_frechetdistance", "st_geohash", "st_geomcollfromtxt",
    "st_hausdorffdistance", "st_latfromgeohash", "st_latitude", "st_lineinterpolatepoint",
    "st_lineinterpolatepoints", "st_longfromgeohash", "st_longitude", "st_makeenvelope",
    "st_numinteriorring", "st_pointatdistance", "st_pointfromgeohash", "st_swapxy", "st_transform",
    "st_validate", "statement_digest", "statement_digest_text", "string_to_vector", "tablesample",
    "to_vector", "uuid_to_bin", "validate_password_strength", "vector_dim", "vector_to_string",
];

/// MariaDB alone, sorted.
#[rustfmt::skip]
const MARIADB: &[&str] = &[
    "add_months", "area", "asbinary", "astext", "aswkb", "aswkt", "binlog_gtid_pos", "boundary", "buffer",
    "centroid", "chr", "column_add", "column_check", "column_create", "column_delete", "column_exists",
    "column_get", "column_json", "column_list", "concat_operator_oracle", "convexhull", "crc32c", "crosses",
    "decode", "decode_histogram", "decode_oracle", "des_decrypt", "des_encrypt", "dimension", "disjoint",
    "encode", "encrypt", "endpoint", "envelope", "equals", "exteriorring", "geomcollfromtext",
    "geomcollfromwkb", "geometrycollectionfromtext", "geometrycollectionfromwkb", "geometryfromtext",
    "geometryfromwkb", "geometryn", "geometrytype", "geomfromtext", "geomfromwkb", "glength",
    "interiorringn", "intersects", "isclosed", "isempty", "isring", "issimple", "json_array_intersect",
    "json_compact", "json_detailed", "json_equals", "json_exists", "json_loose", "json_normalize",
    "json_object_filter_keys", "json_object_to_array", "json_query", "kdf", "lengthb", "linefromtext",
    "linefromwkb", "linestringfromtext", "linestringfromwkb", "lpad_oracle", "ltrim_oracle", "mbrequal",
    "median", "mlinefromtext", "mlinefromwkb", "mpointfromtext", "mpointfromwkb", "mpolyfromtext",
    "mpolyfromwkb", "multilinestringfromtext", "multilinestringfromwkb", "multipointfromtext",
    "multipointfromwkb", "multipolygonfromtext", "multipolygonfromwkb", "natural_sort_key", "numgeometries",
    "numinteriorrings", "numpoints", "nvl", "nvl2", "old_password", "overlaps", "password",
    "percentile_cont", "percentile_disc", "pointfromtext", "pointfromwkb", "pointn", "pointonsurface",
    "polyfromtext", "polyfromwkb", "polygonfromtext", "polygonfromwkb", "regexp_replace_oracle",
    "replace_oracle", "rownum", "rpad_oracle", "rtrim_oracle", "sformat", "srid", "st_boundary",
    "st_isring", "st_pointonsurface", "st_relate", "startpoint", "substr_oracle",
    "sys_guid", "to_char", "touches", "trim_oracle", "uuid_v4", "uuid_v7", "vec_distance",
    "vec_distance_cosine", "vec_distance_euclidean", "vec_fromtext", "vec_totext", "within", "x", "y",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_have_no_name_twice() {
        for table in [BOTH, MYSQL, MARIADB] {
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert!(
            MYSQL
                .iter()
                .chain(MARIADB)
                .all(|name| !holds(BOTH, name.as_bytes()))
        );
    }

    #[test]
    fn names_are_found_in_any_case_and_in_their_own_flavour() {
        assert!(is_known(b"CoUnT", false) && is_known(b"count", true));
        assert!(is_known(b"regexp_like", false) && !is_known(b"regexp_like", true));
        assert!(is_known(b"nvl", true) && !is_known(b"nvl", false));
        assert!(!is_known(b"my_function", false) && !is_known(b"", true));
    }
}
