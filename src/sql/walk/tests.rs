use std::collections::HashMap;

use crate::sql::analysis::{Body, ColumnRef, CompareOp, Cond, Kind, Model, Operand, Place};
use crate::sql::schema::{Column, Relation, RelationKind};
use crate::sql::{Context, Schema, analyse};

fn schema() -> Schema {
    let column = |name: &str, type_oid| Column {
        name: name.into(),
        type_oid,
        typmod: -1,
        not_null: false,
        generated: false,
        deterministic: true,
        byte_order: false,
        has_default: false,
    };
    let table = |columns: &[(&str, u32)]| Relation {
        kind: RelationKind::Table,
        columns: columns.iter().map(|(name, oid)| column(name, *oid)).collect(),
        on_standby: true,
        view_text: None,
        code: Vec::new(),
    };
    let mut relations = HashMap::new();
    relations.insert(("public".into(), "a".into()), table(&[("k", 20), ("x", 23), ("Odd", 25)]));
    relations.insert(("public".into(), "b".into()), table(&[("k", 20), ("y", 23)]));
    relations.insert(("other".into(), "a".into()), table(&[("k", 20), ("z", 23)]));
    Schema { relations, search_path: vec!["public".into()], ..Schema::default() }
}

fn walked_in(text: &str, search_path: &[&str]) -> Result<Model, String> {
    let search_path = search_path.iter().map(|name| (*name).to_owned()).collect();
    let analysis = analyse(text, &Context { search_path, standard_conforming_strings: true }, &schema());
    assert!(matches!(analysis.kind, Kind::Select | Kind::Insert | Kind::Update | Kind::Delete), "{text}");
    match analysis.body {
        Body::Understood(model) => Ok(*model),
        Body::Tokens { reason, .. } => Err(reason),
    }
}

fn walked(text: &str) -> Model {
    walked_in(text, &["public"]).unwrap_or_else(|reason| panic!("{text}: {reason}"))
}

fn col(relation: usize, column: usize) -> ColumnRef {
    ColumnRef { relation, column }
}

fn equals(relation: usize, column: usize, literal: u32) -> Cond {
    Cond::Compare { column: col(relation, column), op: CompareOp::Eq, value: Operand::Literal(literal) }
}

#[track_caller]
fn conds(text: &str, expected: &[Cond]) {
    assert_eq!(walked(text).blocks[0].conds, expected, "{text}");
}

#[test]
fn names_are_folded_and_found_along_the_search_path() {
    conds("SELECT * FROM A WHERE K = 1", &[equals(0, 0, 0)]);
    conds("SELECT * FROM a WHERE \"Odd\" = 'x'", &[equals(0, 2, 0)]);
    conds("SELECT * FROM a WHERE odd = 'x'", &[]);
    conds("SELECT * FROM public.a WHERE public.a.k = 1", &[equals(0, 0, 0)]);
    let names = |path: &[&str]| {
        let model = walked_in("SELECT * FROM a", path).expect("is understood");
        (model.relations[0].schema.clone(), model.relations[0].name.clone())
    };
    assert_eq!(names(&["other", "public"]), ("other".into(), "a".into()));
    assert_eq!(names(&["nowhere"]), (String::new(), "a".into()));
    assert_eq!(walked("SELECT * FROM pg_class").relations[0].schema, "pg_catalog");
    assert!(walked_in("SELECT * FROM a", &["public", "pg_catalog"]).is_err());
}

#[test]
fn the_place_of_a_reference_is_its_bytes() {
    let text = "SELECT 'ä', \"a\".k FROM public.a AS \"a\" WHERE k = 1";
    let model = walked(text);
    assert_eq!(&text[model.relations[0].span.clone()], "public.a AS \"a\"");
    assert_eq!(model.relations[0].alias.as_deref(), Some("a"));
    // The literal is the second of the text.
    assert_eq!(model.blocks[0].conds, [equals(0, 0, 1)]);
}

#[test]
fn ambiguous_and_foreign_columns_constrain_nothing() {
    conds("SELECT * FROM a, b WHERE k = 1", &[]);
    conds("SELECT * FROM a, unknown WHERE x = 1", &[equals(0, 1, 0)]);
    conds("SELECT * FROM unknown WHERE x = 1", &[]);
    conds("SELECT * FROM a AS c (m, n) WHERE m = 1", &[equals(0, 0, 0)]);
    conds("SELECT * FROM a AS c (m, n) WHERE k = 1", &[]);
    conds("SELECT * FROM a, b WHERE a.k = b.k", &[Cond::Same(col(0, 0), col(1, 0))]);
}

