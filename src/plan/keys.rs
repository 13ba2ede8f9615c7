//! What a statement says of the keys of each of its relations.
//!
//! Conditions are folded column by column. Columns that are equal in every row that counts form a class, and what is known
//! of one is known of all. Where equality holds in one direction only (a nullable side, a subquery that names a column from
//! outside) what is known flows that way and not back.

use std::borrow::Cow;

use super::World;
use super::keyset::{ColumnSet, KeySet};
use super::place::Sharded;
use crate::map::{Conversion, KeyColumn, KeyType, KeyValue, RangeOp, Source, convert, convert_array};
use crate::sql::analysis::{ColumnRef, CompareOp, Cond, LiteralKind, Model, Operand, Values};
use crate::sql::schema::Column;

/// The values of a statement and the types they are compared with.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub model: &'a Model,
    pub values: &'a Values<'a>,
    pub world: &'a World<'a>,
}

impl<'a> Lookup<'a> {
    /// A column of one of the statement's relations.
    pub fn column(&self, column: ColumnRef) -> Option<&'a Column> {
        let relation = self.model.relations.get(column.relation)?;
        self.world.schema.relation(&relation.schema, &relation.name)?.columns.get(column.column)
    }

    /// What a value is for a column.
    pub fn convert(&self, operand: &Operand, key_type: KeyType) -> Conversion {
        self.with_source(operand, |source, cast| convert(source, key_type, cast)).unwrap_or(Conversion::Opaque)
    }

    fn convert_array(&self, operand: &Operand, key_type: KeyType) -> Option<Vec<Conversion>> {
        if *operand == Operand::Null {
            return Some(vec![Conversion::Null]);
        }
        self.with_source(operand, |source, cast| convert_array(source, key_type, cast))?
    }

    fn with_source<T: FromNull>(
        &self,
        operand: &Operand,
        convert: impl FnOnce(Source<'_>, Option<&str>) -> T,
    ) -> Option<T> {
        let (inner, cast) = match operand {
            Operand::Cast(inner, name) => (inner.as_ref(), Some(name.as_str())),
            operand => (operand, None),
        };
        match inner {
            Operand::Null => Some(T::null()),
            Operand::Literal(index) => self.with_literal(*index, false, |source| convert(source, cast)),
            Operand::Negated(index) => self.with_literal(*index, true, |source| convert(source, cast)),
            Operand::Param(number) => {
                let param = self.values.params?.param(*number as usize)?;
                let type_oid = self.declared(*number);
                if type_oid == 0 && self.model.uncertain_params.contains(number) {
                    return None;
                }
                let source =
                    Source::Param { value: param.value, binary: param.binary, type_oid, utf8: self.values.utf8 };
                Some(convert(source, cast))
            }
            // A cast of a cast might change the value on its way.
            Operand::Cast(..) | Operand::Opaque => None,
        }
    }

    /// The type that Parse declared for a parameter; 0 for none.
    fn declared(&self, number: u32) -> u32 {
        let at = (number as usize - 1) * 4;
        let bytes = self.values.param_types.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    fn with_literal<T>(&self, index: u32, negative: bool, convert: impl FnOnce(Source<'_>) -> T) -> Option<T> {
        let literal = self.values.literals.get(index as usize)?;
        let text = self.values.text.get(literal.span.start as usize..literal.span.end as usize)?;
        match literal.kind {
            LiteralKind::Integer => Some(convert(Source::Integer { digits: text, negative })),
            _ if negative => None,
            kind => {
                let text = string_value(text, kind)?;
                (self.values.utf8 || text.is_ascii()).then(|| convert(Source::String(&text)))
            }
        }
    }
}

/// What NULL becomes.
trait FromNull {
    fn null() -> Self;
}

impl FromNull for Conversion {
    fn null() -> Conversion {
        Conversion::Null
    }
}

impl FromNull for Option<Vec<Conversion>> {
    fn null() -> Option<Vec<Conversion>> {
        Some(vec![Conversion::Null])
    }
}

/// The text that a string literal stands for; `None` where it takes more than undoubling quotes to know.
fn string_value(literal: &str, kind: LiteralKind) -> Option<Cow<'_, str>> {
    let quoted = match kind {
        LiteralKind::String => literal.strip_prefix('\'')?.strip_suffix('\'')?,
        LiteralKind::EscapeString => {
            let inner = literal.get(1..)?.strip_prefix('\'')?.strip_suffix('\'')?;
            if inner.contains('\\') {
                return None;
            }
            inner
        }
        LiteralKind::DollarString => {
            let tag = literal[1..].find('$')? + 2;
            return Some(Cow::Borrowed(literal.get(tag..literal.len().checked_sub(tag)?)?));
        }
        LiteralKind::Integer
        | LiteralKind::Number
        | LiteralKind::BitString
        | LiteralKind::UnicodeString
        | LiteralKind::NationalString => return None,
    };
    // Strings continued on the next line are several quoted parts.
    let undoubled = quoted.replace("''", "");
    if undoubled.contains('\'') {
        return None;
    }
    Some(if quoted.contains('\'') { Cow::Owned(quoted.replace("''", "'")) } else { Cow::Borrowed(quoted) })
}

/// The type of a column as far as its values can be compared with keys.
pub(super) fn key_type(column: &Column) -> Option<KeyType> {
    let facts = KeyColumn {
        type_oid: column.type_oid,
        typmod: column.typmod,
        deterministic: column.deterministic,
        // Neither matters to a comparison.
        not_null: true,
        generated: false,
    };
    KeyType::from_pg(facts).ok()
}

/// The set of values of a column that a condition leaves, if the condition is true.
fn fold(cond: &Cond, column: ColumnRef, key_type: KeyType, ordered: bool, lookup: Lookup<'_>) -> ColumnSet {
    match cond {
        Cond::And(conds) => conds
            .iter()
            .fold(ColumnSet::Everything, |set, cond| set.intersect(fold(cond, column, key_type, ordered, lookup))),
        Cond::Or(conds) => {
            let mut sets = conds.iter().map(|cond| fold(cond, column, key_type, ordered, lookup));
            let first = sets.next().unwrap_or(ColumnSet::Everything);
            sets.fold(first, ColumnSet::unite)
        }
        // True for no row of the relation, whichever of its columns it is about. (Rows of others may count: the condition may
        // stand in the nullable side of a join.)
        Cond::Compare { column: of, value: Operand::Null, .. } if of.relation == column.relation => ColumnSet::NOTHING,
        Cond::Compare { column: of, op, value } if *of == column => {
            compared(*op, lookup.convert(value, key_type), ordered)
        }
        Cond::In { column: of, values } if *of == column => {
            any_of(values.iter().map(|value| lookup.convert(value, key_type)))
        }
        Cond::AnyArray { column: of, array } if *of == column => {
            lookup.convert_array(array, key_type).map_or(ColumnSet::Everything, |values| any_of(values.into_iter()))
        }
        Cond::RowIn { columns, rows } => match columns.iter().position(|of| *of == column) {
            Some(at) => any_of(rows.iter().map(|row| lookup.convert(&row[at], key_type))),
            None => ColumnSet::Everything,
        },
        Cond::Compare { .. } | Cond::In { .. } | Cond::AnyArray { .. } | Cond::Same(..) | Cond::Unknown => {
            ColumnSet::Everything
        }
    }
}

fn compared(op: CompareOp, value: Conversion, ordered: bool) -> ColumnSet {
    let op = match (op, &value) {
        (_, Conversion::Null) => return ColumnSet::NOTHING,
        (CompareOp::Eq, _) => return any_of(std::iter::once(value)),
        (CompareOp::Lt, _) => RangeOp::Lt,
        (CompareOp::Le, _) => RangeOp::Le,
        (CompareOp::Gt, _) => RangeOp::Gt,
        (CompareOp::Ge, _) => RangeOp::Ge,
    };
    match value {
        Conversion::Value(value) if ordered => ColumnSet::of_comparison(op, &value),
        _ => ColumnSet::Everything,
    }
}

/// Equality with one of these.
fn any_of(values: impl Iterator<Item = Conversion>) -> ColumnSet {
    let mut found = Vec::with_capacity(values.size_hint().0);
    for value in values {
        match value {
            Conversion::Value(value) => found.push(value),
            Conversion::Null | Conversion::Never => {}
            Conversion::Opaque => return ColumnSet::Everything,
        }
    }
    ColumnSet::Values(found)
}

/// Whether the order of a column's values is that of their positions.
fn ordered(column: &Column, key_type: KeyType) -> bool {
    !matches!(key_type, KeyType::Text { .. }) || column.byte_order
}

/// Columns that are equal wherever they count, by class, and what is known of each class.
pub(super) struct Keys<'a> {
    lookup: Lookup<'a>,
    columns: Vec<ColumnRef>,
    /// The class of each column of `columns`: an index into it.
    parents: Vec<usize>,
    /// What is known of each class, at its root.
    sets: Vec<ColumnSet>,
    /// Equalities that hold for the second column only.
    flows: Vec<(ColumnRef, ColumnRef)>,
}

