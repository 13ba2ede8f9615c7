//! PostgreSQL's own scanner and grammar judge ours: over the corpus beside this file and over mutants of it.
//!
//! For every statement that comes through the guard, what PostgreSQL's tree says must be what our model says. A statement
//! that is "not understood" is right whatever it is; the last test counts that these are few.

mod facts;
mod tree;

use std::collections::BTreeMap;

use facts::Facts;
use pgweave::sql::analysis::{Analysis, Body, Kind, LiteralKind};
use pgweave::sql::fingerprint::FingerprintKey;
use pgweave::sql::schema::{Column, Relation, RelationKind};
use pgweave::sql::{Context, LexError, PlanCache, Schema, analyse, lex, lexer, split, walk};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use tree::Tree;

const FILES: &[(&str, &str)] = &[
    ("app", include_str!("../corpus/app.sql")),
    ("psql", include_str!("../corpus/psql.sql")),
    ("torture", include_str!("../corpus/torture.sql")),
    ("utility", include_str!("../corpus/utility.sql")),
];

fn corpus() -> Vec<&'static str> {
    FILES.iter().flat_map(|(_, text)| split(text, true).expect("lexes").into_iter().map(|range| &text[range])).collect()
}

fn context() -> Context {
    Context { search_path: vec!["public".to_owned()], standard_conforming_strings: true }
}

/// The schema that the corpus speaks of.
fn schema() -> Schema {
    let text = include_str!("../corpus/schema.sql");
    let mut schema = Schema { search_path: vec!["public".to_owned()], ..Schema::default() };
    for range in split(text, true).expect("lexes") {
        let table = Tree::parse(&text[range]).expect("a table");
        let name = table.get("relation");
        let columns = table.get("table_elts").items().iter().map(column).collect();
        let namespace = Some(name.get("schemaname").text()).filter(|name| !name.is_empty()).unwrap_or("public");
        let relation =
            Relation { kind: RelationKind::Table, columns, on_standby: true, view_text: None, code: Vec::new() };
        schema.relations.insert((namespace.to_owned(), name.get("relname").text().to_owned()), relation);
    }
    schema
}

fn column(definition: &Tree) -> Column {
    let type_name = definition.get("type_name").get("names").items().last().expect("a type").get("sval").text();
    let type_oid = match type_name {
        "int4" => 23,
        "int8" => 20,
        "uuid" => 2950,
        "numeric" => 1700,
        "bool" => 16,
        "varchar" => 1043,
        "date" => 1082,
        "timestamp" => 1114,
        "timestamptz" => 1184,
        "jsonb" => 3802,
        _ => 25,
    };
    Column {
        name: definition.get("colname").text().to_owned(),
        type_oid,
        typmod: -1,
        not_null: false,
        generated: false,
        deterministic: true,
        byte_order: false,
        has_default: false,
    }
}

/// PostgreSQL's tokens, comments aside, in our terms: `N'…'` is two to it.
fn their_tokens(text: &str) -> Option<Vec<(usize, usize)>> {
    let scanned = pg_query::scan(text).ok()?;
    let mut found: Vec<(usize, usize)> = Vec::new();
    let comments = [pg_query::protobuf::Token::SqlComment as i32, pg_query::protobuf::Token::CComment as i32];
    for token in scanned.tokens.iter().filter(|token| !comments.contains(&token.token)) {
        let (start, end) = (token.start as usize, token.end as usize);
        match found.last_mut() {
            Some(last)
                if last.1 == start
                    && text[last.0..last.1].eq_ignore_ascii_case("n")
                    && text[start..].starts_with('\'') =>
            {
                last.1 = end;
            }
            _ => found.push((start, end)),
        }
    }
    Some(found)
}

/// How our tokens differ from PostgreSQL's.
fn token_disagreement(text: &str) -> Option<String> {
    let ours = match lex(text, true) {
        Ok(tokens) => Some(tokens.iter().map(|t| (t.start as usize, t.end as usize)).collect::<Vec<_>>()),
        // `$1a` is an error to PostgreSQL 15 and later; the library behind pg_query is patched to accept it.
        Err(LexError::Junk(at)) if text[at..].starts_with('$') => return None,
        Err(_) => None,
    };
    let theirs = their_tokens(text);
    match (ours, theirs) {
        (None, None) => None,
        (Some(ours), Some(theirs)) if ours == theirs => None,
        // PostgreSQL's scanner also refuses what is inside a string: an escape without meaning, an impossible code point.
        (Some(_), None) if text.contains('\\') => None,
        (ours, theirs) => Some(format!("tokens: ours {ours:?}, PostgreSQL's {theirs:?}")),
    }
}

