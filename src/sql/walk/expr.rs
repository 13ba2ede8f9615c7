//! Expressions: which functions, operators and subqueries are in them, and which are plain columns or values.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, Query, Subscript,
    UnaryOperator, Value, ValueWithSpan, WindowFrameBound, WindowSpec, WindowType,
};

use super::names::{SYSTEM_COLUMNS, fold, parts};
use super::query::Output;
use super::{Site, Walker};
use crate::sql::analysis::{ColumnRef, Operand, Place};

/// Functions that are called without parentheses.
const BARE_CALLS: [&str; 11] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// The aggregates of `pg_catalog`, for a schema that does not list them.
const AGGREGATES: [&str; 24] = [
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "string_agg",
    "sum",
    "variance",
    "stddev",
];

impl<'a> Walker<'a> {
    pub(super) fn optional(&mut self, expr: Option<&'a Expr>, site: Site<'a>) -> Result<(), String> {
        expr.map_or(Ok(()), |expr| self.expr(expr, site))
    }

    /// Walks an expression for what it calls and contains.
    pub(super) fn expr(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<(), String> {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.expr_inner(expr, site))
    }

    fn each(&mut self, exprs: impl IntoIterator<Item = &'a Expr>, site: Site<'a>) -> Result<(), String> {
        exprs.into_iter().try_for_each(|expr| self.expr(expr, site))
    }

