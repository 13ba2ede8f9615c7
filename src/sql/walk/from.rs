//! FROM: relations, derived tables and joins.

use std::borrow::Cow;

use sqlparser::ast::{
    FunctionArg, Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::names::{bare, fold, idents};
use super::query::rename;
use super::scope::{Item, Lookup, Shown, Tree, among};
use super::{Site, Walker};
use crate::sql::analysis::{ColumnRef, Cond, Place, RelationRef};

/// The kinds of join, as conditions see them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

impl<'a> Walker<'a> {
    pub(super) fn joined(&mut self, joined: &'a TableWithJoins, site: Site<'a>) -> Result<Tree<'a>, String> {
        let mut tree = self.factor(&joined.relation, site)?;
        for join in &joined.joins {
            tree = self.join(tree, join, site)?;
        }
        Ok(tree)
    }

    fn join(&mut self, left: Tree<'a>, join: &'a Join, site: Site<'a>) -> Result<Tree<'a>, String> {
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (Kind::Inner, constraint),
            JoinOperator::CrossJoin(JoinConstraint::None) => (Kind::Inner, &JoinConstraint::None),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (Kind::Left, constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (Kind::Right, constraint),
            JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
            _ => return Err("a join of another dialect".into()),
        };
        if join.global {
            return Err("GLOBAL JOIN".into());
        }
        let right = self.factor(&join.relation, site)?;
        let merged: Vec<String> = match constraint {
            JoinConstraint::Using(names) => names.iter().map(bare).collect::<Result<_, _>>()?,
            JoinConstraint::Natural => common(&left, &right)?,
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        for relation in nullable(kind, &left, &right) {
            self.model.relations[relation].nullable = true;
        }
        let nullable_side = match kind {
            Kind::Inner | Kind::Full => None,
            Kind::Left => Some(right.relations.clone()),
            Kind::Right => Some(left.relations.clone()),
        };
        let (tree, equal) = merge(left, right, &merged, kind);
        let mut conds: Vec<Cond> = equal.into_iter().map(|(a, b)| Cond::Same(a, b)).collect();
        if let JoinConstraint::On(on) = constraint {
            // The condition sees its own join only.
            self.scopes[site.scope].visible = Some((tree.columns.clone(), tree.open));
            let on = self.condition(on, site);
            self.scopes[site.scope].visible = None;
            flatten(on?, &mut conds);
        }
        let block = &mut self.model.blocks[site.block];
        match (kind, nullable_side) {
            (Kind::Inner, _) => block.conds.extend(conds),
            (_, Some(side)) => block.outer_conds.extend(conds.into_iter().map(|cond| (side.clone(), cond))),
            // The condition of a full join constrains neither side.
            (_, None) => {}
        }
        Ok(tree)
    }

    fn factor(&mut self, factor: &'a TableFactor, site: Site<'a>) -> Result<Tree<'a>, String> {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.factor_inner(factor, site))
    }

    fn factor_inner(&mut self, factor: &'a TableFactor, site: Site<'a>) -> Result<Tree<'a>, String> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let foreign = !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty();
                if foreign {
                    return Err("a table of another dialect".into());
                }
                // The method and its arguments are constants; that it samples is what matters.
                self.model.sampling |= sample.is_some();
                match args {
                    Some(args) if args.settings.is_none() => self.function_item(name, &args.args, alias.as_ref(), site),
                    Some(_) => Err("a table function with settings".into()),
                    None if *with_ordinality => Err("WITH ORDINALITY on a table".into()),
                    None => self.table(name, alias.as_ref(), site),
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if sample.is_some() {
                    return Err("a sample of a derived table".into());
                }
                let around = if *lateral { Some(site.scope) } else { self.scopes[site.scope].parent };
                let scope = self.new_scope(around);
                let output = self.query(subquery, scope, site.ctes, Some(site.block), Place::Derived)?;
                let mut columns = output.columns;
                let name = alias.as_ref().map(|alias| alias_name(alias, &mut columns)).transpose()?;
                Ok(self.add_item(site, name.unwrap_or_default(), None, columns, output.open, output.relations))
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality: _, alias } => {
                self.function_item(name, args, alias.as_ref(), site)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: _,
            } => {
                self.note_call("unnest");
                for expr in array_exprs {
                    self.expr(expr, site)?;
                }
                self.open_item("unnest".into(), alias.as_ref(), site)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins, site),
            TableFactor::NestedJoin { alias: Some(_), .. } => Err("an alias of a join".into()),
            TableFactor::UNNEST { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => Err("a FROM item of this kind".into()),
        }
    }

    /// A relation or a CTE.
    fn table(
        &mut self,
        name: &'a ObjectName,
        alias: Option<&'a TableAlias>,
        site: Site<'a>,
    ) -> Result<Tree<'a>, String> {
        let idents = idents(name)?;
        if let [ident] = idents.as_slice() {
            let folded = fold(ident)?;
            if let Some(cte) = self.cte(site.ctes, &folded) {
                let output = self.expand(cte, site.block, Place::Cte)?;
                let mut columns = output.columns;
                let name = alias.map(|alias| alias_name(alias, &mut columns)).transpose()?;
                return Ok(self.add_item(site, name.unwrap_or(folded), None, columns, output.open, output.relations));
            }
        }
        if let Some(alias) = alias {
            check_alias(alias)?;
        }
        let (relation, mut columns, open) = self.relation(&idents, alias.map(|alias| &alias.name), site.block)?;
        let schema = self.model.relations[relation].schema.clone();
        let mut name = self.model.relations[relation].name.clone();
        if let Some(alias) = alias {
            name = alias_name(alias, &mut columns)?;
        }
        Ok(self.add_item(site, name, Some(schema), columns, open, vec![relation]))
    }

    /// Notes a relation; its index, its columns, and whether there may be others.
    pub(super) fn relation(
        &mut self,
        idents: &[&'a Ident],
        alias: Option<&'a Ident>,
        block: usize,
    ) -> Result<(usize, Vec<Shown<'a>>, bool), String> {
        let (schema, ident) = match idents {
            [ident] => (None, *ident),
            [schema, ident] => (Some(fold(schema)?), *ident),
            _ => return Err("a table name of three parts".into()),
        };
        let name = fold(ident)?;
        if ident.quote_style.is_none() && name == "only" {
            return Err("ONLY".into());
        }
        let found = self.find(schema.as_deref(), &name)?;
        let first = idents[0].span;
        let last = alias.map_or(ident.span, |alias| alias.span);
        let span = match (self.positions.byte(first.start), self.positions.range(last)) {
            (Some(start), Some(last)) if start <= last.end => start..last.end,
            _ => return Err("a table whose place in the text is unknown".into()),
        };
        let index = self.new_relation(RelationRef {
            schema: found.schema,
            name,
            alias: alias.map(fold).transpose()?,
            span,
            block,
            nullable: false,
        });
        let known = found.columns.unwrap_or_default().iter().enumerate();
        let columns = known
            .map(|(column, known)| (Cow::Borrowed(known.name.as_str()), Some(ColumnRef { relation: index, column })))
            .collect();
        Ok((index, columns, found.columns.is_none()))
    }

    fn function_item(
        &mut self,
        name: &'a ObjectName,
        args: &'a [FunctionArg],
        alias: Option<&'a TableAlias>,
        site: Site<'a>,
    ) -> Result<Tree<'a>, String> {
        let name = super::names::parts(name)?.pop().ok_or("a function without a name")?;
        if name == "only" {
            return Err("ONLY".into());
        }
        self.note_call(&name);
        self.args(args, site)?;
        self.open_item(name, alias, site)
    }

    /// An item whose columns are not known.
    fn open_item(&mut self, name: String, alias: Option<&'a TableAlias>, site: Site<'a>) -> Result<Tree<'a>, String> {
        let mut columns = Vec::new();
        let name = match alias {
            Some(alias) => {
                if alias.at.is_some() {
                    return Err("AT in an alias".into());
                }
                for column in &alias.columns {
                    columns.push((Cow::Owned(fold(&column.name)?), None));
                }
                fold(&alias.name)?
            }
            None => name,
        };
        Ok(self.add_item(site, name, None, columns, true, Vec::new()))
    }

    pub(super) fn add_item(
        &mut self,
        site: Site<'a>,
        name: String,
        schema: Option<String>,
        columns: Vec<Shown<'a>>,
        open: bool,
        relations: Vec<usize>,
    ) -> Tree<'a> {
        self.scopes[site.scope].items.push(Item { name, schema, columns: columns.clone(), open });
        Tree { columns, open, relations }
    }
}