impl<'a> Keys<'a> {
    /// Folds all conditions of a statement. `wanted` are the columns that must be known of beside those that are compared
    /// with others.
    pub fn new(lookup: Lookup<'a>, wanted: impl Iterator<Item = ColumnRef>) -> Keys<'a> {
        let mut keys = Keys { lookup, columns: Vec::new(), parents: Vec::new(), sets: Vec::new(), flows: Vec::new() };
        for column in wanted {
            keys.intern(column);
        }
        keys.equalities();
        keys.fold_all();
        keys.flow();
        keys
    }

    fn intern(&mut self, column: ColumnRef) -> usize {
        match self.columns.iter().position(|known| *known == column) {
            Some(at) => at,
            None => {
                self.columns.push(column);
                self.parents.push(self.columns.len() - 1);
                self.sets.push(ColumnSet::Everything);
                self.columns.len() - 1
            }
        }
    }

    fn root(&self, mut at: usize) -> usize {
        while self.parents[at] != at {
            at = self.parents[at];
        }
        at
    }

    fn unite(&mut self, a: ColumnRef, b: ColumnRef) {
        let (a, b) = (self.intern(a), self.intern(b));
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a] = b;
    }

    fn equalities(&mut self) {
        let model = self.lookup.model;
        for (block, conds) in model.blocks.iter().enumerate() {
            for cond in &conds.conds {
                let Some((a, b)) = self.comparable(cond) else { continue };
                match (constrains(model, block, a.relation), constrains(model, block, b.relation)) {
                    (true, true) => self.unite(a, b),
                    (false, true) => self.flows.push((a, b)),
                    (true, false) => self.flows.push((b, a)),
                    (false, false) => {}
                }
            }
            for (side, cond) in &conds.outer_conds {
                let Some((a, b)) = self.comparable(cond) else { continue };
                match (side.contains(&a.relation), side.contains(&b.relation)) {
                    (true, true) => self.unite(a, b),
                    (false, true) => self.flows.push((a, b)),
                    (true, false) => self.flows.push((b, a)),
                    (false, false) => {}
                }
            }
        }
        for at in 0..self.flows.len() {
            let (from, to) = self.flows[at];
            self.intern(from);
            self.intern(to);
        }
    }

