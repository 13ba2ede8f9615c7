//! `pgweave init` and `pgweave table` against a catalog and its shards.

use std::path::PathBuf;
use std::process::Command;

use pgweave::cluster::{Cluster, Spec};

use super::support;

/// Two shards and a catalog with a database `shop` everywhere, and a configuration file for them.
struct World {
    cluster: Cluster,
    file: PathBuf,
}

const PLACES: &str = "[databases.shop]
[[databases.shop.distributions]]
name = \"customers\"
tables = { customers = [\"id\"] }
";

impl World {
    fn start() -> World {
        let cluster = support::cluster_with(&Spec { catalog: true, ..Spec::new(2, 0) });
        cluster.create_database("shop").unwrap();
        cluster.catalog.as_ref().unwrap().sql("postgres", "CREATE DATABASE pgweave OWNER app").unwrap();
        let file = cluster.dir().join("commands.toml");
        let world = World { cluster, file };
        world.write(PLACES);
        world
    }

    fn write(&self, databases: &str) {
        let catalog = self.cluster.catalog.as_ref().unwrap().port();
        let head = "[[users]]\nname = \"app\"\npassword = \"app\"\n";
        let dsn = format!("[catalog]\ndsn = \"postgres://app:app@127.0.0.1:{catalog}/pgweave\"\n");
        std::fs::write(&self.file, format!("{head}{dsn}{}{databases}", self.cluster.shards_toml())).unwrap();
    }

    /// Runs a command and gives its exit code and what it wrote.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_pgweave")).args(args).arg("-c").arg(&self.file).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn everywhere(&self, sql: &str) {
        self.cluster.sql_everywhere("shop", sql).unwrap();
    }
}

#[test]
fn a_catalog_is_made_told_apart_and_changed() {
    let world = World::start();
    let (code, _, told) = world.run(&["table", "list"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("run pgweave init"), "{told}");
    let (code, findings, _) = world.run(&["check"]);
    assert_eq!(code, Some(0), "{findings}");
    assert!(findings.contains("there is no catalog in this database yet"), "{findings}");

    let (code, _, told) = world.run(&["init"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("the catalog was empty and now holds what"), "{told}");
    let (code, _, told) = world.run(&["init"]);
    assert_eq!((code, told.contains("the catalog holds what")), (Some(0), true), "{told}");

    // A difference is told, and taken when asked for.
    world.write(&PLACES.replace("[databases.shop]", "[databases.shop]\npool_size = 7"));
    let (code, listed, told) = world.run(&["init"]);
    assert_eq!(code, Some(0));
    assert!(listed.contains("databases.shop.pool_size | 7    | 20"), "{listed}");
    assert!(told.contains("differs from the catalog, which counts"), "{told}");
    let (_, findings, _) = world.run(&["check"]);
    assert!(
        findings.contains("the file differs from the catalog, which counts: databases.shop.pool_size"),
        "{findings}"
    );
    let (code, _, told) = world.run(&["init", "--apply"]);
    assert_eq!((code, told.contains("the catalog took these")), (Some(0), true), "{told}");
    let (code, _, told) = world.run(&["init"]);
    assert_eq!((code, told.contains("the catalog holds what")), (Some(0), true), "{told}");
}

#[test]
fn tables_get_a_place_while_they_have_no_rows() {
    let world = World::start();
    assert_eq!(world.run(&["init"]).0, Some(0));
    world.everywhere(
        "CREATE TABLE customers (id bigint PRIMARY KEY); CREATE TABLE orders (customer_id bigint NOT NULL)",
    );
    let add = |args: &[&str]| world.run(&[&["table", "add"], args].concat());

    let (code, _, told) = add(&["orders", "--distribution", "customers", "--key", "customer_id"]);
    assert_eq!((code, told.as_str()), (Some(0), "table public.orders is placed (epoch 2)\n"));
    // Not there yet: nothing to move.
    assert_eq!(add(&["countries", "--reference"]).0, Some(0));
    assert_eq!(add(&["audit", "--shard", "s2"]).0, Some(0));
    let (code, listed, _) = world.run(&["table", "list"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        listed,
        [
            "      table       |  placement  | distribution |     key     | shard",
            "------------------+-------------+--------------+-------------+-------",
            " public.audit     | local       |              |             | s2",
            " public.countries | reference   |              |             |",
            " public.customers | distributed | customers    | id          |",
            " public.orders    | distributed | customers    | customer_id |",
            "(4 rows)",
            "",
        ]
        .join("\n")
    );

    for (args, expect) in [
        (&["orders", "--reference"][..], "table public.orders is already placed"),
        (
            &["x", "--distribution", "nobody", "--key", "id"],
            "there is no distribution \"nobody\"; there are: customers",
        ),
        (&["x", "--distribution", "customers", "--key", "a,b"], "has 1 columns, not 2"),
        (&["x", "--shard", "s9"], "database \"shop\" has no shard \"s9\""),
        (&["a.b.c", "--reference"], "\"a.b.c\" is no table name"),
        (&["x", "--reference", "--database", "other"], "there is no database \"other\"; there are: shop"),
        (&["x"], "required"),
        (&["x", "--reference", "--shard", "s1"], "cannot be used with"),
    ] {
        let (code, _, told) = add(args);
        assert!(told.contains(expect), "{args:?}: {told}");
        assert!(code.is_some_and(|code| code > 0), "{args:?}");
    }

    // Rows would be left behind, or a shard would lack the table.
    world.everywhere("CREATE TABLE filled (customer_id bigint NOT NULL)");
    world.cluster.shards[0].primary.sql("shop", "INSERT INTO filled VALUES (1)").unwrap();
    let (code, _, told) = add(&["filled", "--distribution", "customers", "--key", "customer_id"]);
    assert_eq!((code, told.contains("table public.filled has rows on shard \"s1\"")), (Some(1), true), "{told}");
    world.cluster.shards[1].primary.sql_as("app", "shop", "CREATE TABLE partly (customer_id bigint NOT NULL)").unwrap();
    let (code, _, told) = add(&["partly", "--distribution", "customers", "--key", "customer_id"]);
    assert_eq!((code, told.contains("is on s2, but not on s1")), (Some(1), true), "{told}");
    // Rows on the home shard may stay there.
    assert_eq!(add(&["filled", "--shard", "s1"]).0, Some(0));
}

#[test]
fn a_proxy_that_does_not_follow_is_waited_for_until_its_lease_ends() {
    let world = World::start();
    assert_eq!(world.run(&["init"]).0, Some(0));
    world.everywhere("CREATE TABLE orders (customer_id bigint NOT NULL)");
    let catalog = world.cluster.catalog.as_ref().unwrap();
    let register = "INSERT INTO pgweave.proxies (id, name, lease_until, acked_epoch) \
                    VALUES (gen_random_uuid(), 'sleeper', clock_timestamp() + interval '2 s', 1)";
    catalog.sql_as("app", "pgweave", register).unwrap();
    // It does not follow, but its lease runs out: then it has stopped, and nobody need wait.
    let (code, _, told) = world.run(&["table", "add", "orders", "--distribution", "customers", "--key", "customer_id"]);
    assert_eq!((code, told.as_str()), (Some(0), "table public.orders is placed (epoch 2)\n"));
    let left = "SELECT count(*) FROM pgweave.proxies WHERE name = 'sleeper' AND lease_until > clock_timestamp()";
    assert_eq!(catalog.sql_as("app", "pgweave", left).unwrap(), "0", "it waited for the lease");
}

#[test]
fn a_running_proxy_is_asked_by_its_file_and_by_its_address() {
    let database = support::database(2, 1, "CREATE TABLE customers (id bigint PRIMARY KEY)");
    let places = "[[databases.{db}.distributions]]\nname = \"customers\"\ntables = { customers = [\"id\"] }\n";
    let proxy = support::Proxy::start(&database.config(places));
    let ask = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pgweave")).args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    };
    let file = proxy.config_path();
    let file = file.to_str().unwrap();
    let status: serde_json::Value = serde_json::from_str(&ask(&["status", "-c", file, "-o", "json"])).unwrap();
    let count = |value: &serde_json::Value| value.as_array().unwrap().len();
    assert_eq!((count(&status["shards"]), count(&status["nodes"])), (2, 4), "{status}");
    let map = ask(&["map", "-c", file]);
    assert!(map.contains(&database.name) && map.contains("customers") && map.ends_with("rows)\n"), "{map}");
    let dsn = format!("postgres://app:app@127.0.0.1:{}", proxy.port);
    let lag: serde_json::Value = serde_json::from_str(&ask(&["lag", "--dsn", &dsn, "-o", "json"])).unwrap();
    assert!(count(&lag) >= 2, "{lag}");

    // Again and again, until whoever reads has seen enough.
    let mut watch = Command::new(env!("CARGO_BIN_EXE_pgweave"))
        .args(["lag", "--watch", "--interval", "50ms", "--dsn", &dsn])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().unwrap()));
    for _ in 0..3 {
        let end = lines.by_ref().map(Result::unwrap).find(|line| line.ends_with("rows)") || line.ends_with("row)"));
        assert!(end.is_some(), "the watch ended");
    }
    drop(lines);
    assert_eq!(watch.wait().unwrap().code(), Some(0));

    let wrong = dsn.replace(":app@", ":wrong@");
    let output = Command::new(env!("CARGO_BIN_EXE_pgweave")).args(["map", "--dsn", &wrong]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), told.contains("28P01")), (Some(1), true), "{told}");
}

