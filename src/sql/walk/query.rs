//! Queries, set operations and SELECT.

use std::borrow::Cow;

use sqlparser::ast::{
    CteAsMaterialized, Distinct, Expr, GroupByExpr, LimitClause, NonBlock, OrderBy, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableWithJoins,
    Value, WildcardAdditionalOptions, With,
};

use super::names::{fold, parts};
use super::scope::{Cte, Shown, Tree};
use super::{Site, Walker};
use crate::sql::analysis::{Block, ColumnRef, Operand, Place};

/// What a query shows to whoever stands around it.
pub(super) struct Output<'a> {
    /// The block of the query, or of the set operation.
    pub block: usize,
    pub columns: Vec<Shown<'a>>,
    pub open: bool,
    /// The relations in its FROM, derived tables included.
    pub relations: Vec<usize>,
}

impl<'a> Walker<'a> {
    /// Walks a query. `scope` is the one its FROM items go to; `parent` the block around it.
    pub(super) fn query(
        &mut self,
        query: &'a Query,
        scope: usize,
        ctes: Option<usize>,
        parent: Option<usize>,
        place: Place,
    ) -> Result<Output<'a>, String> {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.query_inner(query, scope, ctes, parent, place))
    }

    fn query_inner(
        &mut self,
        query: &'a Query,
        scope: usize,
        ctes: Option<usize>,
        parent: Option<usize>,
        place: Place,
    ) -> Result<Output<'a>, String> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err("a clause of another dialect".into());
        }
        let first_cte = self.ctes.len();
        let ctes = match with {
            Some(with) => self.with(with, scope, ctes)?,
            None => ctes,
        };
        let last_cte = self.ctes.len();
        let mut output = self.body(body, scope, ctes, parent, place)?;
        let site = Site { scope, block: output.block, ctes, windows: &[] };
        if let Some(order_by) = order_by {
            self.model.blocks[output.block].order_by = true;
            self.order_by(order_by, site)?;
        }
        if let Some(limit) = limit_clause {
            self.limit(limit, site)?;
        }
        if let Some(fetch) = fetch {
            if fetch.percent {
                return Err("FETCH … PERCENT".into());
            }
            self.model.blocks[output.block].limit = true;
            self.optional(fetch.quantity.as_ref(), site)?;
        }
        for lock in locks {
            self.model.locking = true;
            self.model.skip_locked |= lock.nonblock == Some(NonBlock::SkipLocked);
        }
        // A CTE that nobody reads is not run, but what it names must be known all the same.
        for index in first_cte..last_cte {
            if !self.ctes[index].used {
                self.expand(index, output.block, Place::Expression)?;
            }
        }
        if self.model.blocks[output.block].limit {
            hide(&mut output.columns, |_| false);
        }
        Ok(output)
    }

    fn limit(&mut self, limit: &'a LimitClause, site: Site<'a>) -> Result<(), String> {
        self.model.blocks[site.block].limit = true;
        match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } => {
                if !limit_by.is_empty() {
                    return Err("LIMIT BY".into());
                }
                self.optional(limit.as_ref(), site)?;
                self.optional(offset.as_ref().map(|offset| &offset.value), site)
            }
            LimitClause::OffsetCommaLimit { .. } => Err("LIMIT with a comma".into()),
        }
    }

    fn order_by(&mut self, order_by: &'a OrderBy, site: Site<'a>) -> Result<(), String> {
        match &order_by.kind {
            OrderByKind::Expressions(list) if order_by.interpolate.is_none() => self.sort_list(list, site),
            OrderByKind::Expressions(_) | OrderByKind::All(_) => Err("ORDER BY of another dialect".into()),
        }
    }

    /// Makes the CTEs of a WITH visible; the last of them.
    pub(super) fn with(&mut self, with: &'a With, scope: usize, ctes: Option<usize>) -> Result<Option<usize>, String> {
        if with.recursive {
            return Err("WITH RECURSIVE".into());
        }
        let mut visible = ctes;
        for cte in &with.cte_tables {
            let materialized = match &cte.materialized {
                None | Some(CteAsMaterialized::Materialized | CteAsMaterialized::NotMaterialized) => cte.from.is_none(),
            };
            if !materialized || cte.alias.at.is_some() {
                return Err("a CTE of another dialect".into());
            }
            let columns = cte.alias.columns.iter().map(|column| fold(&column.name)).collect::<Result<_, _>>()?;
            self.ctes.push(Cte {
                name: fold(&cte.alias.name)?,
                query: &cte.query,
                columns,
                before: visible,
                scope,
                used: false,
            });
            visible = Some(self.ctes.len() - 1);
        }
        Ok(visible)
    }

    /// Walks a CTE's query for one reference to it, as if it stood there as a derived table. One that nobody reads yields no
    /// rows to anything, as an expression does.
    pub(super) fn expand(&mut self, cte: usize, parent: usize, place: Place) -> Result<Output<'a>, String> {
        self.ctes[cte].used = true;
        let Cte { query, before, scope, .. } = self.ctes[cte];
        let outer = self.scopes[scope].parent;
        let scope = self.new_scope(outer);
        let mut output = self.query(query, scope, before, Some(parent), place)?;
        let names = self.ctes[cte].columns.clone();
        rename(&mut output.columns, &names);
        Ok(output)
    }

    fn body(
        &mut self,
        body: &'a SetExpr,
        scope: usize,
        ctes: Option<usize>,
        parent: Option<usize>,
        place: Place,
    ) -> Result<Output<'a>, String> {
        match body {
            SetExpr::Select(select) => self.select(select, scope, ctes, parent, place),
            SetExpr::Query(query) => self.query(query, scope, ctes, parent, place),
            SetExpr::Values(values) => {
                let block = self.new_block(parent, place)?;
                let site = Site { scope, block, ctes, windows: &[] };
                for row in &values.rows {
                    for value in &row.content {
                        self.expr(value, site)?;
                    }
                }
                let width = values.rows.first().map_or(0, |row| row.content.len());
                let columns: Vec<Shown<'a>> =
                    (1..=width).map(|column| (Cow::Owned(format!("column{column}")), None)).collect();
                self.model.blocks[block].outputs = vec![None; width];
                self.model.blocks[block].output_values = match values.rows.as_slice() {
                    [row] => row.content.iter().map(|value| Some(self.operand(value))).collect(),
                    _ => vec![None; width],
                };
                Ok(Output { block, columns, open: false, relations: Vec::new() })
            }
            SetExpr::SetOperation { .. } => self.set_operation(body, scope, ctes, parent, place),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err("a part of the statement writes".into())
            }
            SetExpr::Table(_) => Err("TABLE as a query".into()),
        }
    }

    /// A tree of set operations becomes one block with a branch for each leaf.
    fn set_operation(
        &mut self,
        body: &'a SetExpr,
        scope: usize,
        ctes: Option<usize>,
        parent: Option<usize>,
        place: Place,
    ) -> Result<Output<'a>, String> {
        let block = self.new_block(parent, place)?;
        let mut leaves = Vec::new();
        let mut only_union_all = true;
        let mut rest = vec![body];
        while let Some(node) = rest.pop() {
            match node {
                SetExpr::SetOperation { left, op, set_quantifier, right } => {
                    let all = match set_quantifier {
                        SetQuantifier::All => true,
                        SetQuantifier::None | SetQuantifier::Distinct => false,
                        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                            return Err("a set operation BY NAME".into());
                        }
                    };
                    only_union_all &= match op {
                        SetOperator::Union => all,
                        SetOperator::Except | SetOperator::Intersect => false,
                        SetOperator::Minus => return Err("MINUS".into()),
                    };
                    rest.push(right);
                    rest.push(left);
                }
                leaf => leaves.push(leaf),
            }
        }
        let branch_place = if only_union_all { Place::UnionAll } else { Place::SetOperation };
        let outer = self.scopes[scope].parent;
        let mut columns: Option<Vec<Shown<'a>>> = None;
        let mut open = false;
        let mut relations = Vec::new();
        for leaf in leaves {
            let scope = self.new_scope(outer);
            let branch = self.body(leaf, scope, ctes, Some(block), branch_place)?;
            open |= branch.open;
            relations.extend(branch.relations);
            columns.get_or_insert(branch.columns);
        }
        let mut columns = columns.unwrap_or_default();
        hide(&mut columns, |_| false);
        self.model.blocks[block].outputs = vec![None; columns.len()];
        self.model.blocks[block].output_values = vec![None; columns.len()];
        self.model.blocks[block].open_outputs = open;
        Ok(Output { block, columns, open, relations })
    }

    fn select(
        &mut self,
        select: &'a Select,
        scope: usize,
        ctes: Option<usize>,
        parent: Option<usize>,
        place: Place,
    ) -> Result<Output<'a>, String> {
        plain_select(select)?;
        let block = self.new_block(parent, place)?;
        let site = Site { scope, block, ctes, windows: &select.named_window };
        let tree = self.list_in_from(&select.from, site)?;
        if let Some(selection) = &select.selection {
            self.conjuncts(selection, site)?;
        }
        for window in &select.named_window {
            self.named_window(window, site)?;
        }
        let columns = self.projection(&select.projection, &tree, site)?;
        let open = self.model.blocks[block].open_outputs;
        self.group_by(&select.group_by, &select.projection, site)?;
        if let Some(having) = &select.having {
            self.model.blocks[block].having = true;
            self.expr(having, site)?;
        }
        if let Some(distinct) = &select.distinct {
            self.distinct(distinct, &select.projection, &columns, site)?;
        }
        let mut columns = columns;
        let block_ref = &self.model.blocks[block];
        hide(&mut columns, |column| passes(block_ref, column));
        Ok(Output { block, columns, open, relations: tree.relations })
    }

    /// Walks a FROM list (or USING of DELETE, FROM of UPDATE) and makes its names those of the scope.
    pub(super) fn list_in_from(&mut self, from: &'a [TableWithJoins], site: Site<'a>) -> Result<Tree<'a>, String> {
        let mut whole = Tree::default();
        for item in from {
            let tree = self.joined(item, site)?;
            whole.columns.extend(tree.columns);
            whole.open |= tree.open;
            whole.relations.extend(tree.relations);
        }
        self.scopes[site.scope].visible = Some((whole.columns.clone(), whole.open));
        Ok(whole)
    }

    /// The select list: its expressions, and what it shows. Notes the outputs of the block.
    pub(super) fn projection(
        &mut self,
        items: &'a [SelectItem],
        tree: &Tree<'a>,
        site: Site<'a>,
    ) -> Result<Vec<Shown<'a>>, String> {
        let mut shown: Vec<Shown<'a>> = Vec::with_capacity(items.len());
        let mut values: Vec<Option<Operand>> = Vec::with_capacity(items.len());
        let mut open = false;
        for item in items {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias)?)),
                SelectItem::ExprWithAliases { .. } => return Err("several aliases".into()),
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    open |= tree.open;
                    shown.extend(tree.columns.iter().filter(|_| !open).cloned());
                    values.resize(shown.len(), None);
                    continue;
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    plain_wildcard(options)?;
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        return Err("a wildcard over an expression".into());
                    };
                    let mut name = parts(name)?;
                    let item = name.pop().ok_or("an empty name")?;
                    let schema = name.pop();
                    let mut items = self.items(site.scope, schema.as_deref(), &item);
                    let columns = match (items.next(), items.next()) {
                        (Some(item), None) if !item.open => Some(item.columns.clone()),
                        _ => None,
                    };
                    drop(items);
                    open |= columns.is_none();
                    shown.extend(columns.into_iter().flatten().filter(|_| !open));
                    values.resize(shown.len(), None);
                    continue;
                }
            };
            self.expr(expr, site)?;
            if open {
                continue;
            }
            let column = self.plain_column(expr, site)?;
            let name = match alias {
                Some(alias) => Cow::Owned(alias),
                None => output_name(expr)?,
            };
            shown.push((name, column));
            values.push(match self.operand(expr) {
                Operand::Opaque => None,
                value => Some(value),
            });
        }
        let block = &mut self.model.blocks[site.block];
        block.outputs = shown.iter().map(|(_, column)| *column).collect();
        block.output_values = values;
        block.open_outputs = open;
        Ok(shown)
    }

    fn group_by(&mut self, group_by: &'a GroupByExpr, items: &'a [SelectItem], site: Site<'a>) -> Result<(), String> {
        let GroupByExpr::Expressions(list, modifiers) = group_by else { return Err("GROUP BY ALL".into()) };
        if !modifiers.is_empty() {
            return Err("GROUP BY … WITH".into());
        }
        if list.is_empty() {
            return Ok(());
        }
        let mut columns = Vec::with_capacity(list.len());
        for expr in list {
            self.expr(expr, site)?;
            // An input column is meant before an output's name; a number is an output's.
            let column = match self.plain_column(expr, site)? {
                Some(column) => Some(column),
                None if self.is_input(expr, site)? => None,
                None => self.output_column(expr, items, site)?,
            };
            columns.push(column);
        }
        self.model.blocks[site.block].group_by = Some(columns);
        Ok(())
    }

    fn distinct(
        &mut self,
        distinct: &'a Distinct,
        items: &'a [SelectItem],
        shown: &[Shown<'a>],
        site: Site<'a>,
    ) -> Result<(), String> {
        let columns = match distinct {
            Distinct::All => return Ok(()),
            Distinct::Distinct => shown.iter().map(|(_, column)| *column).collect(),
            Distinct::On(list) => {
                let mut columns = Vec::with_capacity(list.len());
                for expr in list {
                    self.expr(expr, site)?;
                    columns.push(match self.named_output(expr, shown)? {
                        // An output's name is meant before an input column.
                        Some(column) => column,
                        None => match expr {
                            Expr::Value(_) => self.output_column(expr, items, site)?,
                            _ => self.plain_column(expr, site)?,
                        },
                    });
                }
                columns
            }
        };
        self.model.blocks[site.block].distinct = Some(columns);
        Ok(())
    }

    /// Whether an expression is a bare name that the scope itself may know.
    fn is_input(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<bool, String> {
        let Expr::Identifier(ident) = expr else { return Ok(false) };
        let name = fold(ident)?;
        Ok(!matches!(self.in_scope(site.scope, &name), super::scope::Lookup::Absent))
    }

    /// What an output's name stands for, if an expression is one: a plain column if all outputs of the name are it.
    fn named_output(&self, expr: &'a Expr, shown: &[Shown<'a>]) -> Result<Option<Option<ColumnRef>>, String> {
        let Expr::Identifier(ident) = expr else { return Ok(None) };
        let name = fold(ident)?;
        let mut named = shown.iter().filter(|(shown, _)| *shown == name).map(|(_, column)| *column);
        let Some(first) = named.next() else { return Ok(None) };
        Ok(Some(first.filter(|first| named.all(|other| other == Some(*first)))))
    }

    /// The plain column behind an output, meant by its alias or by its number.
    fn output_column(
        &mut self,
        expr: &'a Expr,
        items: &'a [SelectItem],
        site: Site<'a>,
    ) -> Result<Option<ColumnRef>, String> {
        match expr {
            Expr::Value(value) => {
                let Value::Number(number, _) = &value.value else { return Ok(None) };
                let block = &self.model.blocks[site.block];
                let index = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                Ok(index.and_then(|index| block.outputs.get(index).copied().flatten()))
            }
            Expr::Identifier(ident) => {
                let name = fold(ident)?;
                let mut found = None;
                for item in items {
                    let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
                    if fold(alias)? == name {
                        if found.is_some() {
                            return Ok(None);
                        }
                        found = Some(expr);
                    }
                }
                found.map_or(Ok(None), |expr| self.plain_column(expr, site))
            }
            _ => Ok(None),
        }
    }
}

