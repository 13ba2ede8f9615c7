//! Every kind of finding, from planted facts.

use super::facts::*;
use super::judge::{Severity, judge};
use super::maps;
use crate::config::{self, Config};
use crate::map::TableName;

const CONFIG: &str = r#"
[[users]]
name = "app"
password = "x"
[[shards]]
name = "s1"
nodes = [{ host = "a1" }, { host = "a2" }]
[[shards]]
name = "s2"
nodes = [{ host = "b1" }, { host = "b2" }]
[databases.shop]
[[databases.shop.distributions]]
name = "customers"
tables = { customers = ["id"], orders = ["customer_id"] }
[databases.shop.reference]
tables = ["countries"]
[databases.shop.local]
tables = { audit = "s2" }
"#;

fn node(shard: usize, node: usize) -> NodeFacts {
    let answer = NodeAnswer {
        version: 150_004,
        in_recovery: node > 0,
        wal_level: "logical".to_owned(),
        connections: 97,
        prepared_transactions: 20,
        encoding: "UTF8".to_owned(),
        read_only: false,
        may_monitor: true,
        system_identifier: Some(format!("73{shard}")),
        clock_offset: 0.001,
        clock_error: 0.001,
    };
    NodeFacts { shard, node, answer: Ok(answer), logins: Vec::new() }
}

fn column(name: &str, type_oid: u32, type_name: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        type_oid,
        typmod: -1,
        builtin_type: type_oid < 16_384,
        not_null: true,
        generated: false,
        deterministic: true,
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn primary_key(columns: &[&str]) -> Unique {
    Unique { name: "pkey".to_owned(), primary: true, columns: names(columns) }
}

fn public(name: &str) -> TableName {
    TableName { schema: "public".to_owned(), name: name.to_owned() }
}

fn schema(shard: &str) -> SchemaFacts {
    let table =
        |columns: Vec<Column>, key: &[&str]| Table { columns, uniques: vec![primary_key(key)], ..Table::default() };
    let mut tables = vec![
        (public("customers"), table(vec![column("id", 20, "bigint"), column("name", 25, "text")], &["id"])),
        (
            public("orders"),
            table(
                vec![column("customer_id", 23, "integer"), column("number", 23, "integer")],
                &["customer_id", "number"],
            ),
        ),
        (public("countries"), table(vec![column("code", 25, "text")], &["code"])),
    ];
    if shard == "s2" {
        tables.push((public("audit"), Table { columns: vec![column("line", 25, "text")], ..Table::default() }));
    }
    SchemaFacts { database: "shop".to_owned(), shard: shard.to_owned(), tables: Ok(tables.into_iter().collect()) }
}

fn good() -> Facts {
    let nodes = [(0, 0), (0, 1), (1, 0), (1, 1)];
    Facts {
        nodes: nodes.into_iter().map(|(shard, index)| node(shard, index)).collect(),
        schemas: vec![schema("s1"), schema("s2")],
    }
}

fn found(config: &str, facts: &Facts) -> Vec<String> {
    let config: Config = config::parse(config, "test.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let (maps, problems) = maps(&config);
    assert_eq!(problems, []);
    let line = |finding: &super::Finding| {
        let severity = if finding.severity == Severity::Error { "E" } else { "W" };
        format!("{severity} {}: {}", finding.place, finding.message)
    };
    judge(&config, &maps, facts).iter().map(line).collect()
}

/// What is found when `plant` has changed the good facts.
fn planted(plant: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = good();
    plant(&mut facts);
    found(CONFIG, &facts)
}

fn answer(facts: &mut Facts, index: usize) -> &mut NodeAnswer {
    facts.nodes[index].answer.as_mut().unwrap()
}

fn table<'f>(facts: &'f mut Facts, shard: usize, name: &str) -> &'f mut Table {
    facts.schemas[shard].tables.as_mut().unwrap().get_mut(&public(name)).unwrap()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(planted(|_| {}), Vec::<String>::new());
}

#[test]
fn nodes_are_judged() {
    assert_eq!(
        planted(|facts| {
            facts.nodes[1].answer = Err("connection refused".to_owned());
            facts.nodes[2].logins.push(("app".to_owned(), "shop".to_owned(), "28P01: wrong".to_owned()));
        }),
        [
            "E s1 a2:5432: the monitor (user \"app\") cannot connect: connection refused",
            "E s2 b1:5432: user \"app\" cannot log in to database \"shop\": 28P01: wrong",
        ]
    );
    assert_eq!(
        planted(|facts| {
            answer(facts, 0).version = 130_011;
            answer(facts, 2).version = 190_000;
        }),
        [
            "E s1 a1:5432: PostgreSQL 13 is too old: 14 or later is needed",
            "W s2 b1:5432: PostgreSQL 19 is newer than what is tested (18)",
        ]
    );
    assert_eq!(
        planted(|facts| {
            let node = answer(facts, 0);
            node.wal_level = "minimal".to_owned();
            node.encoding = "LATIN1".to_owned();
            node.read_only = true;
            node.may_monitor = false;
            let node = answer(facts, 2);
            node.wal_level = "replica".to_owned();
            node.prepared_transactions = 0;
            node.connections = 19;
        }),
        [
            "E s1 a1:5432: server_encoding is \"LATIN1\": sharding keys are hashed as UTF8",
            "E s1 a1:5432: wal_level is \"minimal\": replicas need \"replica\" or \"logical\"",
            "W s1 a1:5432: default_transaction_read_only is on at a primary: writes will fail",
            "W s1 a1:5432: role \"app\" is not a member of pg_monitor: positions of replicas may be hidden from it",
            "W s2 b1:5432: max_prepared_transactions is 0: transactions over several shards need it",
            "W s2 b1:5432: one proxy may open 20 connections (pool_size, times users), but the server takes 19",
            "W s2 b1:5432: wal_level is \"replica\": moving ranges between shards needs \"logical\"",
        ]
    );
}