#[test]
fn statements_are_planned_without_being_run() {
    let schema = "CREATE TABLE customers (id bigint PRIMARY KEY, name text);
        CREATE TABLE orders (customer_id bigint NOT NULL, number int NOT NULL);
        CREATE TABLE audit (line text)";
    let database = support::database(2, 1, schema);
    let places = "[[databases.{db}.distributions]]\nname = \"customers\"\nmethod = \"range\"\n\
        tables = { customers = [\"id\"], orders = [\"customer_id\"] }\n\
        ranges = [{ to = 1000, shard = \"s1\" }, { shard = \"s2\" }]\n";
    let file = std::env::temp_dir().join(format!("pgweave-route-{}.toml", std::process::id()));
    std::fs::write(&file, database.config(places)).unwrap();
    let route = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pgweave"))
            .args(["route", "--output", "json", "-c"])
            .arg(&file)
            .args(args)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let plans: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
        let plan = |plan: &serde_json::Value| format!("{} {}", plan["plan"]["shape"], plan["plan"]["shards"]);
        plans.as_array().unwrap().iter().map(plan).collect::<Vec<_>>()
    };
    assert_eq!(route(&["SELECT * FROM orders WHERE customer_id = 42"]), ["\"direct\" [\"s1\"]"]);
    assert_eq!(route(&["SELECT * FROM orders WHERE customer_id = $1", "--param", "4200"]), ["\"direct\" [\"s2\"]"]);
    assert_eq!(route(&["SELECT name FROM customers"]), ["\"scatter\" [\"s1\",\"s2\"]"]);
    assert_eq!(
        route(&["DELETE FROM orders WHERE customer_id = -1; UPDATE customers SET name = 'x'; SELECT * FROM audit"]),
        ["\"direct\" [\"s1\"]", "\"refused\" []", "\"direct\" [\"s1\"]"]
    );
    std::fs::remove_file(&file).unwrap();
}