/// How a model differs from what PostgreSQL's tree says, in anything that routing uses.
fn disagreement(ours: &Facts, theirs: &Facts) -> Option<String> {
    let mut out = Vec::new();
    let mut note = |same: bool, what: &str| {
        if !same {
            out.push(format!("{what}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    };
    note(ours.class == theirs.class, "class");
    note(ours.relations == theirs.relations, "relations");
    note(ours.locking == theirs.locking, "locking");
    note(ours.limit == theirs.limit, "limit");
    note(ours.writing_cte == theirs.writing_cte, "writing CTE");
    // A condition that we know and PostgreSQL does not have would send the statement to too few shards.
    let known = |cond: &String| {
        let head = |cond: &String| cond.split(" in ").next().unwrap_or_default().to_owned();
        let all = || theirs.conjuncts.iter().chain(&theirs.also);
        // A list with a member that we leave open is a list of anything.
        all().any(|their| their == cond || (cond.contains('?') && cond.contains(" in ") && head(their) == head(cond)))
    };
    note(ours.conjuncts.iter().all(known), "conditions");
    note(ours.outer.is_subset(&theirs.outer), "conditions of outer joins");
    note(theirs.functions.is_subset(&ours.functions), "functions");
    // A value that we leave open (`?`) is nobody's key.
    let fits = |ours: &Vec<String>, theirs: &Vec<String>| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| ours == "?" || ours == theirs)
    };
    let rows = ours.rows.len() == theirs.rows.len() && ours.rows.iter().zip(&theirs.rows).all(|(o, t)| fits(o, t));
    note(rows || ours.rows.is_empty(), "rows");
    (!out.is_empty()).then(|| out.join("\n"))
}

fn class_of(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Select => "select",
        Kind::Insert => "insert",
        Kind::Update => "update",
        Kind::Delete => "delete",
        _ => return None,
    })
}

/// Whether the kind that the tokens tell is that of PostgreSQL's tree.
fn kind_fits(analysis: &Analysis, tree: &Tree) -> bool {
    let transaction = || tree.get("kind").text();
    match tree.name() {
        "SelectStmt" => analysis.kind == Kind::Select,
        "InsertStmt" => analysis.kind == Kind::Insert,
        "UpdateStmt" => analysis.kind == Kind::Update,
        "DeleteStmt" => analysis.kind == Kind::Delete,
        "MergeStmt" => analysis.kind == Kind::Merge,
        "TransactionStmt" => match transaction() {
            "TransStmtBegin" | "TransStmtStart" => matches!(analysis.kind, Kind::Begin(_)),
            "TransStmtCommit" => matches!(analysis.kind, Kind::Commit { .. }),
            "TransStmtRollback" => matches!(analysis.kind, Kind::Rollback { .. }),
            "TransStmtSavepoint" => matches!(analysis.kind, Kind::Savepoint(_)),
            "TransStmtRelease" => matches!(analysis.kind, Kind::Release(_)),
            "TransStmtRollbackTo" => matches!(analysis.kind, Kind::RollbackTo(_)),
            _ => analysis.kind == Kind::TwoPhase,
        },
        "VariableSetStmt" | "ConstraintsSetStmt" => matches!(analysis.kind, Kind::Set(_)),
        "VariableShowStmt" => matches!(analysis.kind, Kind::Show(_)),
        "DiscardStmt" => matches!(analysis.kind, Kind::Discard(_)),
        "PrepareStmt" => matches!(analysis.kind, Kind::Prepare(_)),
        "ExecuteStmt" => matches!(analysis.kind, Kind::Execute(_)),
        "DeallocateStmt" => matches!(analysis.kind, Kind::Deallocate(_)),
        "DeclareCursorStmt" => matches!(analysis.kind, Kind::Declare { .. }),
        "FetchStmt" | "ClosePortalStmt" => analysis.kind == Kind::Cursor,
        "ListenStmt" | "UnlistenStmt" | "NotifyStmt" => analysis.kind == Kind::Notification,
        "CopyStmt" => matches!(&analysis.kind, Kind::Copy(copy)
            if copy.from == (tree.get("is_from").text() == "true")
                && copy.table.is_none() == tree.get("relation").is_none()
                && copy.stdio == (tree.get("filename").text().is_empty())),
        "ExplainStmt" => matches!(analysis.kind, Kind::Explain { .. }),
        "LockStmt" => analysis.kind == Kind::Lock,
        // Everything else is a write to us whatever it is called.
        _ => analysis.may_write && matches!(analysis.kind, Kind::Ddl(_) | Kind::Utility(_) | Kind::Unknown),
    }
}