#[test]
fn using_and_natural_merge_columns() {
    conds("SELECT * FROM a JOIN b USING (k) WHERE k = 1", &[Cond::Same(col(0, 0), col(1, 0)), equals(0, 0, 0)]);
    conds("SELECT * FROM a NATURAL JOIN b WHERE k = 1", &[Cond::Same(col(0, 0), col(1, 0)), equals(0, 0, 0)]);
    let model = walked("SELECT * FROM a RIGHT JOIN b USING (k) WHERE k = 1");
    assert_eq!(model.blocks[0].conds, [equals(1, 0, 0)]);
    assert_eq!(model.blocks[0].outer_conds, [(vec![0], Cond::Same(col(0, 0), col(1, 0)))]);
    assert!(model.relations[0].nullable && !model.relations[1].nullable);
    let model = walked("SELECT * FROM a FULL JOIN b USING (k) WHERE k = 1");
    assert!(model.blocks[0].conds.is_empty() && model.blocks[0].outer_conds.is_empty());
    assert!(model.relations.iter().all(|relation| relation.nullable));
}

#[test]
fn what_is_not_a_conjunct_is_unknown() {
    for text in [
        "NOT k = 1",
        "k <> 1",
        "k IS NULL",
        "k IS NOT DISTINCT FROM 1",
        "coalesce(k, 1) = 1",
        "k + 0 = 1",
        "k::text = '1'",
        "(k = 1) IS TRUE",
        "k = 1 OR x > y",
        "CASE WHEN k = 1 THEN true END",
        "k = ALL (ARRAY[1])",
        "(k, x) < (1, 2)",
        "k NOT IN (1, 2)",
        "k NOT BETWEEN 1 AND 2",
    ] {
        conds(&format!("SELECT * FROM a WHERE {text}"), &[]);
    }
}