    /// The two columns of an equality that means bit for bit the same value.
    fn comparable(&self, cond: &Cond) -> Option<(ColumnRef, ColumnRef)> {
        let Cond::Same(a, b) = cond else { return None };
        let types = (key_type(self.lookup.column(*a)?)?, key_type(self.lookup.column(*b)?)?);
        types.0.widest(types.1).map(|_| (*a, *b))
    }

    fn fold_all(&mut self) {
        let lookup = self.lookup;
        for at in 0..self.columns.len() {
            let column = self.columns[at];
            let Some(found) = lookup.column(column) else { continue };
            let Some(key_type) = key_type(found) else { continue };
            let ordered = ordered(found, key_type);
            let mut set = ColumnSet::Everything;
            for (block, conds) in lookup.model.blocks.iter().enumerate() {
                if constrains(lookup.model, block, column.relation) {
                    for cond in &conds.conds {
                        set = set.intersect(fold(cond, column, key_type, ordered, lookup));
                    }
                }
                for (side, cond) in &conds.outer_conds {
                    if side.contains(&column.relation) {
                        set = set.intersect(fold(cond, column, key_type, ordered, lookup));
                    }
                }
            }
            self.narrow(at, set);
        }
    }

    fn narrow(&mut self, at: usize, set: ColumnSet) {
        let root = self.root(at);
        let known = std::mem::replace(&mut self.sets[root], ColumnSet::Everything);
        self.sets[root] = known.intersect(set);
    }

