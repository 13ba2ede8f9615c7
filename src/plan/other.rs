//! Statements of which only the tokens are known: to the home shard, or not at all.

use super::code::{self, Target};
use super::{Refusal, World, view};
use crate::map::{Placement, TableName};
use crate::sql::Analysis;
use crate::sql::analysis::{Kind, Values};
use crate::sql::schema::RelationKind;
use crate::sql::{Token, TokenKind, lex};

/// Objects whose CREATE, ALTER and DROP concern the home shard alone when no placed table is named.
const LOCAL_OBJECTS: [&str; 4] = ["table", "view", "materialized", "sequence"];

/// Refuses a statement that the home shard cannot run alone.
pub(super) fn route(
    analysis: &Analysis,
    names: &[(Option<String>, String)],
    reason: &str,
    values: &Values<'_>,
    world: &World<'_>,
) -> Result<(), Refusal> {
    match &analysis.kind {
        // The session's own business; what they name lives with the session, on the home shard.
        Kind::Empty
        | Kind::Begin(_)
        | Kind::Commit { .. }
        | Kind::Rollback { .. }
        | Kind::Savepoint(_)
        | Kind::Release(_)
        | Kind::RollbackTo(_)
        | Kind::TwoPhase
        | Kind::Set(_)
        | Kind::Show(_)
        | Kind::Discard(_)
        | Kind::Execute(_)
        | Kind::Deallocate(_)
        | Kind::Cursor
        | Kind::Notification
        // PostgreSQL says what is wrong with it.
        | Kind::Unknown => return Ok(()),
        Kind::Ddl(first) => check_object(first, values, world)?,
        Kind::Utility(first) => check_utility(first, analysis, names, world)?,
        Kind::Select
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::Prepare(_)
        | Kind::Declare { .. }
        | Kind::Copy(_)
        | Kind::Explain { .. }
        | Kind::Lock => {}
    }
    if let Some(table) = placed(names, world) {
        return Err(names_placed(&analysis.kind, &table, reason));
    }
    let home = Target::One(world.map.home);
    for name in &analysis.functions {
        // Tokens cannot tell a function from a table with a list of columns, or from a type.
        let known = world.schema.functions.contains_key(name) || world.functions.contains_key(name);
        if known {
            code::check_call(name, home, world)?;
        }
    }
    Ok(())
}

/// The first name that may be a table which does not live on the home shard alone, or a view of one.
fn placed(names: &[(Option<String>, String)], world: &World<'_>) -> Option<String> {
    let away = |placement: &Placement| !matches!(placement, Placement::Local(shard) if *shard == world.map.home);
    for (schema, name) in names {
        let fits =
            |table: &TableName| table.name == *name && schema.as_ref().is_none_or(|schema| table.schema == *schema);
        if world.map.tables.iter().any(|(table, placement)| away(placement) && fits(table)) {
            return Some(name.clone());
        }
        let views = world.schema.relations.iter().filter(|((in_schema, of), relation)| {
            of == name
                && schema.as_ref().is_none_or(|schema| in_schema == schema)
                && matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
        });
        for (_, relation) in views {
            if view::not_at_home(relation, world).is_some() {
                return Some(name.clone());
            }
        }
    }
    None
}

fn names_placed(kind: &Kind, table: &str, reason: &str) -> Refusal {
    let hint = "Rewrite it, or send it to one shard with the comment /* pgweave: shard=NAME */.";
    let unsupported = |what: &str| {
        Refusal::unsupported(
            format!("{what} of a table that lives on several shards is not supported yet"),
            format!("The statement names \"{table}\"."),
            "Run it on each shard with the hint shard=, as a user with may_bypass_routing.",
        )
    };
    match kind {
        Kind::Merge => unsupported("MERGE"),
        Kind::Copy(_) => unsupported("COPY"),
        Kind::Lock => unsupported("LOCK"),
        Kind::Ddl(first) | Kind::Utility(first) => unsupported(&first.to_uppercase()),
        Kind::Prepare(_) | Kind::Declare { .. } | Kind::Explain { .. } => Refusal::unsupported(
            "the statement cannot be routed by what is inside it yet",
            format!("It names \"{table}\", which does not live on the home shard alone."),
            "Prepare by the protocol instead of PREPARE; ask EXPLAIN (ROUTE) where the inner statement goes.",
        ),
        _ => {
            let reason = if reason.is_empty() { "it is of a kind that is not read for routing" } else { reason };
            Refusal::unsupported(
                "the statement was not understood",
                format!("It names \"{table}\", which does not live on the home shard alone; {reason}."),
                hint,
            )
        }
    }
}

/// DDL on objects that shards share would make them differ.
fn check_object(first: &str, values: &Values<'_>, world: &World<'_>) -> Result<(), Refusal> {
    if world.map.tables.is_empty() {
        return Ok(());
    }
    let text = values.text;
    let tokens = lex(text, true).unwrap_or_default();
    let words: Vec<String> =
        tokens.iter().take_while(|token| token.kind == TokenKind::Word).map(|token| word(token, text)).collect();
    let mut rest = words.iter().map(String::as_str).skip(1).skip_while(|word| {
        matches!(
            *word,
            "or" | "replace" | "temp" | "temporary" | "unlogged" | "global" | "local" | "unique" | "recursive"
        )
    });
    let object = rest.next().unwrap_or_default();
    let fine = match first {
        "create" => LOCAL_OBJECTS.contains(&object) || matches!(object, "index" | "schema"),
        "alter" => LOCAL_OBJECTS.contains(&object) && rest.next() != Some("all"),
        "drop" => LOCAL_OBJECTS.contains(&object),
        _ => false,
    };
    if fine {
        return Ok(());
    }
    Err(Refusal::unsupported(
        format!("{} {} is not supported on a map of several shards yet", first.to_uppercase(), object.to_uppercase()),
        "It would change the home shard only, and what it changes may be used on the others.",
        "Run it on each shard with the hint shard=, as a user with may_bypass_routing.",
    ))
}

fn word(token: &Token, text: &str) -> String {
    token.text(text).to_ascii_lowercase()
}

/// Whether any of the names is a relation that is known.
fn names_relation(names: &[(Option<String>, String)], world: &World<'_>) -> bool {
    names.iter().any(|(schema, name)| {
        let known = |(in_schema, of): &(String, String)| of == name && schema.as_ref().is_none_or(|s| in_schema == s);
        world.schema.relations.keys().any(known)
    })
}

fn check_utility(
    first: &str,
    analysis: &Analysis,
    names: &[(Option<String>, String)],
    world: &World<'_>,
) -> Result<(), Refusal> {
    match first {
        "call" => {
            let declared = |name: &String| world.functions.contains_key(name);
            if analysis.functions.iter().any(declared) {
                return Ok(());
            }
            Err(Refusal::unsupported(
                "the procedure is not declared",
                "It runs inside one shard and sees only that shard's rows.",
                "Declare it under functions; then it runs on the home shard.",
            ))
        }
        "do" => Err(Refusal::unsupported(
            "DO is not supported on a map of several shards",
            "Its code runs inside one shard and sees only that shard's rows.",
            "Make it a procedure and declare that, or use the hint shard=.",
        )),
        "vacuum" | "analyze" | "analyse" | "cluster" | "reindex" | "checkpoint" if !names_relation(names, world) => {
            Err(Refusal::unsupported(
                format!("{} of a whole database is not supported on several shards yet", first.to_uppercase()),
                "It would run on the home shard only.",
                "Name tables, or run it on each shard with the hint shard=.",
            ))
        }
        _ => Ok(()),
    }
}