/// Whether a tree writes or locks anywhere.
fn writes(tree: &Tree) -> bool {
    let mut found = false;
    tree.walk(&mut |node| {
        found |= matches!(
            node.name(),
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "LockingClause" | "IntoClause"
        );
    });
    found
}

/// Everything that PostgreSQL knows better about a statement, or `None`. Also told: whether it was understood.
fn judge(text: &str, schema: &Schema) -> (Option<String>, bool) {
    if let Some(tokens) = token_disagreement(text) {
        return (Some(tokens), false);
    }
    let Some(tree) = Tree::parse(text) else { return (None, false) };
    let analysis = analyse(text, &context(), schema);
    // A WITH whose list holds SEARCH or CYCLE is a kind we leave open.
    let open = analysis.kind == Kind::Unknown && tree.get("with_clause").name() == "WithClause";
    if !open && !kind_fits(&analysis, &tree) {
        return (Some(format!("kind {:?} of a {}", analysis.kind, tree.name())), false);
    }
    if writes(&tree) && !analysis.may_write {
        return (Some("it may write".to_owned()), false);
    }
    let mut called = Vec::new();
    tree.walk(&mut |node| {
        if node.name() == "FuncCall" {
            called.extend(facts::called(node));
        }
    });
    if let Some(name) = called.iter().find(|name| !analysis.functions.contains(name)) {
        return (Some(format!("function {name} is called")), false);
    }
    let Body::Understood(model) = &analysis.body else { return (None, false) };
    let class = class_of(&analysis.kind).expect("only statements with rows are understood");
    let Some(theirs) = facts::of_tree(&tree) else {
        return (Some(format!("a {} is understood as a {class}", tree.name())), true);
    };
    let tokens = lex(text, true).expect("analysed");
    let ours = facts::of_model(class, model, text, &lexer::literals(&tokens), schema);
    (disagreement(&ours, &theirs), true)
}

/// A statement with its tokens changed: one left out, doubled, swapped, or taken from another statement or a dictionary.
fn mutate(random: &mut StdRng, text: &str, corpus: &[&str]) -> String {
    const WORDS: &[&str] = &[
        "END",
        "ONLY",
        "interval",
        "LIKE",
        "AND",
        "OR",
        "NOT",
        "FROM",
        "INTO",
        "ISNULL",
        "-",
        "+",
        "=",
        "==",
        ">",
        ">=",
        "<>",
        "!=",
        "0x1F",
        "0b1",
        "U&\"a\"",
        "U&'a'",
        "E'\\''",
        "N'x'",
        "$a$b$a$",
        "'a'",
        "'a'\n'b'",
        "@@@",
        "::int",
        "a",
        "AS",
        "(",
        ")",
        ",",
        ".",
        "[1]",
        "*",
        "IN",
        "BETWEEN",
        "FOR UPDATE",
        "LIMIT",
        "ALL",
        "ANY",
        "UNION",
        "SELECT",
        "WITH x AS (DELETE FROM users)",
        "JOIN",
        "LEFT",
        "ON",
        "USING",
        "DEFAULT",
        "COLLATE \"C\"",
        "/* c */",
        "-- c\n",
        "--",
        "NULL",
        "IS NULL",
        "IS NOT DISTINCT FROM",
        "1",
        "-1",
        "1.5",
        "1_0",
        "$1",
        ";",
        "user",
        "current_date",
        "ROW",
        "CASE",
        "TOP 5",
        "VALUES",
        "RETURNING",
        "SET",
        "WHERE",
        "LATERAL",
        "TABLESAMPLE",
        "NATURAL",
        "DISTINCT",
        "OVERLAPS",
        "ESCAPE '!'",
        "AT TIME ZONE 'UTC'",
    ];
    let mut pieces = pieces(text);
    let changes = if random.random_bool(0.7) { 1 } else { random.random_range(2..=3) };
    for _ in 0..changes {
        let at = random.random_range(0..=pieces.len());
        match random.random_range(0..6) {
            0 if at < pieces.len() => drop(pieces.remove(at)),
            1 if at < pieces.len() => pieces.insert(at, pieces[at].clone()),
            2 if at + 1 < pieces.len() => pieces.swap(at, at + 1),
            3 => {
                let other = corpus.choose(random).expect("not empty");
                pieces.extend(self::pieces(other).choose(random).cloned());
                let last = pieces.len() - 1;
                pieces.swap(at.min(last), last);
            }
            _ => pieces.insert(at, (*WORDS.choose(random).expect("not empty")).to_owned()),
        }
    }
    // Mostly with blanks; now and then without, so that tokens run into each other.
    let glue = if random.random_bool(0.15) { "" } else { " " };
    pieces.join(glue)
}

