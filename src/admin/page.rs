//! Keeps `docs/console.md` true: its tables are those of the code.

use crate::admin::command::Show;
use crate::admin::testing::sources;
use crate::admin::{metrics, show};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/console.md");
    std::fs::read_to_string(path).expect("reads docs/console.md")
}

fn check(expected: &[String], page: &str, of: &str) {
    assert!(!expected.is_empty(), "nothing to compare");
    let begins = |line: &&str| line.starts_with(of);
    let found: Vec<&str> = page.lines().filter(begins).collect();
    assert_eq!(found, expected, "docs/console.md should have:\n{}", expected.join("\n"));
}

#[test]
fn every_table_and_its_columns_are_on_the_page() {
    let row = |(table, word, what): &(Show, &str, &str)| {
        let columns: Vec<String> = show::columns(*table).iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("| `SHOW {word}` | {what} | {} |", columns.join(" "))
    };
    check(&Show::ALL.iter().map(row).collect::<Vec<_>>(), &page(), "| `SHOW ");
}

#[tokio::test]
async fn every_metric_is_on_the_page() {
    let (sources, _reloads) = sources();
    let text = metrics::render(&sources).unwrap();
    let families = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let is = |name: &str, kind: &str| text.contains(&format!("# TYPE {name} {kind}\n"));
    let row = |(name, help): (&str, &str)| {
        let suffix = if is(name, "counter") { "_total" } else { "" };
        let suffix = if is(name, "info") { "_info" } else { suffix };
        format!("| `{name}{suffix}` | {} |", help.trim_end_matches('.'))
    };
    check(&families.map(row).collect::<Vec<_>>(), &page(), "| `pgweave_");
}
