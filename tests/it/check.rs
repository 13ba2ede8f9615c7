//! `pgweave check` against servers that are well, and against faults planted in them.

use std::process::{Command, Output};

use super::support;

const SCHEMA: &str = "CREATE TABLE customers (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (customer_id bigint REFERENCES customers, number int, PRIMARY KEY (customer_id, number));
    CREATE TABLE countries (code text PRIMARY KEY)";
const PLACES: &str = "[[databases.{db}.distributions]]
name = \"customers\"
tables = { customers = [\"id\"], orders = [\"customer_id\"] }
[databases.{db}.reference]
tables = [\"countries\"]
";

/// Runs `pgweave check --output json` and gives its exit code, the findings as `SEVERITY PLACE: MESSAGE`, and its errors.
fn check(config: &str) -> (Option<i32>, Vec<String>, String) {
    let dir = tempfile();
    std::fs::write(&dir, config).unwrap();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_pgweave"))
        .args(["check", "--output", "json", "-c"])
        .arg(&dir)
        .output()
        .unwrap();
    std::fs::remove_file(&dir).unwrap();
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&stdout).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let line = |finding: &serde_json::Value| {
        format!("{} {}: {}", text(&finding["severity"]), text(&finding["where"]), text(&finding["finding"]))
    };
    (status.code(), findings.iter().map(line).collect(), String::from_utf8_lossy(&stderr).into_owned())
}

fn tempfile() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("pgweave-check-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

fn errors(findings: &[String]) -> Vec<&String> {
    findings.iter().filter(|finding| finding.starts_with("error ")).collect()
}

#[test]
fn servers_that_are_well_have_no_errors() {
    let database = support::database(2, 1, SCHEMA);
    let (code, findings, stderr) = check(&database.config(PLACES));
    assert_eq!(errors(&findings), Vec::<&String>::new(), "{stderr}");
    assert_eq!(code, Some(0), "{findings:?} {stderr}");
}

#[test]
fn planted_faults_are_found() {
    let schema = "CREATE TYPE mood AS ENUM ('good');
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TABLE customers (id numeric PRIMARY KEY, name text, feels mood);
        CREATE TABLE orders (customer_id bigint NOT NULL, number serial PRIMARY KEY);
        CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
        CREATE TABLE countries (code text)";
    let database = support::database(2, 1, schema);
    let shards = &database.cluster.shards;
    // So that the types made after this have other OIDs than on the first shard.
    let drift = "DROP TYPE mood CASCADE; CREATE TYPE other AS ENUM ('x'); CREATE TYPE mood AS ENUM ('good');
        ALTER TABLE customers ADD feels mood; ALTER TABLE customers ALTER name TYPE varchar(10)";
    shards[1].primary.sql(&database.name, drift).unwrap();
    let (code, findings, stderr) = check(&database.config(PLACES));
    assert_eq!(code, Some(1), "{stderr}");
    let db = &database.name;
    for expect in [
        format!(
            "error {db} public.customers: column \"id\" (numeric) cannot be of the sharding key: type with OID 1700"
        ),
        format!("error {db} public.customers: column \"name\": type is text on shard"),
        format!("error {db} public.countries: a reference table needs a primary key"),
        format!("error {db} public.orders: trigger \"stamp\" runs before a row is written"),
        format!("warning {db} public.customers: type public.mood has OID "),
        format!("warning {db} public.orders: primary key \"orders_pkey\" lacks the sharding key (customer_id)"),
        format!("warning {db} public.orders: sequence \"orders_number_seq\" of column \"number\" counts on each shard"),
    ] {
        assert!(findings.iter().any(|finding| finding.starts_with(&expect)), "{expect}\nnot in {findings:#?}");
    }
}

#[test]
fn wrong_logins_and_dead_nodes_are_found() {
    let database = support::database(2, 1, SCHEMA);
    let config = database.config(PLACES);
    let other = "[[users]]\nname = \"nobody\"\npassword = \"x\"\n";
    let (code, findings, _) = check(&config.replace("[monitor]", &format!("{other}[monitor]")));
    assert_eq!(code, Some(1));
    let expect =
        format!("user \"nobody\" cannot log in to database \"{}\": login rejected by the server: 28P01", database.name);
    let told = findings.iter().filter(|finding| finding.contains(&expect)).count();
    assert_eq!(told, 4, "{findings:#?}");

    let port = database.cluster.shards[1].replicas[0].port();
    let (code, findings, _) = check(&config.replace(&format!("port = {port}"), "port = 1"));
    assert_eq!(code, Some(1));
    let expect = "127.0.0.1:1: the monitor (user \"app\") cannot connect: connection refused";
    assert_eq!(errors(&findings).len(), 1, "{findings:#?}");
    assert!(errors(&findings)[0].contains(expect), "{findings:#?}");

    // The replica of the other shard in its place is a copy of something else.
    let foreign = database.cluster.shards[0].replicas[0].port();
    let config = config.replace(&format!("  {{ host = \"127.0.0.1\", port = {foreign} }},\n"), "");
    let (code, findings, stderr) = check(&config.replace(&format!("port = {port}"), &format!("port = {foreign}")));
    assert_eq!(code, Some(1), "{stderr}");
    let apart = errors(&findings).iter().any(|finding| finding.ends_with("their system identifiers differ"));
    assert!(apart, "{findings:#?}");
}

#[test]
fn a_wrong_configuration_ends_with_two() {
    let (code, findings, stderr) = check("[server]\nlisten = [\"nowhere\"]\n[limts]\n");
    assert_eq!((code, findings), (Some(2), Vec::new()));
    assert!(stderr.contains(":3:2: limts: unknown key \"limts\"; did you mean \"limits\"?"), "{stderr}");
    assert!(stderr.ends_with("problems in the configuration\n"), "{stderr}");
}