fn check_alias(alias: &TableAlias) -> Result<(), String> {
    let plain = alias.at.is_none() && alias.columns.iter().all(|column| column.data_type.is_none());
    if plain { Ok(()) } else { Err("an alias with types".into()) }
}

/// The alias; gives its column names to the columns.
fn alias_name(alias: &TableAlias, columns: &mut [Shown<'_>]) -> Result<String, String> {
    check_alias(alias)?;
    let names = alias.columns.iter().map(|column| fold(&column.name)).collect::<Result<Vec<_>, _>>()?;
    rename(columns, &names);
    fold(&alias.name)
}

/// The relations that a join may extend with NULLs.
fn nullable(kind: Kind, left: &Tree<'_>, right: &Tree<'_>) -> Vec<usize> {
    match kind {
        Kind::Inner => Vec::new(),
        Kind::Left => right.relations.clone(),
        Kind::Right => left.relations.clone(),
        Kind::Full => left.relations.iter().chain(&right.relations).copied().collect(),
    }
}

/// The column names of NATURAL.
fn common(left: &Tree<'_>, right: &Tree<'_>) -> Result<Vec<String>, String> {
    if left.open || right.open {
        return Err("NATURAL JOIN of a relation whose columns are unknown".into());
    }
    let shared = left.columns.iter().filter(|(name, _)| right.columns.iter().any(|(other, _)| other == name));
    Ok(shared.map(|(name, _)| name.clone().into_owned()).collect())
}

/// The joined tree, and the pairs of columns that USING makes equal.
fn merge<'a>(
    left: Tree<'a>,
    right: Tree<'a>,
    merged: &[String],
    kind: Kind,
) -> (Tree<'a>, Vec<(ColumnRef, ColumnRef)>) {
    let find = |tree: &Tree<'_>, name: &str| match among(&tree.columns, tree.open, name) {
        Lookup::Column(column) => column,
        Lookup::Unsure | Lookup::Absent => None,
    };
    let mut equal = Vec::new();
    let mut columns = Vec::with_capacity(left.columns.len() + right.columns.len());
    for name in merged {
        let (a, b) = (find(&left, name), find(&right, name));
        equal.extend(a.zip(b));
        let column = match kind {
            Kind::Inner | Kind::Left => a,
            Kind::Right => b,
            Kind::Full => None,
        };
        columns.push((Cow::Owned(name.clone()), column));
    }
    let rest = left.columns.into_iter().chain(right.columns);
    columns.extend(rest.filter(|(name, _)| !merged.iter().any(|merged| merged == name)));
    let mut relations = left.relations;
    relations.extend(right.relations);
    (Tree { columns, open: left.open || right.open, relations }, equal)
}

/// A condition as a list of conjuncts.
pub(super) fn flatten(cond: Cond, into: &mut Vec<Cond>) {
    match cond {
        Cond::And(conds) => into.extend(conds),
        Cond::Unknown => {}
        cond => into.push(cond),
    }
}