#[test]
fn roles_are_judged() {
    assert_eq!(planted(|facts| answer(facts, 0).in_recovery = true), ["E s1: no node is a primary"]);
    assert_eq!(
        planted(|facts| {
            answer(facts, 0).in_recovery = true;
            facts.nodes[1].answer = Err("refused".to_owned());
        }),
        [
            "E s1: no node that can be reached is a primary",
            "E s1 a2:5432: the monitor (user \"app\") cannot connect: refused",
        ]
    );
    assert_eq!(
        planted(|facts| answer(facts, 3).in_recovery = false),
        ["E s2: several nodes are primaries: s2 b1:5432, s2 b2:5432"]
    );
    let roles = CONFIG
        .replace("{ host = \"a1\" }", "{ host = \"a1\", role = \"replica\" }")
        .replace("{ host = \"a2\" }", "{ host = \"a2\", role = \"primary\" }");
    assert_eq!(
        found(&roles, &good()),
        [
            "E s1 a1:5432: configured as replica, but it is a primary",
            "E s1 a2:5432: configured as primary, but it is a replica",
        ]
    );
}

#[test]
fn servers_are_told_apart() {
    assert_eq!(
        planted(|facts| answer(facts, 1).system_identifier = Some("999".to_owned())),
        ["E s1 a2:5432: not a copy of s1 a1:5432: their system identifiers differ"]
    );
    assert_eq!(
        planted(|facts| {
            answer(facts, 2).system_identifier = Some("730".to_owned());
            answer(facts, 3).system_identifier = None;
        }),
        ["E s2 b1:5432: belongs to the same cluster as s1 a1:5432, which is of another shard"]
    );
}

#[test]
fn clocks_are_compared_with_what_the_measurement_is_worth() {
    assert_eq!(
        planted(|facts| answer(facts, 2).clock_offset = -2.5),
        ["W s2 b1:5432: its clock and that of s1 a1:5432 are 2.5 s apart"]
    );
    let slow = planted(|facts| {
        answer(facts, 2).clock_offset = -2.5;
        answer(facts, 2).clock_error = 2.0;
    });
    assert_eq!(slow, Vec::<String>::new());
}

#[test]
fn tables_are_where_they_belong() {
    assert_eq!(
        planted(|facts| {
            facts.schemas[1].tables.as_mut().unwrap().remove(&public("orders"));
            facts.schemas[1].tables.as_mut().unwrap().remove(&public("audit"));
        }),
        [
            "E shop public.orders: the table is on shard \"s1\", but not on \"s2\"",
            "W shop public.audit: the table does not exist yet",
        ]
    );
    assert_eq!(
        planted(|facts| facts.schemas[1].tables = Err("permission denied".to_owned())),
        ["E shop: the tables of shard \"s2\" cannot be read: permission denied"]
    );
}

#[test]
fn drift_between_shards_is_found() {
    assert_eq!(
        planted(|facts| {
            let table = table(facts, 1, "customers");
            table.columns[1] = column("name", 1043, "character varying(20)");
            table.columns[1].not_null = false;
            table.columns.push(column("note", 25, "text"));
        }),
        [
            "E shop public.customers: column \"name\": NOT NULL is yes on shard \"s1\", but no on \"s2\"",
            "E shop public.customers: column \"name\": type is text on shard \"s1\", but character varying(20) on \"s2\"",
            "E shop public.customers: column \"note\" is on shard \"s2\", but not on \"s1\"",
        ]
    );
    assert_eq!(
        planted(|facts| {
            table(facts, 1, "orders").columns.remove(1);
            table(facts, 1, "customers").columns.swap(0, 1);
            table(facts, 1, "countries").columns[0].deterministic = false;
        }),
        [
            "E shop public.countries: column \"code\": deterministic collation is yes on shard \"s1\", but no on \"s2\"",
            "E shop public.customers: the columns of shards \"s1\" and \"s2\" are in different order",
            "E shop public.orders: column \"number\" is on shard \"s1\", but not on \"s2\"",
        ]
    );
    assert_eq!(
        planted(|facts| {
            table(facts, 0, "customers").columns[1] = column("name", 20_000, "public.mood");
            table(facts, 1, "customers").columns[1] = column("name", 20_001, "public.mood");
            table(facts, 1, "orders").uniques.clear();
        }),
        [
            "W shop public.customers: type public.mood has OID 20000 on shard \"s1\", but 20001 on \"s2\": \
             clients that know types by OID will take one for another",
            "W shop public.orders: shards \"s1\" and \"s2\" have different unique constraints",
        ]
    );
}

