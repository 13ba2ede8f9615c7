//! What is known of functions beside `pg_proc.provolatile`.

use crate::sql::Schema;
use crate::sql::schema::Volatility;

/// What calling a function means for where a statement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The same answer everywhere.
    Anywhere,
    /// A built-in that reads the clock of the transaction: one answer a shard.
    Clock,
    /// A built-in that is volatile yet writes nothing and looks at nothing.
    Harmless,
    /// A built-in that tells of its own server.
    PerServer,
    /// Any other volatile built-in: it lives once, on the home shard.
    Once,
    /// Not a built-in.
    Foreign {
        /// The worst of its overloads.
        volatility: Volatility,
        /// Whether all of it is an extension's C.
        in_c: bool,
    },
    /// The schema cache knows no function of this name.
    Unknown,
}

/// Words with parentheses that the grammar knows and `pg_proc` does not.
const GRAMMAR: [&str; 24] = [
    "array",
    "cast",
    "coalesce",
    "collation",
    "current_catalog",
    "current_role",
    "current_schema",
    "current_user",
    "exists",
    "greatest",
    "grouping",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_value",
    "least",
    "nullif",
    "row",
    "session_user",
];

const CLOCK: [&str; 9] = [
    "age",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "statement_timestamp",
    "transaction_timestamp",
];

const HARMLESS: [&str; 10] = [
    "clock_timestamp",
    "gen_random_uuid",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "random",
    "random_normal",
    "timeofday",
    "uuidv4",
    "uuidv7",
];

const PER_SERVER: [&str; 35] = [
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_conf_load_time",
    "pg_current_logfile",
    "pg_current_snapshot",
    "pg_cursor",
    "pg_database_size",
    "pg_get_replication_slots",
    "pg_hba_file_rules",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_jit_available",
    "pg_listening_channels",
    "pg_lock_status",
    "pg_my_temp_schema",
    "pg_notification_queue_usage",
    "pg_postmaster_start_time",
    "pg_prepared_statement",
    "pg_prepared_xact",
    "pg_read_binary_file",
    "pg_read_file",
    "pg_relation_filenode",
    "pg_relation_filepath",
    "pg_relation_size",
    "pg_stat_file",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "regclass",
    "txid_current_snapshot",
];

const PER_SERVER_PREFIXES: [&str; 8] = [
    "pg_control_",
    "pg_current_wal_",
    "pg_last_",
    "pg_ls_",
    "pg_safe_snapshot_",
    "pg_show_",
    "pg_stat_get_",
    "pg_wal_",
];

/// System views that show their own server, beside `pg_stat_…` and `pg_statio_…`.
const SERVER_VIEWS: [&str; 17] = [
    "pg_backend_memory_contexts",
    "pg_config",
    "pg_cursors",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_locks",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_settings",
    "pg_shmem_allocations",
    "pg_subscription_rel",
    "pg_aios",
    "pg_wait_events",
    "pg_dsm_registry_allocations",
];

/// What calling a function of this name means.
pub(super) fn class(name: &str, schema: &Schema) -> Class {
    let known = schema.functions.get(name);
    if let Some(function) = known.filter(|function| !function.builtin) {
        return Class::Foreign { volatility: function.volatility, in_c: function.in_c };
    }
    if PER_SERVER.contains(&name) || PER_SERVER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Class::PerServer;
    }
    if CLOCK.contains(&name) {
        return Class::Clock;
    }
    if HARMLESS.contains(&name) {
        return Class::Harmless;
    }
    match known.map(|function| function.volatility) {
        Some(Volatility::Immutable | Volatility::Stable) => Class::Anywhere,
        Some(Volatility::Volatile) => Class::Once,
        None if GRAMMAR.contains(&name) || name == "user" => Class::Anywhere,
        None => Class::Unknown,
    }
}

/// Whether a relation of `pg_catalog` shows its own server.
pub(super) fn is_server_view(name: &str) -> bool {
    name.starts_with("pg_stat_") || name.starts_with("pg_statio_") || SERVER_VIEWS.contains(&name)
}
