//! Read or write: which nodes of a shard may run a statement.

use super::builtin::{Class, class, is_server_view};
use super::{Access, World, view};
use crate::sql::Analysis;
use crate::sql::analysis::{Body, Kind, Model, RelationRef};
use crate::sql::schema::{RelationKind, Volatility};

/// The weakest access under which a statement is sure to work. What is not proven to read writes.
pub(super) fn access(analysis: &Analysis, world: &World<'_>) -> Access {
    match (&analysis.kind, &analysis.body) {
        (Kind::Select, Body::Understood(model)) if !analysis.may_write => of_model(model, world),
        // Neither runs anything, and both are about one server.
        (Kind::Empty | Kind::Show(_) | Kind::Explain { analyze: false, .. }, _) => Access::ReadPrimary,
        _ => Access::Write,
    }
}

fn of_model(model: &Model, world: &World<'_>) -> Access {
    if model.locking || model.writing_cte || model.target.is_some() {
        return Access::Write;
    }
    let volatile = |operator: &String| world.schema.volatile_operators.contains(operator);
    if !world.schema.volatile_operators.is_empty() && model.operators.iter().any(volatile) {
        return Access::Write;
    }
    let calls = model.calls.iter().map(|name| of_call(name, world));
    let relations = model.relations.iter().map(|relation| of_relation(relation, world));
    calls.chain(relations).fold(Access::Read, worse)
}

fn worse(a: Access, b: Access) -> Access {
    match (a, b) {
        (Access::Write, _) | (_, Access::Write) => Access::Write,
        (Access::ReadPrimary, _) | (_, Access::ReadPrimary) => Access::ReadPrimary,
        (Access::Read, Access::Read) => Access::Read,
    }
}

fn of_call(name: &str, world: &World<'_>) -> Access {
    match class(name, world.schema) {
        Class::Anywhere | Class::Clock | Class::Harmless => Access::Read,
        // OIDs differ between shards, not between the nodes of one.
        Class::PerServer if name == "regclass" => Access::Read,
        Class::PerServer => Access::ReadPrimary,
        Class::Foreign { volatility: Volatility::Immutable | Volatility::Stable, .. } => Access::Read,
        Class::Once | Class::Foreign { volatility: Volatility::Volatile, .. } | Class::Unknown => Access::Write,
    }
}

fn of_relation(reference: &RelationRef, world: &World<'_>) -> Access {
    if reference.schema == "pg_catalog" && is_server_view(&reference.name) {
        return Access::ReadPrimary;
    }
    let Some(relation) = world.schema.relation(&reference.schema, &reference.name) else {
        // The cache need not have the catalogs. Anything else unknown might be a view that writes.
        let catalog = matches!(reference.schema.as_str(), "pg_catalog" | "information_schema");
        return if catalog { Access::Read } else { Access::Write };
    };
    if !relation.on_standby {
        return Access::ReadPrimary;
    }
    match relation.kind {
        RelationKind::View if reference.schema != "pg_catalog" && reference.schema != "information_schema" => {
            of_view(relation, world)
        }
        // What a foreign table reads may write to it too, and a standby can follow: it is its own server's to say.
        RelationKind::Foreign => Access::ReadPrimary,
        _ => Access::Read,
    }
}

fn of_view(relation: &crate::sql::schema::Relation, world: &World<'_>) -> Access {
    let names = view::names(relation, world);
    if names.unsure {
        return Access::Write;
    }
    // A name with a parenthesis behind it that no function has is a type or a column list.
    let calls = names.calls.iter().map(|name| match class(name, world.schema) {
        Class::Unknown => Access::Read,
        _ => of_call(name, world),
    });
    let off_standby = world.schema.relations.iter().filter(|(_, relation)| !relation.on_standby);
    let unlogged = off_standby.into_iter().any(|((_, name), _)| names.words.contains(name));
    let per_server = names.words.iter().any(|word| is_server_view(word));
    let relations = if unlogged || per_server { Access::ReadPrimary } else { Access::Read };
    calls.fold(relations, worse)
}
