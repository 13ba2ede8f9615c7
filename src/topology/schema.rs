//! Reading a database's schema from its server's catalogs.
//!
//! A few queries in one read-only transaction, so that all of them see one moment. What comes out depends on what is in
//! the catalogs and on nothing else: the version is a hash of the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use super::line::{Line, LineError, Row};
use crate::sql::Schema;
use crate::sql::schema::{Column, Function, Relation, RelationKind, Volatility};

/// Reads the schema of the database `line` is connected to. Reads nothing but catalogs and needs no privileges.
///
/// [`Schema::search_path`] is that of the role `line` logged in as. [`Schema::version`] is a hash of the content.
///
/// # Errors
/// [`LineError`] when the server does not answer or says something unexpected. The line may be in a transaction then: drop it.
pub async fn load_schema(line: &mut Line) -> Result<Schema, LineError> {
    // Before anything changes it: the path as a new session of this role has it.
    let facts = line.query(FACTS).await?;
    let (server, path) = facts.split_first().ok_or_else(|| LineError::Answer("no row".into()))?;
    let version: u32 = server.value(0)?;
    // With nothing but pg_catalog in the path, the texts of views name everything else with its schema.
    line.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO pg_catalog").await?;
    let columns = line.query(&columns_query(version)).await?;
    let relations = line.query(RELATIONS).await?;
    let code = line.query(CODE).await?;
    let functions = line.query(FUNCTIONS).await?;
    let operators = line.query(VOLATILE_OPERATORS).await?;
    line.query("COMMIT").await?;

    let mut hasher = SipHasher13::new();
    (path, &columns, &relations, &code, &functions, &operators).hash(&mut hasher);
    Ok(Schema {
        version: hasher.finish(),
        relations: read_relations(&relations, &columns, &code)?,
        functions: functions.iter().map(read_function).collect::<Result<_, _>>()?,
        volatile_operators: operators.iter().map(|row| row.value(0)).collect::<Result<_, _>>()?,
        search_path: path.iter().map(|row| row.value(0)).collect::<Result<_, _>>()?,
    })
}

fn read_relations(relations: &[Row], columns: &[Row], code: &[Row]) -> Result<Relations, LineError> {
    let mut columns_of: HashMap<u32, Vec<Column>> = HashMap::new();
    for row in columns {
        columns_of.entry(row.value(0)?).or_default().push(read_column(row)?);
    }
    let mut code_of: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for row in code {
        code_of.entry(row.value(0)?).or_default().insert(row.value(1)?);
    }
    let mut all = HashMap::with_capacity(relations.len());
    for row in relations {
        let oid: u32 = row.value(0)?;
        let relation = Relation {
            kind: read_kind(row)?,
            columns: columns_of.remove(&oid).unwrap_or_default(),
            on_standby: row.flag(5)?,
            view_text: row.read_as(6)?,
            code: code_of.remove(&oid).unwrap_or_default().into_iter().collect(),
        };
        all.insert((row.value(1)?, row.value(2)?), relation);
    }
    Ok(all)
}

type Relations = HashMap<(String, String), Relation>;

fn read_kind(row: &Row) -> Result<RelationKind, LineError> {
    Ok(match (row.text(3)?.unwrap_or_default(), row.flag(4)?) {
        ("r" | "p" | "f", true) => RelationKind::Partition,
        ("r", false) => RelationKind::Table,
        ("p", false) => RelationKind::Partitioned,
        ("v", _) => RelationKind::View,
        ("m", _) => RelationKind::MaterializedView,
        ("f", false) => RelationKind::Foreign,
        ("S", _) => RelationKind::Sequence,
        (kind, _) => return Err(LineError::Answer(format!("a relation of kind \"{kind}\""))),
    })
}

fn read_column(row: &Row) -> Result<Column, LineError> {
    Ok(Column {
        name: row.value(1)?,
        type_oid: row.value(2)?,
        typmod: row.value(3)?,
        not_null: row.flag(4)?,
        generated: row.flag(5)?,
        deterministic: row.flag(6)?,
        byte_order: row.flag(7)?,
        has_default: row.flag(8)?,
    })
}