    fn flow(&mut self) {
        // A value can pass through each flow once; more rounds change nothing.
        for _ in 0..self.flows.len().min(100) {
            for at in 0..self.flows.len() {
                let (from, to) = self.flows[at];
                let set = self.set(from).clone();
                if set != ColumnSet::Everything {
                    let to = self.intern(to);
                    self.narrow(to, set);
                }
            }
        }
    }

    /// What is known of a column.
    pub fn set(&self, column: ColumnRef) -> &ColumnSet {
        match self.class(column) {
            Some(class) => &self.sets[class],
            None => &ColumnSet::Everything,
        }
    }

    /// The class of a column that is compared with others, or that was wanted.
    pub fn class(&self, column: ColumnRef) -> Option<usize> {
        self.columns.iter().position(|known| *known == column).map(|at| self.root(at))
    }

    /// Equalities that hold for the second column only.
    pub fn flows(&self) -> &[(ColumnRef, ColumnRef)] {
        &self.flows
    }

    /// Where the rows of a relation that count can be.
    pub fn key_set(&self, relation: usize, sharded: &Sharded<'_>) -> KeySet {
        let columns: Vec<ColumnRef> = sharded.key_columns().map(|column| ColumnRef { relation, column }).collect();
        let sets: Vec<ColumnSet> = columns.iter().map(|column| self.set(*column).clone()).collect();
        let tuples = if columns.len() > 1 { self.tuples(&columns, sharded) } else { None };
        KeySet::of_columns(&sets, tuples, sharded.distribution)
    }

    /// The whole keys of a row comparison over all key columns.
    fn tuples(&self, columns: &[ColumnRef], sharded: &Sharded<'_>) -> Option<Vec<Vec<KeyValue>>> {
        let types: Vec<KeyType> = sharded.key_types().map(key_type).collect::<Option<_>>()?;
        let model = self.lookup.model;
        let relation = columns.first()?.relation;
        let mut conds = model.blocks.iter().enumerate().flat_map(|(block, conds)| {
            let inner = conds.conds.iter().filter(move |_| constrains(model, block, relation));
            let outer = conds.outer_conds.iter().filter(|(side, _)| side.contains(&relation)).map(|(_, cond)| cond);
            inner.chain(outer)
        });
        conds.find_map(|cond| {
            let Cond::RowIn { columns: of, rows } = cond else { return None };
            let at: Vec<usize> =
                columns.iter().map(|column| of.iter().position(|of| of == column)).collect::<Option<_>>()?;
            let mut keys = Vec::with_capacity(rows.len());
            for row in rows {
                let values: Vec<Conversion> =
                    at.iter().zip(&types).map(|(at, key_type)| self.lookup.convert(&row[*at], *key_type)).collect();
                if values.contains(&Conversion::Opaque) {
                    return None;
                }
                // A row with a NULL, or a value no column can have, is never equal.
                let key = values.into_iter().map(|value| match value {
                    Conversion::Value(value) => Some(value),
                    _ => None,
                });
                keys.extend(key.collect::<Option<Vec<_>>>());
            }
            Some(keys)
        })
    }
}

/// Whether the conditions of a block constrain a relation: one of its own, or of a query in its FROM. (Columns of other
/// blocks below are never named in it.)
fn constrains(model: &Model, block: usize, relation: usize) -> bool {
    within(model, model.relations[relation].block, block)
}

/// Whether a block is another one or stands in it.
pub(super) fn within(model: &Model, block: usize, around: usize) -> bool {
    let mut at = Some(block);
    while let Some(block) = at {
        if block == around {
            return true;
        }
        at = model.blocks[block].parent;
    }
    false
}