fn pieces(text: &str) -> Vec<String> {
    lex(text, true).map(|tokens| tokens.iter().map(|token| token.text(text).to_owned()).collect()).unwrap_or_default()
}

/// Every kind of mistake that was ever seen in the parser comes up in mutants of statements that have it; none gets through.
#[test]
fn mutants_are_read_as_postgresql_reads_them() {
    let schema = schema();
    let corpus = corpus();
    let seeds =
        std::env::var("PGWEAVE_ORACLE_MUTANTS").ok().and_then(|number| number.parse().ok()).unwrap_or(12_000u64);
    let (mut understood, mut valid) = (0, 0);
    let mut wrong = Vec::new();
    for seed in 0..seeds {
        let mut random = StdRng::seed_from_u64(seed);
        let text = *corpus.choose(&mut random).expect("not empty");
        let mutant = mutate(&mut random, text, &corpus);
        if Tree::parse(&mutant).is_some() {
            valid += 1;
        }
        let (verdict, read) = judge(&mutant, &schema);
        understood += usize::from(read);
        wrong.extend(verdict.map(|verdict| format!("seed {seed}: {mutant}\n{verdict}\n")));
    }
    assert!(wrong.is_empty(), "{} mutants:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        valid * 20 > seeds && understood * 40 > seeds as usize,
        "{valid} valid, {understood} understood of {seeds}"
    );
}

/// Whether the parser alone, without the guard, reads a text as PostgreSQL does not: by its number of statements, by what
/// our model makes of its tree, by the tables its own visitor tells, or by the text it prints.
fn unguarded_is_wrong(text: &str, schema: &Schema) -> bool {
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, text) else { return false };
    let theirs = pg_query::parse(text, pg_query::ParserOptions::default());
    let Ok(theirs) = theirs else { return !statements.is_empty() };
    if statements.len() != theirs.protobuf.stmts.len() {
        return true;
    }
    let statement = &statements[0];
    let Some(tree) = Tree::parse(text) else { return false };
    let mut tables = Vec::new();
    let _ = sqlparser::ast::visit_relations(statement, |name| {
        tables.push(name.to_string().to_lowercase());
        std::ops::ControlFlow::<()>::Continue(())
    });
    let mut known = Vec::new();
    tree.walk(&mut |node| known.extend((node.name() == "RangeVar").then(|| node.get("relname").text().to_owned())));
    if facts::class(&tree).is_some() && (tables.len() != known.len() || tables.iter().any(|name| !known.contains(name)))
    {
        return true;
    }
    let literals = lexer::literals(&lex(text, true).expect("PostgreSQL reads it"));
    if let (Some(theirs), Ok(model)) =
        (facts::of_tree(&tree), walk::walk(statement, text, &literals, &context(), schema))
    {
        let ours = facts::of_model(theirs.class, &model, text, &literals, schema);
        if ours.conjuncts != theirs.conjuncts || disagreement(&ours, &theirs).is_some() {
            return true;
        }
    }
    Tree::parse(&statement.to_string()).map(Tree::without_places) != Some(tree.without_places())
}

/// The oracle sees the known faults when the guard is switched off, and the guard lets none of them through: a test of the
/// test. By the numbers under which the ways of misreading were first listed.
#[test]
fn without_the_guard_the_known_faults_are_found() {
    let schema = schema();
    for (number, text) in [
        (1, "SELECT a END FROM zz WHERE a = 5"),
        (1, "SELECT a FROM zz END; DELETE FROM users"),
        (2, "SELECT * FROM ONLY zz WHERE a = 5"),
        (2, "UPDATE ONLY zz SET b = 1 WHERE a = 5"),
        (2, "DELETE FROM ONLY zz"),
        (3, "SELECT a, interval FROM zz WHERE a = 5"),
        (4, "SELECT x LIKE FROM zz"),
        (4, "SELECT a AND FROM zz"),
        (5, "SELECT * FROM zz WHERE a = 0x1F"),
        (5, "SELECT 0b1 FROM zz"),
        (6, "SELECT * FROM zz WHERE U&\"\\0061\" = 1"),
        (7, "SELECT * FROM zz WHERE a>-1"),
        (7, "SELECT * FROM zz WHERE a>=-1"),
        (7, "SELECT a =@ b FROM zz"),
        (8, "SELECT mytype 'x' FROM zz"),
        (9, "SELECT a ISNULL FROM zz"),
        (10, "SELECT * FROM zz WHERE x = 'a\\'' OR 1=1 --'"),
        (11, "SHOW a.b"),
        (12, "SELECT INTO x FROM zz"),
        (13, "SELECT * FROM zz WHERE a == 1"),
    ] {
        assert!(unguarded_is_wrong(text, &schema), "{number}: {text}");
        assert_eq!(judge(text, &schema).0, None, "{number}: {text}");
    }
    for text in ["SELECT * FROM zz WHERE a = -1", "SELECT x FROM users, zz WHERE id = a AND b = 2"] {
        assert!(!unguarded_is_wrong(text, &schema), "{text}");
    }
}

