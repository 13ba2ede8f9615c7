//! What a statement says, in a form in which PostgreSQL's tree and our model can be compared.

use std::collections::BTreeSet;

use pgweave::sql::Schema;
use pgweave::sql::analysis::{ColumnRef, CompareOp, Cond, Literal, LiteralKind, Model, Operand, RelationRef};

use super::tree::Tree;

/// The facts that routing uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// SELECT, INSERT, UPDATE or DELETE.
    pub class: &'static str,
    /// Names of all tables.
    pub relations: BTreeSet<String>,
    /// Conjuncts of WHERE and inner ON, of every block.
    pub conjuncts: BTreeSet<String>,
    /// The same under the names of the columns that derived tables rename.
    pub also: BTreeSet<String>,
    /// Conjuncts of the ON of outer joins.
    pub outer: BTreeSet<String>,
    /// Any FOR UPDATE or SHARE.
    pub locking: bool,
    /// Any LIMIT, OFFSET, FETCH.
    pub limit: bool,
    /// A query inside writes.
    pub writing_cte: bool,
    /// Names of functions.
    pub functions: BTreeSet<String>,
    /// The rows of an INSERT, values that are no constants as `?`.
    pub rows: Vec<Vec<String>>,
}

/// A statement's class by the name of PostgreSQL's node; `None` for what has no rows.
pub fn class(tree: &Tree) -> Option<&'static str> {
    Some(match tree.name() {
        "SelectStmt" => "select",
        "InsertStmt" => "insert",
        "UpdateStmt" => "update",
        "DeleteStmt" => "delete",
        _ => return None,
    })
}

/// The facts of PostgreSQL's tree.
pub fn of_tree(tree: &Tree) -> Option<Facts> {
    let mut facts = Facts { class: class(tree)?, ..Facts::default() };
    let mut ctes = BTreeSet::new();
    tree.walk(&mut |node| {
        if node.name() == "CommonTableExpr" {
            ctes.insert(node.get("ctename").text().to_owned());
        }
    });
    relations(tree, &BTreeSet::new(), &mut facts.relations);
    tree.walk(&mut |node| match node.name() {
        "SelectStmt" | "UpdateStmt" | "DeleteStmt" => {
            conjuncts(node.get("where_clause"), &mut facts.conjuncts);
            facts.locking |= !node.get("locking_clause").items().is_empty();
            facts.limit |= !is_all(node.get("limit_count")) || !is_all(node.get("limit_offset"));
        }
        "JoinExpr" => {
            let inner = node.get("jointype").text() == "JoinInner";
            conjuncts(node.get("quals"), if inner { &mut facts.conjuncts } else { &mut facts.outer });
        }
        "FuncCall" => facts.functions.extend(called(node)),
        "CommonTableExpr" => facts.writing_cte |= class(node.get("ctequery")) != Some("select"),
        _ => {}
    });
    // What the arbiter of ON CONFLICT calls is what its index calls: nothing that is not immutable.
    let mut arbiter = BTreeSet::new();
    tree.get("on_conflict_clause").get("infer").walk(&mut |node| {
        if node.name() == "FuncCall" {
            arbiter.extend(called(node));
        }
    });
    facts.functions.retain(|name| !arbiter.contains(name));
    // A column of a derived table may go by another name than that of the table below, which is ours.
    let mut aliases = Vec::new();
    tree.walk(&mut |node| {
        let (alias, below) = (node.get("name").text(), column(node.get("val")));
        if let ("ResTarget", Some(below)) = (node.name(), below) {
            aliases.push((alias.to_owned(), below));
        }
    });
    for (alias, below) in aliases.iter().filter(|(alias, below)| !alias.is_empty() && alias != "None" && alias != below)
    {
        let renamed: Vec<String> = facts.conjuncts.iter().map(|cond| cond.replace(alias.as_str(), below)).collect();
        facts.also.extend(renamed);
    }
    if facts.class == "insert" {
        for row in tree.get("select_stmt").get("values_lists").items() {
            facts
                .rows
                .push(row.get("items").items().iter().map(|value| constant(value).unwrap_or("?".into())).collect());
        }
    }
    Some(facts)
}

