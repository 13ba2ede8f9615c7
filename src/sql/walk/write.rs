//! INSERT, UPDATE and DELETE.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, OnConflictAction, OnInsert, Query,
    SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::cond::is_default;
use super::names::{bare, fold, idents};
use super::scope::{Item, Shown, Tree};
use super::{Site, Walker};
use crate::sql::analysis::{ColumnRef, Insert, Place};

/// The target of a write: its relation and its columns by name.
struct Target<'a> {
    relation: usize,
    columns: Vec<Shown<'a>>,
}

impl<'a> Walker<'a> {
    /// `WITH … INSERT/UPDATE/DELETE`.
    pub(super) fn write_with_ctes(&mut self, query: &'a Query, write: &'a Statement) -> Result<(), String> {
        let Query {
            with,
            body: _,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let foreign = order_by.is_some()
            || limit_clause.is_some()
            || fetch.is_some()
            || !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        if foreign {
            return Err("a write with a clause of a query".into());
        }
        let scope = self.new_scope(None);
        let first = self.ctes.len();
        let ctes = match with {
            Some(with) => self.with(with, scope, None)?,
            None => None,
        };
        let last = self.ctes.len();
        match write {
            Statement::Insert(insert) => self.insert(insert, ctes)?,
            Statement::Update(update) => self.update(update, ctes)?,
            Statement::Delete(delete) => self.delete(delete, ctes)?,
            _ => return Err("statements of this kind are not read for routing".into()),
        }
        for index in first..last {
            if !self.ctes[index].used {
                self.expand(index, 0, Place::Expression)?;
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, insert: &'a sqlparser::ast::Insert, ctes: Option<usize>) -> Result<(), String> {
        plain_insert(insert)?;
        let TableObject::TableName(name) = &insert.table else { return Err("an INSERT into no table".into()) };
        let block = self.new_block(None, Place::Top)?;
        let scope = self.new_scope(None);
        let site = Site { scope, block, ctes, windows: &[] };
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let target = self.target(&idents(name)?, alias, block)?;
        let mut model = Insert::empty(self.model.relations[target.relation].span.end);
        if !insert.columns.is_empty() {
            let names = insert.columns.iter().map(bare).collect::<Result<Vec<_>, _>>()?;
            let columns = names.iter().map(|name| self.target_column(&target, name)).collect::<Result<_, _>>()?;
            model.columns = Some(columns);
        }
        match &insert.source {
            None => model.default_values = true,
            Some(source) => self.insert_source(source, &target, &mut model, site)?,
        }
        self.show_target(&target, site);
        if let Some(on) = &insert.on {
            self.on_conflict(on, &target, &mut model, site)?;
        }
        self.returning(insert.returning.as_deref(), &target, site)?;
        self.model.insert = Some(model);
        Ok(())
    }

    fn insert_source(
        &mut self,
        source: &'a Query,
        target: &Target<'a>,
        model: &mut Insert,
        site: Site<'a>,
    ) -> Result<(), String> {
        let plain = source.with.is_none()
            && source.order_by.is_none()
            && source.limit_clause.is_none()
            && source.fetch.is_none()
            && source.locks.is_empty();
        let SetExpr::Values(values) = source.body.as_ref() else {
            let scope = self.new_scope(None);
            let output = self.query(source, scope, site.ctes, Some(site.block), Place::Derived)?;
            model.source = Some(output.block);
            return Ok(());
        };
        if !plain {
            return Err("VALUES with a clause of a query".into());
        }
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let mut operands = Vec::with_capacity(row.content.len());
            for (index, value) in row.content.iter().enumerate() {
                if is_default(value) {
                    operands.push(None);
                    continue;
                }
                self.expr(value, site)?;
                let column = match &model.columns {
                    Some(columns) => columns.get(index).copied(),
                    None => (index < target.columns.len()).then_some(index),
                };
                let column = column.map(|column| ColumnRef { relation: target.relation, column });
                operands.push(Some(self.met(value, column)));
            }
            rows.push(operands);
        }
        model.rows = Some(rows);
        Ok(())
    }

    fn on_conflict(
        &mut self,
        on: &'a OnInsert,
        target: &Target<'a>,
        model: &mut Insert,
        site: Site<'a>,
    ) -> Result<(), String> {
        let OnInsert::OnConflict(on) = on else { return Err("ON DUPLICATE KEY".into()) };
        let arbiter: Option<Vec<usize>> = match &on.conflict_target {
            Some(ConflictTarget::Columns(columns)) => {
                let names = columns.iter().map(fold).collect::<Result<Vec<_>, _>>()?;
                Some(names.iter().map(|name| self.target_column(target, name)).collect::<Result<_, _>>()?)
            }
            Some(ConflictTarget::OnConstraint(_)) | None => None,
        };
        let update = match &on.action {
            OnConflictAction::DoNothing => false,
            OnConflictAction::DoUpdate(update) => {
                let columns = target.columns.iter().map(|(name, _)| (name.clone(), None)).collect();
                let excluded = Item { name: "excluded".into(), schema: None, columns, open: target.columns.is_empty() };
                // Unqualified names mean the target's columns: `excluded` is only ever named.
                self.scopes[site.scope].items.push(excluded);
                for assignment in &update.assignments {
                    if !keeps_key(assignment, target, arbiter.as_deref())? {
                        self.assigned(assignment, target)?;
                    }
                    self.expr(&assignment.value, site)?;
                }
                self.optional(update.selection.as_ref(), site)?;
                true
            }
        };
        model.on_conflict = Some((arbiter, update));
        Ok(())
    }

    pub(super) fn update(&mut self, update: &'a Update, ctes: Option<usize>) -> Result<(), String> {
        let Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        if output.is_some() || or.is_some() || !order_by.is_empty() || limit.is_some() {
            return Err("an UPDATE of another dialect".into());
        }
        let from: &'a [TableWithJoins] = match from {
            None => &[],
            Some(UpdateTableFromKind::AfterSet(from)) => from,
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err("an UPDATE of another dialect".into()),
        };
        let (target, site) = self.written_table(table, ctes)?;
        self.target_with_from(from, &target, site)?;
        for assignment in assignments {
            self.assigned(assignment, &target)?;
            if !is_default(&assignment.value) {
                self.expr(&assignment.value, site)?;
            }
        }
        if let Some(selection) = selection {
            self.conjuncts(selection, site)?;
        }
        self.returning(returning.as_deref(), &target, site)
    }

    pub(super) fn delete(&mut self, delete: &'a Delete, ctes: Option<usize>) -> Result<(), String> {
        let Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        if !tables.is_empty() || output.is_some() || !order_by.is_empty() || limit.is_some() {
            return Err("a DELETE of another dialect".into());
        }
        let FromTable::WithFromKeyword(from) = from else { return Err("DELETE without FROM".into()) };
        let [table] = from.as_slice() else { return Err("DELETE from several tables".into()) };
        let (target, site) = self.written_table(table, ctes)?;
        self.target_with_from(using.as_deref().unwrap_or_default(), &target, site)?;
        if let Some(selection) = selection {
            self.conjuncts(selection, site)?;
        }
        self.returning(returning.as_deref(), &target, site)
    }

    fn written_table(
        &mut self,
        table: &'a TableWithJoins,
        ctes: Option<usize>,
    ) -> Result<(Target<'a>, Site<'a>), String> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = &table.relation
        else {
            return Err("a write to no plain table".into());
        };
        if !table.joins.is_empty() || !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return Err("a write to no plain table".into());
        }
        let alias = match alias {
            Some(alias) if !alias.columns.is_empty() || alias.at.is_some() => {
                return Err("a write to a table with other column names".into());
            }
            alias => alias.as_ref().map(|alias| &alias.name),
        };
        let block = self.new_block(None, Place::Top)?;
        let scope = self.new_scope(None);
        let target = self.target(&idents(name)?, alias, block)?;
        Ok((target, Site { scope, block, ctes, windows: &[] }))
    }

    fn target(
        &mut self,
        idents: &[&'a sqlparser::ast::Ident],
        alias: Option<&'a sqlparser::ast::Ident>,
        block: usize,
    ) -> Result<Target<'a>, String> {
        let (relation, columns, _) = self.relation(idents, alias, block)?;
        self.model.target = Some(relation);
        Ok(Target { relation, columns })
    }

    /// Makes the target visible together with the tables of FROM or USING.
    fn target_with_from(
        &mut self,
        from: &'a [TableWithJoins],
        target: &Target<'a>,
        site: Site<'a>,
    ) -> Result<(), String> {
        let own = self.add_target(target, site);
        let Tree { columns, open, .. } = self.list_in_from(from, site)?;
        let mut visible = own.columns;
        visible.extend(columns);
        self.scopes[site.scope].visible = Some((visible, open || own.open));
        Ok(())
    }

    fn add_target(&mut self, target: &Target<'a>, site: Site<'a>) -> Tree<'a> {
        let relation = &self.model.relations[target.relation];
        let name = relation.alias.clone().unwrap_or_else(|| relation.name.clone());
        let schema = Some(relation.schema.clone());
        let open = target.columns.is_empty();
        self.add_item(site, name, schema, target.columns.clone(), open, vec![target.relation])
    }

    fn show_target(&mut self, target: &Target<'a>, site: Site<'a>) {
        let own = self.add_target(target, site);
        self.scopes[site.scope].visible = Some((own.columns, own.open));
    }

    fn returning(
        &mut self,
        items: Option<&'a [SelectItem]>,
        target: &Target<'a>,
        site: Site<'a>,
    ) -> Result<(), String> {
        let Some(items) = items else { return Ok(()) };
        self.model.returning = true;
        let visible = self.scopes[site.scope].visible.clone();
        let (columns, open) = visible.unwrap_or_else(|| (target.columns.clone(), false));
        let tree = Tree { columns, open, relations: Vec::new() };
        self.projection(items, &tree, site)?;
        Ok(())
    }

    fn assigned(&mut self, assignment: &'a Assignment, target: &Target<'a>) -> Result<(), String> {
        let names = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![bare(name)?],
            AssignmentTarget::Tuple(names) => names.iter().map(bare).collect::<Result<_, _>>()?,
        };
        for name in names {
            let column = self.target_column(target, &name)?;
            if !self.model.assigned.contains(&column) {
                self.model.assigned.push(column);
            }
        }
        Ok(())
    }

    fn target_column(&self, target: &Target<'a>, name: &str) -> Result<usize, String> {
        let relation = &self.model.relations[target.relation].name;
        target
            .columns
            .iter()
            .position(|(column, _)| column == name)
            .ok_or_else(|| format!("column {name} of table {relation} is not known"))
    }
}