#[test]
fn values_keep_their_sign_and_cast() {
    let value = |text: &str| match &walked(&format!("SELECT * FROM a WHERE k = {text}")).blocks[0].conds[..] {
        [Cond::Compare { value, .. }] => value.clone(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(value("-1"), Operand::Negated(0));
    assert_eq!(value("$3"), Operand::Param(3));
    assert_eq!(value("NULL"), Operand::Null);
    assert_eq!(value("(1)"), Operand::Literal(0));
    assert_eq!(value("$1::bigint"), Operand::Cast(Box::new(Operand::Param(1)), "int8".into()));
    assert_eq!(value("CAST('1' AS varchar(3))"), Operand::Cast(Box::new(Operand::Literal(0)), "varchar(3)".into()));
    // A minus before a cast is not one of the literal.
    conds("SELECT * FROM a WHERE k = -(1::int8)", &[]);
    conds("SELECT * FROM a WHERE k = '1'::numeric", &[]);
}

#[test]
fn conditions_on_derived_tables_reach_their_relations_where_they_may() {
    let reaches = |text: &str| walked(text).blocks[0].conds == [equals(0, 0, text.matches(" 5").count() as u32)];
    assert!(reaches("SELECT * FROM (SELECT k FROM a) d WHERE k = 1"));
    assert!(reaches("SELECT * FROM (SELECT k AS m FROM a) d (n) WHERE n = 1"));
    assert!(reaches("SELECT * FROM (SELECT k, count(*) FROM a GROUP BY k) d WHERE k = 1"));
    assert!(reaches("SELECT * FROM (SELECT DISTINCT k FROM a) d WHERE k = 1"));
    assert!(reaches("WITH d AS (SELECT * FROM a) SELECT * FROM d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT k FROM a LIMIT 5) d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT k FROM a OFFSET 5) d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT k, count(*) OVER (PARTITION BY x) FROM a) d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT DISTINCT ON (x) k FROM a) d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT max(k) AS k FROM a) d WHERE k = 1"));
    assert!(!reaches("SELECT * FROM (SELECT k FROM a UNION ALL SELECT k FROM b) d WHERE k = 1"));
    // A CTE hides a table, and each reference to it is its own.
    let model = walked("WITH b AS (SELECT * FROM a) SELECT * FROM b, b AS c WHERE b.k = 1");
    assert_eq!(model.relations.iter().map(|relation| relation.name.as_str()).collect::<Vec<_>>(), ["a", "a"]);
    assert_eq!(model.blocks[0].conds, [equals(0, 0, 0)]);
}

#[test]
fn subqueries_see_outwards_only() {
    let model = walked("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND y = x)");
    assert!(model.blocks[0].conds.is_empty());
    assert_eq!(model.blocks[1].place, Place::Expression);
    assert_eq!(model.blocks[1].conds, [Cond::Same(col(1, 0), col(0, 0)), Cond::Same(col(1, 1), col(0, 1))]);
    // A derived table sees its siblings only if it is lateral.
    let model = walked("SELECT * FROM a, (SELECT 1 FROM b WHERE b.k = a.k) d");
    assert!(model.blocks[1].conds.is_empty());
    let model = walked("SELECT * FROM a, LATERAL (SELECT 1 FROM b WHERE b.k = a.k) d");
    assert_eq!(model.blocks[1].conds, [Cond::Same(col(1, 0), col(0, 0))]);
}

#[test]
fn parameters_of_two_meanings_are_uncertain() {
    let uncertain = |text: &str| walked(text).uncertain_params;
    let none: [u32; 0] = [];
    assert_eq!(uncertain("SELECT * FROM a WHERE k = $1"), none);
    assert_eq!(uncertain("SELECT * FROM a WHERE k = $1 OR x = $1"), none);
    assert_eq!(uncertain("SELECT $1, * FROM a WHERE k = $1"), [1]);
    assert_eq!(uncertain("SELECT * FROM a WHERE k = $1 AND \"Odd\" = $1"), [1]);
    assert_eq!(uncertain("SELECT * FROM a WHERE k = $1 AND x > $2 + 1"), none);
}

#[test]
fn what_is_not_read_is_refused() {
    for text in [
        "WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r",
        "WITH d AS (DELETE FROM a RETURNING k) SELECT * FROM d",
        "SELECT * INTO c FROM a",
        "SELECT * FROM ONLY a",
        "SELECT * FROM (a JOIN b USING (k)) AS j",
        "UPDATE a SET nothing = 1",
        "INSERT INTO a (nothing) VALUES (1)",
    ] {
        assert!(walked_in(text, &["public"]).is_err(), "{text}");
    }
}

#[test]
fn writes_name_their_columns() {
    let model = walked(
        "INSERT INTO a (x, k) VALUES ($1, 5), (DEFAULT, 6) ON CONFLICT (k) DO UPDATE SET x = EXCLUDED.x, k = EXCLUDED.k",
    );
    let insert = model.insert.expect("an INSERT");
    assert_eq!(insert.columns, Some(vec![1, 0]));
    let rows = vec![vec![Some(Operand::Param(1)), Some(Operand::Literal(0))], vec![None, Some(Operand::Literal(1))]];
    assert_eq!(insert.rows, Some(rows));
    assert_eq!(insert.on_conflict, Some((Some(vec![0]), true)));
    assert_eq!(model.assigned, [1]);
    let model = walked("UPDATE a AS t SET (x, \"Odd\") = (1, 'x') FROM b WHERE b.k = t.k AND t.k = 3 RETURNING t.*");
    assert_eq!((model.target, model.assigned, model.returning), (Some(0), vec![1, 2], true));
    assert_eq!(model.blocks[0].conds, [Cond::Same(col(1, 0), col(0, 0)), equals(0, 0, 2)]);
}

#[test]
fn deep_chains_are_walked() {
    let chain = vec!["k = 1"; 2_500].join(" AND ");
    assert_eq!(walked(&format!("SELECT * FROM a WHERE {chain}")).blocks[0].conds.len(), 2_500);
    let sum = vec!["1"; 2_500].join(" + ");
    assert!(walked(&format!("SELECT {sum} FROM a WHERE k = 1")).blocks[0].conds.len() == 1);
    let union = vec!["SELECT k FROM a"; 400].join(" UNION ALL ");
    assert_eq!(walked(&union).relations.len(), 400);
    // Few words can ask for many blocks.
    let mut doubling = "WITH c0 AS (SELECT * FROM a)".to_owned();
    for n in 1..12 {
        doubling += &format!(", c{n} AS (SELECT * FROM c{m} x, c{m} y)", m = n - 1);
    }
    assert!(walked_in(&format!("{doubling} SELECT 1 FROM c11"), &["public"]).is_err());
}