/// The name that a call is written with. What is called by syntax (`AT TIME ZONE`, `substring(a FROM 1)`, `LIKE … ESCAPE`)
/// has no name in the text; all of that is immutable.
pub fn called(node: &Tree) -> Option<String> {
    let name = node.get("funcname").items().last()?.get("sval").text();
    let written = node.get("funcformat").text() == "CoerceExplicitCall";
    (written && !["like_escape", "similar_to_escape"].contains(&name)).then(|| name.to_owned())
}

/// LIMIT ALL is a NULL constant.
fn is_all(limit: &Tree) -> bool {
    limit.is_none() || limit.get("isnull").text() == "true"
}

/// All tables, names of CTEs left out where they are seen.
fn relations(tree: &Tree, seen: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let mut seen = seen.clone();
    let with = tree.get("with_clause");
    let recursive = with.get("recursive").text() == "true";
    let ctes = with.get("ctes").items();
    if recursive {
        seen.extend(ctes.iter().map(|cte| cte.get("ctename").text().to_owned()));
    }
    for cte in ctes {
        relations(cte.get("ctequery"), &seen, found);
        seen.insert(cte.get("ctename").text().to_owned());
    }
    if tree.name() == "RangeVar" {
        let name = tree.get("relname").text();
        let schema = tree.get("schemaname").text();
        if !schema.is_empty() || !seen.contains(name) {
            found.insert(name.to_owned());
        }
    }
    if let Tree::Node(name, fields) = tree {
        for (field, child) in fields {
            // The target of a write is never a CTE; INTO names a new table.
            if field == "relation" && name.ends_with("Stmt") {
                relations(child, &BTreeSet::new(), found);
            } else if field != "with_clause" && field != "locked_rels" {
                relations(child, &seen, found);
            }
        }
    } else {
        tree.children().for_each(|child| relations(child, &seen, found));
    }
}

fn conjuncts(tree: &Tree, found: &mut BTreeSet<String>) {
    if tree.name() == "BoolExpr" && tree.get("boolop").text() == "AndExpr" {
        tree.get("args").items().iter().for_each(|arg| conjuncts(arg, found));
    } else if let Some(parts) = several(tree) {
        found.extend(parts);
    } else {
        found.extend(condition(tree));
        found.extend(same_as_subquery(tree));
    }
}

/// BETWEEN and equality of rows: conditions that say several things at once.
fn several(tree: &Tree) -> Option<Vec<String>> {
    let (left, right) = (tree.get("lexpr"), tree.get("rexpr"));
    let operator = tree.get("name").items().last()?.get("sval").text();
    match (tree.get("kind").text(), operator) {
        ("AexprBetween", _) => {
            let column = column(left)?;
            let [low, high] = right.get("items").items() else { return None };
            let low = constant(low).map(|low| format!("{column} >= {low}"));
            let high = constant(high).map(|high| format!("{column} <= {high}"));
            Some(low.into_iter().chain(high).collect())
        }
        ("AexprOp", "=") if left.name() == "RowExpr" && right.name() == "RowExpr" => {
            let pairs = left.get("args").items().iter().zip(right.get("args").items());
            Some(pairs.filter_map(|(left, right)| compare(left, "=", right)).collect())
        }
        _ => None,
    }
}

/// `a IN (SELECT b …)`.
fn same_as_subquery(tree: &Tree) -> Option<String> {
    let operator = tree.get("oper_name").items();
    let equals = operator.is_empty() || operator.last()?.get("sval").text() == "=";
    if tree.name() != "SubLink" || tree.get("sub_link_type").text() != "AnySublink" || !equals {
        return None;
    }
    let [target] = tree.get("subselect").get("target_list").items() else { return None };
    compare(tree.get("testexpr"), "=", target.get("val")).filter(|text| text.contains(" same "))
}