    fn expr_inner(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<(), String> {
        match expr {
            Expr::Identifier(ident) => {
                let name = fold(ident)?;
                if ident.quote_style.is_none() && BARE_CALLS.contains(&name.as_str()) {
                    self.note_call(&name);
                }
                self.model.system_columns |= SYSTEM_COLUMNS.contains(&name.as_str());
                self.column(site.scope, &name);
                Ok(())
            }
            Expr::CompoundIdentifier(idents) => {
                let last = idents.last().ok_or("an empty name")?;
                self.model.system_columns |= SYSTEM_COLUMNS.contains(&fold(last)?.as_str());
                self.plain_column(expr, site).map(drop)
            }
            Expr::Value(value) => self.value(value),
            Expr::TypedString(typed) => {
                self.cast_to(&typed.data_type)?;
                if typed.uses_odbc_syntax { Err("ODBC syntax".into()) } else { self.value(&typed.value) }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.expr(root, site)?;
                access_chain.iter().try_for_each(|access| self.access(access, site))
            }
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::Nested(e)
            | Expr::Collate { expr: e, collation: _ }
            | Expr::Extract { field: _, syntax: _, expr: e }
            | Expr::IsJson { expr: e, kind: _, unique_keys: _, negated: _ }
            | Expr::IsNormalized { expr: e, form: _, negated: _ } => self.expr(e, site),
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                self.note_operator("=");
                self.each([a.as_ref(), b.as_ref()], site)
            }
            Expr::AtTimeZone { timestamp: a, time_zone: b } | Expr::Position { expr: a, r#in: b } => {
                self.each([a.as_ref(), b.as_ref()], site)
            }
            Expr::InList { expr, list, negated: _ } => {
                self.note_operator("=");
                self.expr(expr, site)?;
                self.each(list, site)
            }
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.note_operator("=");
                self.expr(expr, site)?;
                self.subquery(subquery, site).map(drop)
            }
            Expr::Between { expr, negated: _, low, high } => {
                self.note_operator("<=");
                self.note_operator(">=");
                self.each([expr.as_ref(), low.as_ref(), high.as_ref()], site)
            }
            Expr::BinaryOp { left, op, right } => {
                self.binary_operator(op)?;
                self.each([left.as_ref(), right.as_ref()], site)
            }
            Expr::Like { negated: _, any: false, expr, pattern, escape_char } => {
                self.note_operator("~~");
                self.like(expr, pattern, escape_char.as_deref(), site)
            }
            Expr::ILike { negated: _, any: false, expr, pattern, escape_char } => {
                self.note_operator("~~*");
                self.like(expr, pattern, escape_char.as_deref(), site)
            }
            Expr::SimilarTo { negated: _, expr, pattern, escape_char } => {
                self.note_operator("~");
                self.like(expr, pattern, escape_char.as_deref(), site)
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                self.binary_operator(compare_op)?;
                self.each([left.as_ref(), right.as_ref()], site)
            }
            Expr::UnaryOp { op, expr } => {
                self.unary_operator(op)?;
                self.expr(expr, site)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                self.cast_to(data_type)?;
                self.expr(expr, site)
            }
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => match field {
                CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) => self.expr(expr, site),
                CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_) => Err("CEIL or FLOOR of a field".into()),
            },
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.expr(expr, site)?;
                self.optional(substring_from.as_deref(), site)?;
                self.optional(substring_for.as_deref(), site)
            }
            Expr::Trim { expr, trim_where: _, trim_what, trim_characters } => {
                self.expr(expr, site)?;
                self.optional(trim_what.as_deref(), site)?;
                self.each(trim_characters.iter().flatten(), site)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.each([expr.as_ref(), overlay_what.as_ref(), overlay_from.as_ref()], site)?;
                self.optional(overlay_for.as_deref(), site)
            }
            Expr::Function(function) => self.function(function, site),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.optional(operand.as_deref(), site)?;
                for when in conditions {
                    self.each([&when.condition, &when.result], site)?;
                }
                self.optional(else_result.as_deref(), site)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.subquery(subquery, site).map(drop),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => self.each(sets.iter().flatten(), site),
            Expr::Tuple(list) => self.each(list, site),
            Expr::Array(array) => self.each(&array.elem, site),
            Expr::Interval(interval) => self.expr(&interval.value, site),
            // Everything below belongs to another dialect, or is not read yet.
            Expr::JsonAccess { .. }
            | Expr::InUnnest { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::RLike { .. }
            | Expr::Convert { .. }
            | Expr::Cast { .. }
            | Expr::Prefixed { .. }
            | Expr::Struct { .. }
            | Expr::Named { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::MatchAgainst { .. }
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..)
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::Lambda(_)
            | Expr::MemberOf(_) => Err("an expression that is not read for routing".into()),
        }
    }

    fn like(
        &mut self,
        expr: &'a Expr,
        pattern: &'a Expr,
        escape: Option<&'a Expr>,
        site: Site<'a>,
    ) -> Result<(), String> {
        self.each([expr, pattern], site)?;
        self.optional(escape, site)
    }

    fn value(&mut self, value: &'a ValueWithSpan) -> Result<(), String> {
        match &value.value {
            Value::Placeholder(name) => {
                let number = placeholder(name).ok_or("a placeholder that is no $n")?;
                self.params.push((number, None));
                Ok(())
            }
            Value::Number(..)
            | Value::SingleQuotedString(_)
            | Value::DollarQuotedString(_)
            | Value::EscapedStringLiteral(_)
            | Value::UnicodeStringLiteral(_)
            | Value::SingleQuotedByteStringLiteral(_)
            | Value::NationalStringLiteral(_)
            | Value::HexStringLiteral(_)
            | Value::Boolean(_)
            | Value::Null => Ok(()),
            _ => Err("a literal of another dialect".into()),
        }
    }

    fn access(&mut self, access: &'a AccessExpr, site: Site<'a>) -> Result<(), String> {
        match access {
            // A field of a composite value; its name is no column of the statement.
            AccessExpr::Dot(Expr::Identifier(_)) => Ok(()),
            AccessExpr::Dot(_) => Err("a computed field".into()),
            AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index, site),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                self.optional(lower_bound.as_ref(), site)?;
                self.optional(upper_bound.as_ref(), site)
            }
            AccessExpr::Subscript(Subscript::Slice { .. }) => Err("a slice with a stride".into()),
        }
    }

    pub(super) fn subquery(&mut self, query: &'a Query, site: Site<'a>) -> Result<Output<'a>, String> {
        let scope = self.new_scope(Some(site.scope));
        self.query(query, scope, site.ctes, Some(site.block), Place::Expression)
    }

    fn function(&mut self, function: &'a Function, site: Site<'a>) -> Result<(), String> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) || null_treatment.is_some() {
            return Err("a function call of another dialect".into());
        }
        let name = parts(name)?.pop().ok_or("a function without a name")?;
        let seen = std::mem::replace(&mut self.outer_seen, false);
        match args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) if name == "array" => {
                self.outer_seen |= seen;
                return self.subquery(query, site).map(drop);
            }
            FunctionArguments::Subquery(_) => return Err("a function of a query".into()),
            FunctionArguments::List(list) => {
                self.args(&list.args, site)?;
                for clause in &list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(list) => self.sort_list(list, site)?,
                        FunctionArgumentClause::JsonNullClause(_) => {}
                        _ => return Err("a clause within a function call".into()),
                    }
                }
            }
        }
        self.sort_list(within_group, site)?;
        self.optional(filter.as_deref(), site)?;
        let outer_args = std::mem::replace(&mut self.outer_seen, seen);
        self.outer_seen |= outer_args;
        self.note_call(&name);
        match over {
            Some(window) => self.window(window, site),
            None => {
                if self.is_aggregate(&name) || !within_group.is_empty() || filter.is_some() {
                    self.aggregate(outer_args, site);
                }
                Ok(())
            }
        }
    }

    fn is_aggregate(&self, name: &str) -> bool {
        AGGREGATES.contains(&name) || self.schema.functions.get(name).is_some_and(|function| function.aggregate)
    }

    /// Notes an aggregate. One whose arguments mention columns from outside may be the outer query's.
    fn aggregate(&mut self, outer_args: bool, site: Site<'a>) {
        let mut block = Some(site.block);
        while let Some(here) = block {
            self.model.blocks[here].aggregate = true;
            block = if outer_args { self.model.blocks[here].parent } else { None };
        }
    }

    pub(super) fn args(&mut self, args: &'a [FunctionArg], site: Site<'a>) -> Result<(), String> {
        for arg in args {
            let arg = match arg {
                FunctionArg::Named { name: _, arg, operator: _ } | FunctionArg::Unnamed(arg) => arg,
                FunctionArg::ExprNamed { name, arg, operator: _ } => {
                    self.expr(name, site)?;
                    arg
                }
            };
            match arg {
                FunctionArgExpr::Expr(expr) => self.expr(expr, site)?,
                // `count(*)` and whole rows.
                FunctionArgExpr::Wildcard | FunctionArgExpr::QualifiedWildcard(_) => {}
                FunctionArgExpr::WildcardWithOptions(_) => return Err("a wildcard of another dialect".into()),
            }
        }
        Ok(())
    }

    pub(super) fn sort_list(&mut self, list: &'a [OrderByExpr], site: Site<'a>) -> Result<(), String> {
        for item in list {
            if item.with_fill.is_some() {
                return Err("WITH FILL".into());
            }
            self.note_operator("<");
            self.expr(&item.expr, site)?;
        }
        Ok(())
    }

    fn window(&mut self, window: &'a WindowType, site: Site<'a>) -> Result<(), String> {
        let mut columns = Vec::new();
        match window {
            WindowType::WindowSpec(spec) => self.window_spec(spec, site, &mut columns, 0)?,
            WindowType::NamedWindow(name) => self.window_named(&fold(name)?, site, &mut columns, 0)?,
        }
        self.model.blocks[site.block].windows.push(columns);
        Ok(())
    }

    /// The expressions of a window of the WINDOW clause, for what they call.
    pub(super) fn named_window(&mut self, window: &'a NamedWindowDefinition, site: Site<'a>) -> Result<(), String> {
        match &window.1 {
            NamedWindowExpr::NamedWindow(_) => Ok(()),
            NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec, site, &mut Vec::new(), 0),
        }
    }

    fn window_named(
        &mut self,
        name: &str,
        site: Site<'a>,
        columns: &mut Vec<Option<ColumnRef>>,
        depth: usize,
    ) -> Result<(), String> {
        for NamedWindowDefinition(defined, window) in site.windows {
            if fold(defined)? == name {
                return match window {
                    NamedWindowExpr::NamedWindow(other) if depth < 50 => {
                        self.window_named(&fold(other)?, site, columns, depth + 1)
                    }
                    NamedWindowExpr::NamedWindow(_) => Err("windows that name each other".into()),
                    NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec, site, columns, depth + 1),
                };
            }
        }
        Err(format!("window {name} is not defined"))
    }

    fn window_spec(
        &mut self,
        spec: &'a WindowSpec,
        site: Site<'a>,
        columns: &mut Vec<Option<ColumnRef>>,
        depth: usize,
    ) -> Result<(), String> {
        if depth > 50 {
            return Err("windows that name each other".into());
        }
        if let Some(base) = &spec.window_name {
            self.window_named(&fold(base)?, site, columns, depth + 1)?;
        }
        for expr in &spec.partition_by {
            self.expr(expr, site)?;
            columns.push(self.plain_column(expr, site)?);
        }
        self.sort_list(&spec.order_by, site)?;
        let bounds =
            spec.window_frame.iter().flat_map(|frame| std::iter::once(&frame.start_bound).chain(&frame.end_bound));
        for bound in bounds {
            match bound {
                WindowFrameBound::CurrentRow => {}
                WindowFrameBound::Preceding(expr) | WindowFrameBound::Following(expr) => {
                    self.optional(expr.as_deref(), site)?;
                }
            }
        }
        Ok(())
    }

    /// The column that an expression plainly is, if it is one of a relation.
    pub(super) fn plain_column(&mut self, expr: &'a Expr, site: Site<'a>) -> Result<Option<ColumnRef>, String> {
        match expr {
            Expr::Nested(inner) => self.plain_column(inner, site),
            Expr::Identifier(ident) => {
                let name = fold(ident)?;
                Ok(self.column(site.scope, &name))
            }
            Expr::CompoundIdentifier(idents) => {
                let names = idents.iter().map(fold).collect::<Result<Vec<_>, _>>()?;
                Ok(match names.as_slice() {
                    [item, column] => self.qualified(site.scope, None, item, column),
                    [schema, item, column] => self.qualified(site.scope, Some(schema), item, column),
                    _ => return Err("a column name of more than three parts".into()),
                })
            }
            _ => Ok(None),
        }
    }

    /// The value that an expression is, if a plan can look it up.
    pub(super) fn operand(&self, expr: &Expr) -> Operand {
        match expr {
            Expr::Nested(inner) => self.operand(inner),
            Expr::Value(value) => match &value.value {
                Value::Null => Operand::Null,
                Value::Placeholder(name) => placeholder(name).map_or(Operand::Opaque, Operand::Param),
                Value::Number(..)
                | Value::SingleQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::DollarQuotedString(_) => self.literal(value).map_or(Operand::Opaque, Operand::Literal),
                _ => Operand::Opaque,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                    self.literal(value).map_or(Operand::Opaque, Operand::Negated)
                }
                _ => Operand::Opaque,
            },
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                match (self.operand(expr), super::cond::type_name(data_type)) {
                    (Operand::Opaque, _) | (_, None) => Operand::Opaque,
                    (inner, Some(name)) => Operand::Cast(Box::new(inner), name),
                }
            }
            Expr::TypedString(typed) => match (self.literal(&typed.value), super::cond::type_name(&typed.data_type)) {
                (Some(literal), Some(name)) => Operand::Cast(Box::new(Operand::Literal(literal)), name),
                _ => Operand::Opaque,
            },
            _ => Operand::Opaque,
        }
    }

    /// The lexer's number of a literal.
    fn literal(&self, value: &ValueWithSpan) -> Option<u32> {
        let start = u32::try_from(self.positions.byte(value.span.start)?).ok()?;
        let index = self.literals.binary_search_by_key(&start, |literal| literal.span.start).ok()?;
        u32::try_from(index).ok()
    }

    pub(super) fn note_call(&mut self, name: &str) {
        if !self.model.calls.iter().any(|call| call == name) {
            self.model.calls.push(name.to_owned());
        }
    }

    pub(super) fn note_operator(&mut self, name: &str) {
        if !self.model.operators.iter().any(|operator| operator == name) {
            self.model.operators.push(name.to_owned());
        }
    }

    fn cast_to(&mut self, data_type: &sqlparser::ast::DataType) -> Result<(), String> {
        use sqlparser::ast::DataType;
        match data_type {
            DataType::Regclass => self.note_call("regclass"),
            DataType::Custom(name, _) => {
                let name = parts(name)?.pop().ok_or("a type without a name")?;
                if name.starts_with("reg") || name == "oid" {
                    self.note_call("regclass");
                }
            }
            // Types do not run code of ours to know; their names are PostgreSQL's to judge.
            _ => {}
        }
        Ok(())
    }

    pub(super) fn binary_operator(&mut self, op: &BinaryOperator) -> Result<(), String> {
        let name = match op {
            BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Overlaps => return Ok(()),
            BinaryOperator::Custom(name) => name.clone(),
            BinaryOperator::PGCustomBinaryOperator(parts) => {
                parts.last().cloned().ok_or("an operator without a name")?
            }
            other => operator_name(other).ok_or("an operator of another dialect")?.to_owned(),
        };
        self.note_operator(&name);
        Ok(())
    }

    fn unary_operator(&mut self, op: &UnaryOperator) -> Result<(), String> {
        let name = match op {
            UnaryOperator::Not => return Ok(()),
            UnaryOperator::Plus => "+",
            UnaryOperator::Minus => "-",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::AtDashAt => "@-@",
            UnaryOperator::DoubleAt => "@@",
            UnaryOperator::Hash => "#",
            UnaryOperator::QuestionDash => "?-",
            UnaryOperator::QuestionPipe => "?|",
            UnaryOperator::BangNot | UnaryOperator::PGPostfixFactorial | UnaryOperator::PGPrefixFactorial => {
                return Err("an operator of another dialect".into());
            }
        };
        self.note_operator(name);
        Ok(())
    }
}

