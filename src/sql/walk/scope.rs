//! Which names are visible where.

use std::borrow::Cow;

use sqlparser::ast::Query;

use super::Walker;
use crate::sql::analysis::ColumnRef;

/// A column as a FROM item shows it: its name, and the column of a relation it is, if it is one and nothing stands between.
pub(super) type Shown<'a> = (Cow<'a, str>, Option<ColumnRef>);

/// The names one level of a query can see.
pub(super) struct Scope<'a> {
    pub items: Vec<Item<'a>>,
    /// What is visible without qualification once FROM (or, for an ON condition, its join) is complete, and whether more may
    /// be. Before, all columns of `items` are, as for LATERAL.
    pub visible: Option<(Vec<Shown<'a>>, bool)>,
    pub parent: Option<usize>,
}

/// One FROM item.
pub(super) struct Item<'a> {
    /// Its alias or name.
    pub name: String,
    /// The schema a qualified reference may name.
    pub schema: Option<String>,
    pub columns: Vec<Shown<'a>>,
    /// Whether it may have columns that are not listed.
    pub open: bool,
}

/// A joined part of FROM.
#[derive(Default)]
pub(super) struct Tree<'a> {
    /// The columns visible without qualification, those merged by USING once and first.
    pub columns: Vec<Shown<'a>>,
    pub open: bool,
    /// The relations under it, those within derived tables included.
    pub relations: Vec<usize>,
}

/// A CTE that can be seen.
pub(super) struct Cte<'a> {
    pub name: String,
    pub query: &'a Query,
    /// Names given to its columns.
    pub columns: Vec<String>,
    /// The CTE before it, which it can see too.
    pub before: Option<usize>,
    /// The scope around the WITH.
    pub scope: usize,
    pub used: bool,
}

/// What a name was found to be.
pub(super) enum Lookup {
    /// A column: of a relation, or computed.
    Column(Option<ColumnRef>),
    /// More than one column, or perhaps one of those that are not listed.
    Unsure,
    /// Nothing here.
    Absent,
}

fn only(matches: impl Iterator<Item = Option<ColumnRef>>) -> Lookup {
    let mut found = Lookup::Absent;
    for column in matches {
        match found {
            Lookup::Absent => found = Lookup::Column(column),
            _ => return Lookup::Unsure,
        }
    }
    found
}

/// Looks an unqualified name up in columns that are visible together.
pub(super) fn among(columns: &[Shown<'_>], open: bool, name: &str) -> Lookup {
    match only(columns.iter().filter(|(shown, _)| shown == name).map(|(_, column)| *column)) {
        Lookup::Absent if open => Lookup::Unsure,
        found => found,
    }
}

impl<'a> Walker<'a> {
    /// The column an unqualified name means, outwards from a scope; `None` when it is no plain column or cannot be told.
    pub(super) fn column(&mut self, scope: usize, name: &str) -> Option<ColumnRef> {
        let mut at = Some(scope);
        while let Some(scope_at) = at {
            let found = self.in_scope(scope_at, name);
            self.outer_seen |= scope_at != scope || !matches!(found, Lookup::Column(_));
            match found {
                Lookup::Column(column) => return column,
                Lookup::Unsure => return None,
                Lookup::Absent => at = self.scopes[scope_at].parent,
            }
        }
        None
    }

    /// An unqualified name in one scope. A column merged by USING stands in several items: while FROM is incomplete it is
    /// unsure.
    pub(super) fn in_scope(&self, scope: usize, name: &str) -> Lookup {
        let scope = &self.scopes[scope];
        if let Some((columns, open)) = &scope.visible {
            return among(columns, *open, name);
        }
        let matches = scope.items.iter().flat_map(|item| &item.columns);
        match only(matches.filter(|(shown, _)| shown == name).map(|(_, column)| *column)) {
            Lookup::Absent if scope.items.iter().any(|item| item.open) => Lookup::Unsure,
            found => found,
        }
    }

    /// The column a qualified name means, outwards from a scope.
    pub(super) fn qualified(
        &mut self,
        scope: usize,
        schema: Option<&str>,
        item: &str,
        name: &str,
    ) -> Option<ColumnRef> {
        let mut at = Some(scope);
        while let Some(scope_at) = at {
            self.outer_seen |= scope_at != scope;
            let mut items = self.items(scope_at, schema, item);
            if let Some(found) = items.next() {
                let sure = items.next().is_none();
                return match among(&found.columns, found.open, name) {
                    Lookup::Column(column) if sure => column,
                    _ => None,
                };
            }
            drop(items);
            at = self.scopes[scope_at].parent;
        }
        self.outer_seen = true;
        None
    }

    /// The items of this name in a scope itself.
    pub(super) fn items(&self, scope: usize, schema: Option<&str>, name: &str) -> impl Iterator<Item = &Item<'a>> {
        self.scopes[scope]
            .items
            .iter()
            .filter(move |item| item.name == name && (schema.is_none() || item.schema.as_deref() == schema))
    }

    /// The CTE of this name that can be seen.
    pub(super) fn cte(&self, from: Option<usize>, name: &str) -> Option<usize> {
        let mut at = from;
        while let Some(index) = at {
            if self.ctes[index].name == name {
                return Some(index);
            }
            at = self.ctes[index].before;
        }
        None
    }
}