fn read_function(row: &Row) -> Result<(String, Function), LineError> {
    let volatility = match row.value::<u8>(1)? {
        0 => Volatility::Immutable,
        1 => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let function = Function {
        volatility,
        builtin: row.flag(2)?,
        aggregate: row.flag(3)?,
        window: row.flag(4)?,
        in_c: row.flag(5)?,
    };
    Ok((row.value(0)?, function))
}

/// Version, then the effective search path, a row each. `current_schemas(false)` leaves out `pg_catalog` (unless it is named
/// in the path) and what does not exist.
const FACTS: &str = "SELECT pg_catalog.current_setting('server_version_num'); \
    SELECT s FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS p(s, n) \
    WHERE s <> 'pg_catalog' ORDER BY n";

/// A relation's row is kept if it is in a schema of the users.
const USER_RELATIONS: &str = "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' \
    AND n.nspname <> 'information_schema'";

/// Columns of user relations: relation, name, type, typmod, not null, generated, deterministic, byte order, default.
///
/// A column's collation 100 is the database's. Which column of `pg_database` and `pg_collation` names the locale, and which
/// providers there are, has changed with 15 and 17.
fn columns_query(version: u32) -> String {
    let bytewise = |alias: &str, prefix: &str| {
        let libc = format!("{alias}.{prefix}collate IN ('C', 'POSIX')");
        match version {
            // 17 has the builtin provider, whose locales all compare code points, which in UTF-8 is the order of bytes.
            170_000.. => format!(
                "CASE {alias}.{} WHEN 'c' THEN {libc} WHEN 'b' THEN true ELSE false END",
                if prefix == "dat" { "datlocprovider" } else { "collprovider" }
            ),
            150_000.. => format!(
                "({alias}.{} = 'c' AND {libc})",
                if prefix == "dat" { "datlocprovider" } else { "collprovider" }
            ),
            _ if prefix == "dat" => libc,
            _ => format!("({alias}.collprovider = 'c' AND {libc})"),
        }
    };
    format!(
        "SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated <> '', \
            COALESCE(l.collisdeterministic, true), \
            CASE WHEN a.attcollation = 0 THEN false WHEN l.collprovider = 'd' THEN {database} ELSE {collation} END, \
            a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL \
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid \
            JOIN pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_database d ON d.datname = current_database() LEFT JOIN pg_collation l ON l.oid = a.attcollation \
        WHERE a.attnum > 0 AND NOT a.attisdropped AND {USER_RELATIONS} \
        ORDER BY a.attrelid, a.attnum",
        database = bytewise("d", "dat"),
        collation = bytewise("l", "coll"),
    )
}

/// User relations: oid, schema, name, kind, whether a partition, whether a standby has it, a view's text.
const RELATIONS: &str = "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relpersistence = 'p', \
        CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    ORDER BY c.oid";

/// Relation and name of each function outside `pg_catalog` that a statement over the relation may run without naming it.
///
/// Triggers (not those of foreign keys, which are internal) whatever their volatility, because a trigger's function is
/// there for what it does; of policies, rules, defaults, generated columns and checks (a domain's, too) those that are not
/// immutable, called by name or behind an operator. A rule that is not a view's own counts by its name even if it calls nothing, because it
/// is code itself. A statement over a table also runs what belongs to its partitions and heirs.
const CODE: &str = "WITH RECURSIVE parts(obj, class, rel) AS ( \
        SELECT t.oid, 'pg_trigger'::regclass, t.tgrelid FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' \
        UNION ALL SELECT p.oid, 'pg_policy'::regclass, p.polrelid FROM pg_policy p \
        UNION ALL SELECT f.oid, 'pg_attrdef'::regclass, f.adrelid FROM pg_attrdef f \
        UNION ALL SELECT k.oid, 'pg_constraint'::regclass, k.conrelid FROM pg_constraint k \
            WHERE k.contype = 'c' AND k.conrelid <> 0 \
        UNION ALL SELECT k.oid, 'pg_constraint'::regclass, a.attrelid FROM pg_constraint k \
            JOIN pg_attribute a ON a.atttypid = k.contypid WHERE k.contypid <> 0 AND NOT a.attisdropped \
        UNION ALL SELECT t.oid, 'pg_type'::regclass, a.attrelid FROM pg_type t \
            JOIN pg_attribute a ON a.atttypid = t.oid WHERE t.typtype = 'd' AND NOT a.attisdropped \
        UNION ALL SELECT w.oid, 'pg_rewrite'::regclass, w.ev_class FROM pg_rewrite w WHERE w.ev_type <> '1' \
    ), called(rel, func, always) AS ( \
        SELECT t.tgrelid, t.tgfoid, true FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' \
        UNION SELECT parts.rel, d.refobjid, false FROM parts JOIN pg_depend d ON d.classid = parts.class \
            AND d.objid = parts.obj AND d.refclassid = 'pg_proc'::regclass \
        UNION SELECT parts.rel, o.oprcode, false FROM parts JOIN pg_depend d ON d.classid = parts.class \
            AND d.objid = parts.obj AND d.refclassid = 'pg_operator'::regclass JOIN pg_operator o ON o.oid = d.refobjid \
    ), named(rel, name) AS ( \
        SELECT called.rel, p.proname::text FROM called JOIN pg_proc p ON p.oid = called.func \
        WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND (called.always OR p.provolatile <> 'i') \
        UNION SELECT w.ev_class, 'rule ' || w.rulename FROM pg_rewrite w WHERE w.ev_type <> '1' AND w.ev_enabled <> 'D' \
    ), family(ancestor, rel) AS ( \
        SELECT named.rel, named.rel FROM named \
        UNION SELECT i.inhparent, family.rel FROM family JOIN pg_inherits i ON i.inhrelid = family.ancestor \
    ) SELECT DISTINCT family.ancestor, named.name FROM family JOIN named ON named.rel = family.rel ORDER BY 1, 2";

/// Functions by name over all schemas: worst volatility, all built in, any aggregate, any window function, all others in C.
const FUNCTIONS: &str = "SELECT p.proname, max(CASE p.provolatile WHEN 'i' THEN 0 WHEN 's' THEN 1 ELSE 2 END), \
        bool_and(p.pronamespace = 'pg_catalog'::regnamespace), bool_or(p.prokind = 'a'), bool_or(p.prokind = 'w'), \
        COALESCE(bool_and(l.lanname = 'c') FILTER (WHERE p.pronamespace <> 'pg_catalog'::regnamespace), false) \
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang GROUP BY p.proname ORDER BY p.proname";

/// Operators outside `pg_catalog` that run a volatile function.
const VOLATILE_OPERATORS: &str = "SELECT DISTINCT o.oprname FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode \
    WHERE o.oprnamespace <> 'pg_catalog'::regnamespace AND p.provolatile = 'v' ORDER BY 1";
