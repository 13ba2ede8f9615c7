//! What a view's definition names, conservatively: by its tokens.

use std::collections::HashMap;

use super::World;
use crate::map::Placement;
use crate::sql::schema::{Relation, RelationKind};
use crate::sql::{TokenKind, lex};

/// Views within views are followed this far.
const DEEPEST: usize = 16;

/// What a view's text names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Every identifier, folded.
    pub words: Vec<String>,
    /// Those with a parenthesis behind them.
    pub calls: Vec<String>,
    /// Whether a text could not be read, or views lie too deep.
    pub unsure: bool,
}

/// Everything a view's definition names, those of the views in it included.
pub(super) fn names(view: &Relation, world: &World<'_>) -> Names {
    let is_view = |relation: &Relation| matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
    let mut views: HashMap<&str, Vec<&Relation>> = HashMap::new();
    for ((_, name), relation) in world.schema.relations.iter().filter(|(_, relation)| is_view(relation)) {
        views.entry(name).or_default().push(relation);
    }
    let mut names = Names::default();
    collect(view, &views, &mut names, 0);
    names
}

fn collect(view: &Relation, views: &HashMap<&str, Vec<&Relation>>, names: &mut Names, depth: usize) {
    let tokens = view.view_text.as_deref().and_then(|text| Some((text, lex(text, true).ok()?)));
    let Some((text, tokens)) = tokens.filter(|_| depth < DEEPEST) else {
        names.unsure = true;
        return;
    };
    for (at, token) in tokens.iter().enumerate() {
        let word = match token.kind {
            TokenKind::Word => token.text(text).to_lowercase(),
            TokenKind::Quoted => token.text(text).trim_matches('"').replace("\"\"", "\""),
            TokenKind::UnicodeQuoted => {
                names.unsure = true;
                continue;
            }
            _ => continue,
        };
        if tokens.get(at + 1).is_some_and(|next| next.is_symbol(text, "(")) && !names.calls.contains(&word) {
            names.calls.push(word.clone());
        }
        if names.words.contains(&word) {
            continue;
        }
        names.words.push(word.clone());
        for inner in views.get(word.as_str()).into_iter().flatten().filter(|inner| !std::ptr::eq(**inner, view)) {
            collect(inner, views, names, depth + 1);
        }
    }
}

/// The first table that a view names and that does not live wholly on the home shard. A text that cannot be read might
/// name any.
pub(super) fn not_at_home(view: &Relation, world: &World<'_>) -> Option<String> {
    let names = names(view, world);
    let mut away = world.map.tables.iter().filter(|(_, placement)| match placement {
        Placement::Distributed { .. } => true,
        // The home shard has all rows of a reference table.
        Placement::Reference => false,
        Placement::Local(shard) => *shard != world.map.home,
    });
    let found = away.find(|(table, _)| names.unsure || names.words.contains(&table.name));
    found.map(|(table, _)| table.to_string())
}