/// Whether a condition on an output of the block may be moved down to the column it shows: not past LIMIT, nor past a
/// grouping, DISTINCT ON or window that does not keep rows of different values of the column apart.
fn passes(block: &Block, column: ColumnRef) -> bool {
    let grouped = block.aggregate || block.having || block.group_by.is_some();
    let contains = |list: &Vec<Option<ColumnRef>>| list.contains(&Some(column));
    !block.limit
        && (!grouped || block.group_by.as_ref().is_some_and(contains))
        && block.distinct.as_ref().is_none_or(contains)
        && block.windows.iter().all(contains)
}

/// Takes the column away from what is shown where it may not be looked through.
fn hide(columns: &mut [Shown<'_>], keep: impl Fn(ColumnRef) -> bool) {
    for (_, column) in columns {
        *column = column.filter(|column| keep(*column));
    }
}

/// Gives the first columns other names.
pub(super) fn rename(columns: &mut [Shown<'_>], names: &[String]) {
    for (column, name) in columns.iter_mut().zip(names) {
        column.0 = Cow::Owned(name.clone());
    }
}

/// The name PostgreSQL gives to an output without alias, as far as anyone can refer to it.
fn output_name<'a>(expr: &Expr) -> Result<Cow<'a, str>, String> {
    Ok(match expr {
        Expr::Identifier(ident) => Cow::Owned(fold(ident)?),
        Expr::CompoundIdentifier(idents) => match idents.last() {
            Some(ident) => Cow::Owned(fold(ident)?),
            None => Cow::Borrowed("?column?"),
        },
        Expr::Function(function) => match parts(&function.name)?.pop() {
            Some(name) => Cow::Owned(name),
            None => Cow::Borrowed("?column?"),
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::Collate { expr, .. } => output_name(expr)?,
        // Other names PostgreSQL makes up (case, exists, …) are never key columns: a wrong one only hides nothing.
        _ => Cow::Borrowed("?column?"),
    })
}

fn plain_select(select: &Select) -> Result<(), String> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if into.is_some() {
        return Err("SELECT INTO".into());
    }
    let foreign = select_modifiers.is_some()
        || top.is_some()
        || exclude.is_some()
        || !lateral_views.is_empty()
        || prewhere.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || qualify.is_some()
        || value_table_mode.is_some()
        || *flavor != SelectFlavor::Standard;
    if foreign { Err("a SELECT of another dialect".into()) } else { Ok(()) }
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<(), String> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if plain { Ok(()) } else { Err("a wildcard of another dialect".into()) }
}