/// A condition as text, if it is one that routing understands.
fn condition(tree: &Tree) -> Option<String> {
    if tree.name() == "BoolExpr" {
        let parts: Vec<Option<String>> = tree.get("args").items().iter().map(condition).collect();
        let known: BTreeSet<String> = parts.iter().flatten().cloned().collect();
        return match tree.get("boolop").text() {
            "AndExpr" => joined("and", known),
            "OrExpr" if parts.iter().all(Option::is_some) => joined("or", known),
            _ => None,
        };
    }
    if tree.name() != "AExpr" {
        return None;
    }
    let operator = tree.get("name").items().last()?.get("sval").text();
    let (left, right) = (tree.get("lexpr"), tree.get("rexpr"));
    let members = |list: &Tree| -> Vec<String> {
        list.items().iter().map(|item| constant(item).unwrap_or_else(|| "?".to_owned())).collect()
    };
    match (tree.get("kind").text(), operator) {
        ("AexprOp", "=") if left.name() == "RowExpr" => joined("and", several(tree)?.into_iter().collect()),
        ("AexprOp", _) => compare(left, operator, right),
        ("AexprIn", "=") if left.name() == "RowExpr" => {
            let rows = right.get("items").items().iter().map(|row| members(row.get("args"))).collect();
            Some(row_in(columns(left.get("args").items())?, rows))
        }
        ("AexprIn", "=") => Some(one_of(&column(left)?, members(right.get("items")))),
        ("AexprOpAny", "=") if strip(right).name() == "AArrayExpr" => {
            Some(one_of(&column(left)?, members(strip(right).get("elements"))))
        }
        ("AexprOpAny", "=") => Some(format!("{} any {}", column(left)?, constant(right)?)),
        ("AexprBetween", _) => joined("and", several(tree)?.into_iter().collect()),
        _ => None,
    }
}

fn joined(word: &str, parts: BTreeSet<String>) -> Option<String> {
    match parts.len() {
        0 => None,
        1 => parts.into_iter().next(),
        _ => Some(format!("{word}({})", parts.into_iter().collect::<Vec<_>>().join(", "))),
    }
}

fn one_of(column: &str, mut values: Vec<String>) -> String {
    values.sort();
    format!("{column} in ({})", values.join(", "))
}

fn row_in(columns: Vec<String>, rows: Vec<Vec<String>>) -> String {
    format!("{columns:?} in {rows:?}")
}

fn columns(items: &[Tree]) -> Option<Vec<String>> {
    items.iter().map(column).collect()
}

fn compare(left: &Tree, operator: &str, right: &Tree) -> Option<String> {
    let flipped = match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "=" => "=",
        _ => return None,
    };
    match (column(left), column(right)) {
        (Some(left), Some(right)) if operator == "=" => {
            let (low, high) = if left < right { (left, right) } else { (right, left) };
            Some(format!("{low} same {high}"))
        }
        (Some(column), None) => Some(format!("{column} {operator} {}", constant(right)?)),
        (None, Some(column)) => Some(format!("{column} {flipped} {}", constant(left)?)),
        _ => None,
    }
}

/// Casts aside.
fn strip(tree: &Tree) -> &Tree {
    if tree.name() == "TypeCast" { strip(tree.get("arg")) } else { tree }
}

fn column(tree: &Tree) -> Option<String> {
    if tree.name() != "ColumnRef" {
        return None;
    }
    Some(tree.get("fields").items().last()?.get("sval").text().to_owned()).filter(|name| !name.is_empty())
}

fn constant(tree: &Tree) -> Option<String> {
    let tree = strip(tree);
    match tree.name() {
        "ParamRef" => Some(format!("${}", tree.get("number").text())),
        "AConst" if tree.get("isnull").text() == "true" => Some("null".to_owned()),
        "AConst" => {
            let value = tree.get("val");
            match value.name() {
                "Integer" => Some(value.get("ival").text().to_owned()),
                "Float" => Some(value.get("fval").text().to_owned()),
                "String" => Some(format!("'{}'", value.get("sval").text())),
                _ => None,
            }
        }
        // `- '1'::int`, and `- -1`, which the grammar does not fold.
        "AExpr" if tree.get("lexpr").is_none() && tree.get("name").items().len() == 1 => {
            let sign = tree.get("name").items()[0].get("sval").text();
            let value = constant(tree.get("rexpr"))?;
            // Our model has a sign before constants only, and none that says nothing.
            (sign == "-" && strip(tree.get("rexpr")).name() == "AConst").then(|| format!("-{value}"))
        }
        _ => None,
    }
}

