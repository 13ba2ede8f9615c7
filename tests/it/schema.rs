//! The schema as it is read from real catalogs.

use std::time::Duration;

use pgweave::config::Secret;
use pgweave::map::{NodeId, ShardId};
use pgweave::sql::Schema;
use pgweave::sql::schema::{RelationKind, Volatility};
use pgweave::topology::{Line, MonitorLogin, SchemaSettings, load_schema, monitor, schema_watch};

use super::support::{self, LIMIT};
use super::topology::{monitor_settings, node_settings};

fn login(dbname: &str) -> MonitorLogin {
    MonitorLogin { user: "app".into(), password: Some(Secret::new("app")), dbname: dbname.into() }
}

async fn load(database: &support::Database) -> Schema {
    let node = node_settings(NodeId(0), database.cluster.shards[0].primary.port());
    let mut line = Line::open(&node, &login(&database.name), LIMIT).await.unwrap();
    load_schema(&mut line).await.unwrap()
}

const SCHEMA: &str = r#"
CREATE SCHEMA sales;
CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(20) COLLATE "C" NOT NULL DEFAULT 'x', gone int, note text);
ALTER TABLE customers DROP COLUMN gone;
CREATE UNLOGGED TABLE sales.scratch (n int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (1 + 1) STORED);
CREATE VIEW sales.names AS SELECT name FROM public.customers;
CREATE MATERIALIZED VIEW frozen AS SELECT 1 AS one;
CREATE SEQUENCE sales.numbers;
CREATE TABLE parts (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
CREATE FUNCTION sales.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION sales.stamp(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION moody() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''x''';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE TRIGGER stamp BEFORE INSERT ON parts_old FOR EACH ROW EXECUTE FUNCTION sales.stamp();
CREATE TABLE plain (id int REFERENCES sales_target, d int DEFAULT moody(), p int DEFAULT pure(1), t timestamptz DEFAULT now());
CREATE DOMAIN checked AS int DEFAULT 5 CHECK (moody() > 0);
CREATE TABLE careful (id int PRIMARY KEY, c checked, CHECK (pure(id) > 0));
CREATE RULE copy AS ON INSERT TO customers DO ALSO NOTHING;
CREATE FUNCTION spoils(int, int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = spoils);
"#;

#[tokio::test]
async fn everything_that_matters_to_routing_is_read() {
    let schema =
        SCHEMA.replace("CREATE TABLE plain", "CREATE TABLE sales_target (id int PRIMARY KEY); CREATE TABLE plain");
    let database = support::database(2, 1, &schema);
    let found = load(&database).await;
    let relation = |schema: &str, name: &str| &found.relations[&(schema.to_owned(), name.to_owned())];
    let kind = |schema: &str, name: &str| relation(schema, name).kind;

    let customers = relation("public", "customers");
    assert_eq!(customers.kind, RelationKind::Table);
    assert!(customers.on_standby);
    let columns: Vec<_> = customers.columns.iter().map(|c| (c.name.as_str(), c.type_oid, c.typmod)).collect();
    assert_eq!(columns, [("id", 20, -1), ("name", 1043, 24), ("note", 25, -1)]);
    let flags = |index: usize| {
        let c = &customers.columns[index];
        (c.not_null, c.generated, c.deterministic, c.byte_order, c.has_default)
    };
    assert_eq!(flags(0), (true, false, true, false, false));
    assert_eq!(flags(1), (true, false, true, true, true));
    // The clusters of the tests have the locale C.
    assert_eq!(flags(2), (false, false, true, true, false));
    assert_eq!(customers.code, ["rule copy"]);

    let scratch = relation("sales", "scratch");
    assert!(!scratch.on_standby);
    assert!(scratch.columns[0].has_default && !scratch.columns[0].generated && scratch.columns[1].generated);
    assert_eq!(kind("sales", "names"), RelationKind::View);
    // Whatever the search path of anyone, the text names its tables with their schemas.
    assert!(relation("sales", "names").view_text.as_ref().unwrap().contains("public.customers"));
    assert_eq!(kind("public", "frozen"), RelationKind::MaterializedView);
    assert_eq!(kind("sales", "numbers"), RelationKind::Sequence);
    assert_eq!(kind("public", "parts"), RelationKind::Partitioned);
    assert_eq!(kind("public", "parts_old"), RelationKind::Partition);
    assert_eq!(relation("public", "parts_old").code, ["stamp"]);
    assert_eq!(relation("public", "parts").code, ["stamp"], "what its partitions run, a partitioned table runs");
    assert_eq!(relation("public", "plain").code, ["moody"], "no foreign keys, nothing immutable, nothing built in");
    assert!(relation("public", "sales_target").code.is_empty());
    assert_eq!(relation("public", "careful").code, ["moody"], "what a column's domain checks");
    assert!(relation("public", "careful").columns[1].has_default, "the domain's");
    assert!(found.relations.keys().all(|(schema, _)| schema == "public" || schema == "sales"));

    let function = |name: &str| found.functions[name];
    assert_eq!(function("stamp").volatility, Volatility::Volatile, "the worst of all");
    assert_eq!((function("pure").volatility, function("pure").builtin), (Volatility::Immutable, false));
    assert!(function("total").aggregate && !function("total").builtin);
    assert!(function("now").builtin && function("now").volatility == Volatility::Stable);
    assert!(!function("lower").builtin, "one overload of the user's is enough");
    assert!(function("row_number").window && function("random").volatility == Volatility::Volatile);
    assert!(!function("moody").in_c);
    assert_eq!(found.volatile_operators, ["==="]);
    assert_eq!(found.search_path, ["public"]);

    // The same content gives the same version, and a change of it another.
    assert_eq!(load(&database).await, found);
    let primary = &database.cluster.shards[0].primary;
    primary.sql(&database.name, "CREATE TABLE more (n int)").unwrap();
    assert_ne!(load(&database).await.version, found.version);
}

#[tokio::test]
async fn collations_and_search_paths() {
    let database = support::database(
        2,
        1,
        r#"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE SCHEMA app; CREATE SCHEMA extra; CREATE TABLE t (a text COLLATE loose, b text COLLATE "und-x-icu",
            c text COLLATE ucs_basic, d text COLLATE "POSIX", e int);"#,
    );
    let primary = &database.cluster.shards[0].primary;
    let path = format!("ALTER DATABASE \"{}\" SET search_path = extra, \"$user\", missing, public", database.name);
    primary.sql(&database.name, &path).unwrap();
    let found = load(&database).await;
    let columns = &found.relations[&("app".to_owned(), "t".to_owned())].columns;
    let flags: Vec<_> = columns.iter().map(|c| (c.deterministic, c.byte_order)).collect();
    assert_eq!(flags, [(false, false), (true, false), (true, true), (true, true), (true, false)]);
    assert_eq!(found.search_path, ["extra", "app", "public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_sees_what_was_there_before_it() {
    let database = support::database(2, 1, "");
    let primary = &database.cluster.shards[0].primary;
    let topology = monitor::start(monitor_settings(LIMIT), vec![node_settings(NodeId(0), primary.port())]);
    let settings = SchemaSettings {
        database: database.name.clone(),
        home: ShardId(0),
        others: vec![ShardId(1)],
        login: login(&database.name),
        interval: Duration::from_secs(3600),
        timeout: LIMIT,
    };
    let watch = schema_watch::start(settings, topology.clone());
    support::eventually("the first reading", LIMIT, async || watch.ready().await.is_ok()).await;
    for round in 0..3 {
        primary.sql(&database.name, &format!("CREATE TABLE t{round} (n int)")).unwrap();
        let name = ("public".to_owned(), format!("t{round}"));
        let schema = watch.refresh().await.unwrap();
        assert!(schema.relations.contains_key(&name));
        assert_eq!(watch.current().version, schema.version);
    }
    let (a, b) = tokio::join!(watch.refresh(), watch.refresh());
    assert_eq!(a.unwrap().version, b.unwrap().version);
    topology.shutdown();
}