/// Texts with one fingerprint have one analysis: whatever values are put into the corpus' literals, what is found in the
/// cache under a lifted fingerprint is what would have been made anew.
#[test]
fn a_lifted_analysis_is_the_one_made_anew() {
    let schema = schema();
    let key = FingerprintKey(*b"sixteen bytes it");
    let make = |text: &str| analyse(text, &context(), &schema);
    let mut hits = 0;
    for (seed, text) in corpus().into_iter().enumerate() {
        let cache = PlanCache::new(key, 1_000, 64 << 20);
        let mut literals = Vec::new();
        cache.lookup_lifted(text, true, 0, &mut literals, || make(text));
        let mut random = StdRng::seed_from_u64(seed as u64);
        for _ in 0..8 {
            let other = with_other_values(&mut random, text);
            let (found, hit) = cache.lookup_lifted(&other, true, 0, &mut literals, || make(&other));
            assert_eq!(*found, make(&other), "{text}\n{other}");
            assert_eq!(literals, lexer::literals(&lex(&other, true).expect("lexes")));
            hits += usize::from(hit);
        }
    }
    assert!(hits > 500, "{hits}");
}

/// The text with each literal replaced by another of its kind, or left, and perhaps a comment in front.
fn with_other_values(random: &mut StdRng, text: &str) -> String {
    let tokens = lex(text, true).expect("lexes");
    let mut out = if random.random_bool(0.2) { "/* trace */ ".to_owned() } else { String::new() };
    let mut at = 0;
    for token in tokens.iter().filter(|token| token.literal().is_some()) {
        out.push_str(&text[at..token.start as usize]);
        at = token.end as usize;
        let digits = random.random_range(1..12);
        let number = random.random_range(0..10u64.pow(digits));
        match token.literal().expect("a literal") {
            LiteralKind::Integer if random.random_bool(0.7) => out.push_str(&number.to_string()),
            LiteralKind::String if random.random_bool(0.7) => out.push_str(&format!("'{number}'")),
            _ => out.push_str(token.text(text)),
        }
    }
    out.push_str(&text[at..]);
    out
}

#[test]
fn tokens_are_postgresqls() {
    let mut checked = 0;
    for text in corpus().into_iter().chain(FILES.iter().map(|(_, text)| *text)) {
        assert_eq!(token_disagreement(text), None, "{text}");
        checked += usize::from(their_tokens(text).is_some());
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn the_corpus_is_read_as_postgresql_reads_it() {
    let schema = schema();
    let wrong: Vec<String> =
        corpus().into_iter().filter_map(|text| Some(format!("{text}\n{}\n", judge(text, &schema).0?))).collect();
    assert!(wrong.is_empty(), "{} of the corpus:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn strings_are_split_as_postgresql_splits_them() {
    for (name, text) in FILES.iter().filter(|(name, _)| *name != "torture") {
        let theirs = pg_query::split_with_scanner(text).expect("splits");
        let ours = split(text, true).expect("lexes");
        let strip =
            |text: &str| lex(text, true).expect("lexes").iter().map(|t| t.text(text).to_owned()).collect::<Vec<_>>();
        let theirs: Vec<Vec<String>> = theirs.into_iter().map(strip).filter(|tokens| !tokens.is_empty()).collect();
        let ours: Vec<Vec<String>> = ours.into_iter().map(|range| strip(&text[range])).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

/// What applications send is understood, but for what is known not to be.
#[test]
fn most_of_what_applications_send_is_understood() {
    let schema = schema();
    let text = FILES[0].1;
    let statements: Vec<&str> = split(text, true).expect("lexes").into_iter().map(|range| &text[range]).collect();
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for statement in
        statements.iter().filter(|text| Tree::parse(text).is_some_and(|tree| facts::class(&tree).is_some()))
    {
        if let Body::Tokens { reason, .. } = analyse(statement, &context(), &schema).body {
            reasons.entry(reason).or_default().push(statement);
        }
    }
    let refused: usize = reasons.values().map(Vec::len).sum();
    assert!(refused * 5 < statements.len(), "{refused} of {}: {reasons:#?}", statements.len());
}