/// The facts of our model.
pub fn of_model(class: &'static str, model: &Model, text: &str, literals: &[Literal], schema: &Schema) -> Facts {
    let ours = Ours { model, text, literals, schema };
    let mut facts = Facts { class, locking: model.locking, writing_cte: model.writing_cte, ..Facts::default() };
    facts.relations = model.relations.iter().map(|relation| relation.name.clone()).collect();
    facts.functions = model.calls.iter().cloned().collect();
    for block in &model.blocks {
        facts.limit |= block.limit;
        block.conds.iter().for_each(|cond| ours.conjuncts(cond, &mut facts.conjuncts));
        block.outer_conds.iter().for_each(|(_, cond)| ours.conjuncts(cond, &mut facts.outer));
    }
    if let Some(rows) = model.insert.as_ref().and_then(|insert| insert.rows.as_ref()) {
        let value =
            |value: &Option<Operand>| value.as_ref().and_then(|value| ours.operand(value)).unwrap_or("?".into());
        facts.rows = rows.iter().map(|row| row.iter().map(value).collect()).collect();
    }
    facts
}

struct Ours<'a> {
    model: &'a Model,
    text: &'a str,
    literals: &'a [Literal],
    schema: &'a Schema,
}

impl Ours<'_> {
    fn conjuncts(&self, cond: &Cond, found: &mut BTreeSet<String>) {
        match cond {
            Cond::And(parts) => parts.iter().for_each(|part| self.conjuncts(part, found)),
            cond => found.extend(self.condition(cond)),
        }
    }

    fn condition(&self, cond: &Cond) -> Option<String> {
        let list = |values: &[Operand]| -> Vec<String> {
            values.iter().map(|value| self.operand(value).unwrap_or_else(|| "?".to_owned())).collect()
        };
        match cond {
            Cond::And(parts) => joined("and", parts.iter().filter_map(|part| self.condition(part)).collect()),
            Cond::Or(parts) => {
                let parts: Option<BTreeSet<String>> = parts.iter().map(|part| self.condition(part)).collect();
                joined("or", parts?)
            }
            Cond::Compare { column, op, value } => {
                let operator = match op {
                    CompareOp::Eq => "=",
                    CompareOp::Lt => "<",
                    CompareOp::Le => "<=",
                    CompareOp::Gt => ">",
                    CompareOp::Ge => ">=",
                };
                Some(format!("{} {operator} {}", self.column(column), self.operand(value)?))
            }
            Cond::In { column, values } => Some(one_of(&self.column(column), list(values))),
            Cond::AnyArray { column, array } => Some(format!("{} any {}", self.column(column), self.operand(array)?)),
            Cond::RowIn { columns, rows } => {
                let columns = columns.iter().map(|column| self.column(column)).collect();
                Some(row_in(columns, rows.iter().map(|row| list(row)).collect()))
            }
            Cond::Same(left, right) => {
                let (left, right) = (self.column(left), self.column(right));
                let (low, high) = if left < right { (left, right) } else { (right, left) };
                Some(format!("{low} same {high}"))
            }
            Cond::Unknown => None,
        }
    }

    fn column(&self, column: &ColumnRef) -> String {
        let RelationRef { schema, name, .. } = &self.model.relations[column.relation];
        self.schema.relations[&(schema.clone(), name.clone())].columns[column.column].name.clone()
    }

    fn operand(&self, operand: &Operand) -> Option<String> {
        match operand {
            Operand::Param(number) => Some(format!("${number}")),
            Operand::Literal(index) => Some(self.literal(*index)),
            Operand::Negated(index) => Some(format!("-{}", self.literal(*index))),
            Operand::Null => Some("null".to_owned()),
            Operand::Cast(inner, _) => self.operand(inner),
            Operand::Opaque => None,
        }
    }

    fn literal(&self, index: u32) -> String {
        let literal = &self.literals[index as usize];
        let raw = &self.text[literal.span.start as usize..literal.span.end as usize];
        match literal.kind {
            LiteralKind::Integer => {
                raw.trim_start_matches('0').parse::<i32>().map_or(raw.to_owned(), |value| value.to_string())
            }
            LiteralKind::Number if !raw.contains('_') => raw.to_owned(),
            // What a string stands for is PostgreSQL's to say; the same bytes are the same value.
            _ => {
                let tree = Tree::parse(&format!("SELECT {raw}")).expect("a constant");
                let mut value = None;
                tree.walk(&mut |node| value = value.take().or_else(|| constant(node)));
                value.expect("a constant")
            }
        }
    }
}
