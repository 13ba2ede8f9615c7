//! Conditions as far as keys are concerned.

use sqlparser::ast::{ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, Expr};

use super::from::flatten;
use super::names::parts;
use super::{Site, Walker};
use crate::sql::analysis::{ColumnRef, CompareOp, Cond, Operand};

impl<'a> Walker<'a> {
    /// WHERE: its conjuncts go to the block.
    pub(super) fn conjuncts(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<(), String> {
        let cond = self.condition(expr, site)?;
        let mut conds = std::mem::take(&mut self.model.blocks[site.block].conds);
        flatten(cond, &mut conds);
        // A subquery of the condition may have added some while the list was taken.
        let added = std::mem::replace(&mut self.model.blocks[site.block].conds, conds);
        self.model.blocks[site.block].conds.extend(added);
        Ok(())
    }

    /// A condition that must be true (not merely not false) for a row to count. Everything in it is walked, too.
    pub(super) fn condition(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<Cond, String> {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.condition_inner(expr, site))
    }

    fn condition_inner(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<Cond, String> {
        match expr {
            Expr::Nested(inner) => self.condition(inner, site),
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
                let mut conds = Vec::new();
                for part in chain(expr, op) {
                    let cond = self.condition(part, site)?;
                    match (op, cond) {
                        (BinaryOperator::And, cond) => flatten(cond, &mut conds),
                        (_, Cond::Or(inner)) => conds.extend(inner),
                        (_, cond) => conds.push(cond),
                    }
                }
                Ok(match op {
                    BinaryOperator::And if conds.is_empty() => Cond::Unknown,
                    BinaryOperator::And => Cond::And(conds),
                    _ if conds.contains(&Cond::Unknown) => Cond::Unknown,
                    _ => Cond::Or(conds),
                })
            }
            Expr::BinaryOp { left, op, right } => {
                self.expr(expr, site)?;
                match compare_op(op) {
                    Some(op) => self.compare(left, op, right, site),
                    None => Ok(Cond::Unknown),
                }
            }
            Expr::Between { expr: column, negated: false, low, high } => {
                self.expr(expr, site)?;
                let from = self.compare(column, CompareOp::Ge, low, site)?;
                let to = self.compare(column, CompareOp::Le, high, site)?;
                Ok(both(from, to))
            }
            Expr::InList { expr: left, list, negated: false } => {
                self.expr(expr, site)?;
                self.in_list(left, list, site)
            }
            Expr::InSubquery { expr: left, subquery, negated: false } => {
                self.note_operator("=");
                self.expr(left, site)?;
                let output = self.subquery(subquery, site)?;
                let left = self.plain_column(left, site)?;
                // Rows of the subquery with another value never make this true.
                if let (Some(left), [(_, Some(right))], false) = (left, output.columns.as_slice(), output.open) {
                    self.model.blocks[output.block].conds.push(Cond::Same(left, *right));
                }
                Ok(Cond::Unknown)
            }
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, is_some: _ } => {
                self.expr(expr, site)?;
                self.any(left, right, site)
            }
            other => {
                self.expr(other, site)?;
                Ok(Cond::Unknown)
            }
        }
    }