/// Whether an assignment of DO UPDATE leaves a column of the arbiter as it is: `col = EXCLUDED.col`.
fn keeps_key(assignment: &Assignment, target: &Target<'_>, arbiter: Option<&[usize]>) -> Result<bool, String> {
    let AssignmentTarget::ColumnName(name) = &assignment.target else { return Ok(false) };
    let name = bare(name)?;
    let Expr::CompoundIdentifier(idents) = &assignment.value else { return Ok(false) };
    let [table, column] = idents.as_slice() else { return Ok(false) };
    let in_arbiter = arbiter.is_some_and(|arbiter| {
        arbiter.iter().any(|column| target.columns.get(*column).is_some_and(|(shown, _)| *shown == name))
    });
    Ok(in_arbiter && fold(table)? == "excluded" && fold(column)? == name)
}

fn plain_insert(insert: &sqlparser::ast::Insert) -> Result<(), String> {
    let sqlparser::ast::Insert {
        insert_token: _,
        optimizer_hints: _,
        or,
        ignore,
        into,
        table: _,
        table_alias: _,
        columns: _,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword,
        on: _,
        returning: _,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    let foreign = or.is_some()
        || *ignore
        || !*into
        || *overwrite
        || !assignments.is_empty()
        || partitioned.is_some()
        || !after_columns.is_empty()
        || *has_table_keyword
        || output.is_some()
        || *replace_into
        || priority.is_some()
        || insert_alias.is_some()
        || settings.is_some()
        || format_clause.is_some()
        || multi_table_insert_type.is_some()
        || !multi_table_into_clauses.is_empty()
        || !multi_table_when_clauses.is_empty()
        || multi_table_else_clause.is_some();
    if foreign { Err("an INSERT of another dialect".into()) } else { Ok(()) }
}