/// The number of `$n`.
fn placeholder(name: &str) -> Option<u32> {
    name.strip_prefix('$')?.parse().ok().filter(|number| *number > 0)
}

fn operator_name(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::Gt => ">",
        BinaryOperator::Lt => "<",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::PGBitwiseXor => "#",
        BinaryOperator::PGBitwiseShiftLeft => "<<",
        BinaryOperator::PGBitwiseShiftRight => ">>",
        BinaryOperator::PGExp => "^",
        BinaryOperator::PGOverlap => "&&",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        BinaryOperator::PGStartsWith => "^@",
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::HashArrow => "#>",
        BinaryOperator::HashLongArrow => "#>>",
        BinaryOperator::AtAt => "@@",
        BinaryOperator::AtArrow => "@>",
        BinaryOperator::ArrowAt => "<@",
        BinaryOperator::HashMinus => "#-",
        BinaryOperator::AtQuestion => "@?",
        BinaryOperator::Question => "?",
        BinaryOperator::QuestionAnd => "?&",
        BinaryOperator::QuestionPipe => "?|",
        BinaryOperator::DoubleHash => "##",
        BinaryOperator::LtDashGt => "<->",
        BinaryOperator::AndLt => "&<",
        BinaryOperator::AndGt => "&>",
        BinaryOperator::LtLtPipe => "<<|",
        BinaryOperator::PipeGtGt => "|>>",
        BinaryOperator::AndLtPipe => "&<|",
        BinaryOperator::PipeAndGt => "|&>",
        BinaryOperator::LtCaret => "<^",
        BinaryOperator::GtCaret => ">^",
        BinaryOperator::QuestionHash => "?#",
        BinaryOperator::QuestionDash => "?-",
        BinaryOperator::QuestionDashPipe => "?-|",
        BinaryOperator::QuestionDoublePipe => "?||",
        BinaryOperator::TildeEq => "~=",
        _ => return None,
    })
}