    fn compare(&mut self, left: &'a Expr, op: CompareOp, right: &'a Expr, site: Site<'a>) -> Result<Cond, String> {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (unnest(left), unnest(right)) {
            if op != CompareOp::Eq || left.len() != right.len() {
                return Ok(Cond::Unknown);
            }
            let mut conds = Vec::new();
            for (left, right) in left.iter().zip(right) {
                flatten(self.compare(left, op, right, site)?, &mut conds);
            }
            return Ok(if conds.is_empty() { Cond::Unknown } else { Cond::And(conds) });
        }
        let (a, b) = (self.plain_column(left, site)?, self.plain_column(right, site)?);
        Ok(match (a, b) {
            (Some(a), Some(b)) if op == CompareOp::Eq => Cond::Same(a, b),
            (Some(column), None) => self.compared(column, op, right),
            (None, Some(column)) => self.compared(column, flip(op), left),
            _ => Cond::Unknown,
        })
    }

    fn compared(&mut self, column: ColumnRef, op: CompareOp, value: &'a Expr) -> Cond {
        match self.met(value, Some(column)) {
            Operand::Opaque => Cond::Unknown,
            value => Cond::Compare { column, op, value },
        }
    }

    fn in_list(&mut self, left: &'a Expr, list: &'a [Expr], site: Site<'a>) -> Result<Cond, String> {
        if let Expr::Tuple(columns) = unnest(left) {
            let mut found = Vec::with_capacity(columns.len());
            for column in columns {
                match self.plain_column(column, site)? {
                    Some(column) => found.push(column),
                    None => return Ok(Cond::Unknown),
                }
            }
            let mut rows = Vec::with_capacity(list.len());
            for row in list {
                let Expr::Tuple(row) = unnest(row) else { return Ok(Cond::Unknown) };
                if row.len() != found.len() {
                    return Ok(Cond::Unknown);
                }
                let values = row.iter().zip(&found).map(|(value, column)| self.met(value, Some(*column)));
                rows.push(values.collect());
            }
            return Ok(Cond::RowIn { columns: found, rows });
        }
        let Some(column) = self.plain_column(left, site)? else { return Ok(Cond::Unknown) };
        let values = list.iter().map(|value| self.met(value, Some(column))).collect();
        Ok(Cond::In { column, values })
    }

    /// `left = ANY(right)`.
    fn any(&mut self, left: &'a Expr, right: &'a Expr, site: Site<'a>) -> Result<Cond, String> {
        let Some(column) = self.plain_column(left, site)? else { return Ok(Cond::Unknown) };
        let right = unnest(right);
        if let Expr::Array(array) = right {
            let values = array.elem.iter().map(|value| self.met(value, Some(column))).collect();
            return Ok(Cond::In { column, values });
        }
        Ok(match self.operand(right) {
            Operand::Opaque => Cond::Unknown,
            array => Cond::AnyArray { column, array },
        })
    }

    /// The value of an expression that meets a column: if it is a parameter, its type may be inferred from there.
    pub(super) fn met(&mut self, value: &'a Expr, column: Option<ColumnRef>) -> Operand {
        let operand = self.operand(value);
        let mut inner = &operand;
        while let Operand::Cast(of, _) = inner {
            inner = of;
        }
        if let (Operand::Param(number), Some(column)) = (inner, column) {
            let oid = self.column_type(column);
            // The walk over the expression has noted this occurrence without a column.
            if let Some(noted) = self.params.iter_mut().rev().find(|noted| **noted == (*number, None)) {
                noted.1 = oid;
            }
        }
        operand
    }

    fn column_type(&self, column: ColumnRef) -> Option<u32> {
        let relation = &self.model.relations[column.relation];
        let found = self.schema.relations.get(&(relation.schema.clone(), relation.name.clone()))?;
        Some(found.columns.get(column.column)?.type_oid)
    }
}

/// The parts of a chain of one operator, however deep it leans to the left.
fn chain<'a>(expr: &'a Expr, of: &BinaryOperator) -> Vec<&'a Expr> {
    let mut parts = Vec::new();
    let mut at = expr;
    while let Expr::BinaryOp { left, op, right } = at {
        if op != of {
            break;
        }
        parts.push(right.as_ref());
        at = left;
    }
    parts.push(at);
    parts.reverse();
    parts
}

fn unnest(expr: &Expr) -> &Expr {
    let mut at = expr;
    while let Expr::Nested(inner) = at {
        at = inner;
    }
    at
}

fn both(a: Cond, b: Cond) -> Cond {
    let mut conds = Vec::new();
    flatten(a, &mut conds);
    flatten(b, &mut conds);
    if conds.is_empty() { Cond::Unknown } else { Cond::And(conds) }
}

fn compare_op(op: &BinaryOperator) -> Option<CompareOp> {
    Some(match op {
        BinaryOperator::Eq => CompareOp::Eq,
        BinaryOperator::Lt => CompareOp::Lt,
        BinaryOperator::LtEq => CompareOp::Le,
        BinaryOperator::Gt => CompareOp::Gt,
        BinaryOperator::GtEq => CompareOp::Ge,
        _ => return None,
    })
}

fn flip(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq => CompareOp::Eq,
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
    }
}

/// A type's name for an [`Operand::Cast`]; `None` for types that no key has.
pub(super) fn type_name(data_type: &DataType) -> Option<String> {
    let length = |length: &Option<CharacterLength>| match length {
        None => Some("varchar".to_owned()),
        Some(CharacterLength::IntegerLength { length, unit: None }) => Some(format!("varchar({length})")),
        Some(_) => None,
    };
    match data_type {
        DataType::SmallInt(None) | DataType::Int2(None) => Some("int2".into()),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => Some("int4".into()),
        DataType::BigInt(None) | DataType::Int8(None) => Some("int8".into()),
        DataType::Text => Some("text".into()),
        DataType::Uuid => Some("uuid".into()),
        DataType::Varchar(max) | DataType::CharacterVarying(max) | DataType::CharVarying(max) => length(max),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) => Some(format!("{}[]", type_name(element)?)),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            // `pg_catalog.int4` and its like; a bare name that is no keyword is somebody's own type.
            let parts = parts(name).ok()?;
            match parts.as_slice() {
                [schema, name] if schema == "pg_catalog" => known_name(name),
                _ => None,
            }
        }
        _ => None,
    }
}

fn known_name(name: &str) -> Option<String> {
    matches!(name, "int2" | "int4" | "int8" | "text" | "varchar" | "uuid").then(|| name.to_owned())
}

/// Whether an expression of VALUES is the word DEFAULT.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}