/// The same change on both shards.
fn on_both(name: &str, change: impl Fn(&mut Table)) -> Vec<String> {
    planted(|facts| {
        change(table(facts, 0, name));
        change(table(facts, 1, name));
    })
}

#[test]
fn sharding_keys_are_judged() {
    assert_eq!(
        on_both("customers", |table| table.columns[0] = column("id", 30_000, "public.citext")),
        ["E shop public.customers: column \"id\" (public.citext) cannot be of the sharding key: \
             type with OID 30000 cannot be a sharding key; smallint, integer, bigint, text, varchar and uuid can"]
    );
    assert_eq!(
        on_both("customers", |table| table.columns[0].not_null = false),
        ["E shop public.customers: column \"id\" (bigint) cannot be of the sharding key: \
             it may be NULL; declare it NOT NULL"]
    );
    assert_eq!(
        on_both("customers", |table| {
            table.columns[0] = column("id", 25, "text");
            table.columns[0].deterministic = false;
        }),
        [
            "E shop public.customers: column \"id\" (text) cannot be of the sharding key: its collation is nondeterministic"
        ]
    );
    assert_eq!(
        on_both("orders", |table| table.columns[0].name = "client_id".to_owned()),
        ["E shop public.orders: the table has no column \"customer_id\", which is of its sharding key"]
    );
    let mixed = on_both("customers", |table| table.columns[0] = column("id", 25, "text"));
    assert_eq!(mixed.len(), 1, "{mixed:?}");
    assert!(mixed[0].starts_with("E shop: column customer_id of table public.orders is "), "{mixed:?}");
}

#[test]
fn what_holds_on_each_shard_alone_is_told() {
    let unkeyed = |table: &mut Table| {
        table.uniques =
            vec![Unique { name: "orders_number_key".to_owned(), primary: false, columns: names(&["number"]) }];
        table.sequences =
            vec![Sequence { name: "orders_number_seq".to_owned(), column: "number".to_owned(), increment: 1 }];
        table.before_triggers = names(&["stamp", "audited"]);
        table.foreign_keys = vec![
            ForeignKey {
                name: "to_customer".to_owned(),
                columns: names(&["number", "customer_id"]),
                to: public("customers"),
                to_columns: names(&["name", "id"]),
            },
            ForeignKey {
                name: "to_country".to_owned(),
                columns: names(&["number"]),
                to: public("countries"),
                to_columns: names(&["code"]),
            },
            ForeignKey {
                name: "to_name".to_owned(),
                columns: names(&["customer_id"]),
                to: public("customers"),
                to_columns: names(&["name"]),
            },
            ForeignKey {
                name: "to_audit".to_owned(),
                columns: names(&["customer_id"]),
                to: public("audit"),
                to_columns: names(&["line"]),
            },
        ];
    };
    let elsewhere = "whose rows may be on another shard: it must contain the sharding key, within one distribution, \
                     or refer to a reference table";
    let expect = [
        format!("E shop public.orders: foreign key \"to_audit\" refers to public.audit, {elsewhere}"),
        format!("E shop public.orders: foreign key \"to_name\" refers to public.customers, {elsewhere}"),
        "E shop public.orders: trigger \"stamp\" runs before a row is written and might set its key: \
         declare it in triggers.safe"
            .to_owned(),
        "W shop public.orders: sequence \"orders_number_seq\" of column \"number\" counts on each shard by itself: \
         values repeat"
            .to_owned(),
        "W shop public.orders: unique constraint \"orders_number_key\" lacks the sharding key (customer_id): \
         its values are unique on each shard only"
            .to_owned(),
    ];
    let mut facts = good();
    unkeyed(table(&mut facts, 0, "orders"));
    unkeyed(table(&mut facts, 1, "orders"));
    let declared = format!("{CONFIG}\n[databases.shop.triggers]\nsafe = [\"audited\"]\n");
    assert_eq!(found(&declared, &facts), expect);

    // On a single shard all of it is PostgreSQL's to keep.
    let single = CONFIG
        .replace("[[shards]]\nname = \"s2\"\nnodes = [{ host = \"b1\" }, { host = \"b2\" }]\n", "")
        .replace("audit = \"s2\"", "audit = \"s1\"");
    facts.nodes.truncate(2);
    facts.schemas.truncate(1);
    assert_eq!(found(&single, &facts), ["W shop public.audit: the table does not exist yet"]);
}

#[test]
fn reference_tables_have_a_primary_key() {
    assert_eq!(
        on_both("countries", |table| table.uniques[0].primary = false),
        ["E shop public.countries: a reference table needs a primary key"]
    );
}
