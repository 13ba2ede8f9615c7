//! Random statements, each in two readings: the text, and the text as a planner with one fault would read it.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::worlds::{DOMAIN, Table, Ty, Universe};

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All rules stand.
    None,
    /// NOT is not seen.
    NotIgnored,
    /// OR intersects as AND does.
    OrIntersects,
    /// The ON of an outer join constrains both sides.
    OuterOnBindsBoth,
    /// The ON of a full join constrains.
    FullOnBinds,
    /// COALESCE over a column counts as the column.
    CoalesceBinds,
    /// IS NULL gives nothing, as a comparison with NULL does.
    IsNullGivesNothing,
    /// IS NOT DISTINCT FROM counts as equality.
    NotDistinctIsEquality,
    /// A constant under a rounding cast counts as cut off.
    CastCuts,
    /// An expression over a column counts as the column.
    ExpressionBinds,
    /// LIMIT in a derived table is looked through.
    LimitLookedThrough,
    /// An aggregate in a derived table is looked through.
    AggregateLookedThrough,
    /// The order of a collation counts as that of bytes.
    CollationIgnored,
    /// `<>` counts as `=`.
    UnequalBinds,
    /// References in subqueries do not count.
    SubqueriesIgnored,
    /// Scatter: a replicated relation may be preserved (rule 2).
    ReplicatedPreserved,
    /// Scatter: any join is by the key (rule 1).
    AnyJoinIsByKey,
    /// Scatter: any GROUP BY holds the key (rule 3).
    AnyGroupHoldsKey,
    /// Scatter: DISTINCT is not seen (rule 3).
    DistinctIgnored,
    /// Scatter: set operations are UNION ALL (rule 3).
    SetOperationsAppend,
    /// Scatter: LIMIT is not seen (rule 4).
    LimitIgnored,
    /// Scatter: aggregates are not seen (rule 5).
    AggregatesIgnored,
    /// Scatter: windows are not seen (rule 5).
    WindowsIgnored,
}

impl Fault {
    pub const ALL: [Fault; 22] = [
        Fault::NotIgnored,
        Fault::OrIntersects,
        Fault::OuterOnBindsBoth,
        Fault::FullOnBinds,
        Fault::CoalesceBinds,
        Fault::IsNullGivesNothing,
        Fault::NotDistinctIsEquality,
        Fault::CastCuts,
        Fault::ExpressionBinds,
        Fault::LimitLookedThrough,
        Fault::AggregateLookedThrough,
        Fault::CollationIgnored,
        Fault::UnequalBinds,
        Fault::SubqueriesIgnored,
        Fault::ReplicatedPreserved,
        Fault::AnyJoinIsByKey,
        Fault::AnyGroupHoldsKey,
        Fault::DistinctIgnored,
        Fault::SetOperationsAppend,
        Fault::LimitIgnored,
        Fault::AggregatesIgnored,
        Fault::WindowsIgnored,
    ];

    /// Whether a universe is one in which the fault can matter.
    pub fn shows_in(self, universe: &Universe) -> bool {
        self != Fault::CollationIgnored || universe.is_ordered_otherwise()
    }

    /// The universe as a planner with this fault sees it, if it sees another.
    pub fn universe(self, universe: &Universe) -> Option<Universe> {
        if self != Fault::CollationIgnored {
            return None;
        }
        let mut blind = universe.clone();
        let columns = blind.schema.relations.values_mut().flat_map(|relation| &mut relation.columns);
        columns.for_each(|column| column.byte_order = true);
        Some(blind)
    }
}

/// A generated statement.
#[derive(Debug)]
pub struct Statement {
    /// With `$n` for parameters.
    pub text: String,
    /// As a planner with the fault reads it.
    pub planted: String,
    pub params: Vec<Option<String>>,
}

impl Statement {
    pub fn random(rng: &mut StdRng, universe: &Universe, fault: Fault) -> Statement {
        // Some of the statements are of the kind that applications write, the others of any kind.
        let calm = rng.random_bool(0.55);
        let mut writer = Writer { rng, universe, fault, calm, params: Vec::new(), aliases: 0, ctes: Vec::new() };
        let text = writer.statement();
        Statement { text: text.truth, planted: text.planted, params: writer.params }
    }

    /// The text with its parameters as untyped literals, which PostgreSQL types as it types parameters.
    pub fn with_literals(&self) -> String {
        let mut text = self.text.clone();
        for (at, param) in self.params.iter().enumerate().rev() {
            let literal = param.as_ref().map_or("NULL".into(), |value| quoted(value));
            text = text.replace(&format!("${}", at + 1), &literal);
        }
        text
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A piece of text in both readings.
#[derive(Clone, Debug)]
struct Text {
    truth: String,
    planted: String,
}

impl Text {
    fn both(text: impl Into<String>) -> Text {
        let truth = text.into();
        Text { planted: truth.clone(), truth }
    }

    fn join(parts: &[Text], between: &str) -> Text {
        let truth: Vec<&str> = parts.iter().map(|part| part.truth.as_str()).collect();
        let planted: Vec<&str> = parts.iter().map(|part| part.planted.as_str()).collect();
        Text { truth: truth.join(between), planted: planted.join(between) }
    }

    fn wrap(self, before: &str, after: &str) -> Text {
        Text { truth: format!("{before}{}{after}", self.truth), planted: format!("{before}{}{after}", self.planted) }
    }

    fn push(&mut self, other: &Text) {
        self.truth.push_str(&other.truth);
        self.planted.push_str(&other.planted);
    }
}

/// What a name in scope shows.
#[derive(Clone, Debug)]
struct Item {
    alias: String,
    columns: Vec<(String, Ty)>,
    /// How many of them are the key.
    key: usize,
    sharded: bool,
}

struct Writer<'a> {
    rng: &'a mut StdRng,
    universe: &'a Universe,
    fault: Fault,
    /// Joins by the key, and rows as they are.
    calm: bool,
    params: Vec<Option<String>>,
    aliases: usize,
    ctes: Vec<Item>,
}

impl Writer<'_> {
    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn planting(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn either(&self, fault: Fault, truth: impl Into<String>, planted: impl Into<String>) -> Text {
        let truth = truth.into();
        let planted = if self.planting(fault) { planted.into() } else { truth.clone() };
        Text { truth, planted }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    fn statement(&mut self) -> Text {
        let mut with = Text::both("");
        if self.chance(0.1) {
            let table = self.table();
            let condition = self.local_condition(&table);
            with = condition.wrap(&format!("WITH w AS (SELECT * FROM {} ", table.name), ") ");
            self.ctes.push(Item {
                alias: "w".into(),
                columns: table.columns.clone(),
                key: table.columns.len() - 2,
                sharded: table.key > 0,
            });
        }
        let mut text = with;
        if self.chance(0.1) {
            let (left, right) = (self.branch(), self.branch());
            let op = *["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"].choose(self.rng).expect("an operator");
            text.push(&left);
            text.push(&self.either(Fault::SetOperationsAppend, format!(" {op} "), " UNION ALL "));
            text.push(&right);
            return text;
        }
        let query = self.query();
        text.push(&query);
        text
    }

    /// A branch of a set operation: all branches have the same columns.
    fn branch(&mut self) -> Text {
        let table = self.table();
        let mut columns: Vec<String> =
            table.columns[..table.columns.len() - 1].iter().map(|(name, _)| name.clone()).collect();
        if self.chance(0.3) {
            let at = columns.len() - 1;
            columns = vec![columns[at].clone()];
            columns.push("y".into());
        }
        let width = self.universe.tables[0].columns.len() - 1;
        while columns.len() < width {
            columns.insert(0, "NULL".into());
        }
        // NULL has the type of the other branch; a key column there must be named for a text to meet a text.
        if columns[0] == "NULL" {
            columns = table.columns[..width].iter().map(|(name, _)| name.clone()).collect();
        }
        let condition = self.local_condition(&table);
        condition.wrap(&format!("SELECT {} FROM {} ", columns.join(", "), table.name), "")
    }

    fn query(&mut self) -> Text {
        let depth = *[0, 0, 0, 1, 1, 1, 2, 3].choose(self.rng).expect("a depth");
        // This fault shows only where one table is joined to another and no key is fixed beside.
        let depth = if self.fault == Fault::CoalesceBinds { 1 } else { depth };
        let (from, items) = self.from(depth);
        let mut condition = Vec::new();
        if self.fault != Fault::CoalesceBinds && self.chance(0.5) {
            let key = self.key_condition(&items);
            condition.push(key);
        }
        if self.chance(0.6) {
            let any = self.condition(&items, 2);
            condition.push(any);
        }
        let mut text = Text::both("SELECT ");
        let mut tail = Text::both("");
        let columns: Vec<String> = items
            .iter()
            .flat_map(|item| item.columns.iter().map(move |(name, _)| format!("{}.{name}", item.alias)))
            .collect();
        let some: Vec<String> =
            (0..self.rng.random_range(1..5)).map(|_| columns.choose(self.rng).expect("a column").clone()).collect();
        let item = items.choose(self.rng).expect("an item").clone();
        let own_key: Vec<String> =
            item.columns[..item.key].iter().map(|(name, _)| format!("{}.{name}", item.alias)).collect();
        match self.rng.random_range(if self.calm { 6 } else { 0 }..20) {
            0 => {
                text.push(&self.either(
                    Fault::AggregatesIgnored,
                    format!("count(*), max({}.x)", item.alias),
                    some.join(", "),
                ));
            }
            1 | 2 => {
                let by = if self.chance(0.5) { format!("{}.y", item.alias) } else { own_key.join(", ") };
                text.push(&Text::both(format!("count(*), sum({}.x)", item.alias)));
                tail = self.either(
                    Fault::AnyGroupHoldsKey,
                    format!(" GROUP BY {by}"),
                    format!(" GROUP BY {}", own_key.join(", ")),
                );
            }
            3 => {
                text.push(&self.either(Fault::DistinctIgnored, "DISTINCT ", ""));
                text.push(&Text::both(some.join(", ")));
            }
            4 => {
                let by = if self.chance(0.5) { format!("{}.y", item.alias) } else { own_key.join(", ") };
                let window = format!("count(*) OVER (PARTITION BY {by})");
                text.push(&self.either(Fault::WindowsIgnored, window, "1"));
                text.push(&Text::both(format!(", {}", some.join(", "))));
            }
            5 => {
                let numbers: Vec<String> = (1..=some.len()).map(|n| n.to_string()).collect();
                text.push(&Text::both(some.join(", ")));
                let limit = format!(" ORDER BY {} LIMIT {}", numbers.join(", "), self.rng.random_range(1..6));
                tail = self.either(Fault::LimitIgnored, limit, "");
            }
            6 => {
                let inner = self.correlated(&items, "max(z.x)");
                text.push(&self.subquery(inner.wrap("(", ")"), "1"));
                text.push(&Text::both(format!(", {}", some.join(", "))));
            }
            7..=10 => text.push(&Text::both("*")),
            _ => text.push(&Text::both(some.join(", "))),
        }
        text.push(&Text::both(" FROM "));
        text.push(&from);
        if !condition.is_empty() {
            text.push(&Text::join(&condition, " AND ").wrap(" WHERE ", ""));
        }
        text.push(&tail);
        text
    }

    fn table(&mut self) -> Table {
        // The reference table is the last; these faults show at its outer joins.
        let replicated = matches!(self.fault, Fault::CoalesceBinds | Fault::ReplicatedPreserved) && self.chance(0.3);
        let at = if replicated { 3 } else { *[0, 0, 0, 1, 1, 2, 3].choose(self.rng).expect("a table") };
        self.universe.tables[at].clone()
    }

    /// A FROM tree and what it shows.
    fn from(&mut self, depth: usize) -> (Text, Vec<Item>) {
        if depth == 0 {
            return self.leaf();
        }
        let (left_depth, right_depth) = if self.chance(0.7) { (depth - 1, 0) } else { (0, depth - 1) };
        let (left, left_items) = self.from(left_depth);
        let (right, right_items) = self.from(right_depth);
        let mut items = left_items.clone();
        items.extend(right_items.iter().cloned());
        let kind =
            *["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"]
                .choose(self.rng)
                .expect("a kind");
        let replicated = |items: &[Item]| items.iter().all(|item| !item.sharded);
        let shown = match (self.fault, kind) {
            (Fault::OuterOnBindsBoth, "LEFT JOIN" | "RIGHT JOIN") | (Fault::FullOnBinds, "FULL JOIN") => "JOIN",
            (Fault::ReplicatedPreserved, "LEFT JOIN") if replicated(&left_items) => "JOIN",
            (Fault::ReplicatedPreserved, "RIGHT JOIN") if replicated(&right_items) => "JOIN",
            _ => kind,
        };
        // A subtree on the right is in parentheses.
        let right = if right_depth > 0 { right.wrap("(", ")") } else { right };
        let mut text = left;
        text.push(&Text { truth: format!(" {kind} "), planted: format!(" {shown} ") });
        text.push(&right);
        if kind == "CROSS JOIN" {
            return (text, items);
        }
        if left_depth == 0 && right_depth == 0 && self.fault == Fault::None && self.chance(0.15) {
            let key: Vec<&str> =
                left_items[0].columns[..left_items[0].key].iter().map(|(name, _)| name.as_str()).collect();
            text.push(&Text::both(format!(" USING ({})", key.join(", "))));
            return (text, items);
        }
        let mut on = Vec::new();
        let by_key = self.calm || self.chance(0.8);
        let (a, b) = (left_items.choose(self.rng).expect("an item"), right_items.choose(self.rng).expect("an item"));
        let equal = key_equality(a, b);
        if by_key {
            on.push(Text::both(equal));
        } else {
            let truth = if self.chance(0.5) { format!("{}.x = {}.x", a.alias, b.alias) } else { "true".into() };
            let planted = format!("{truth} AND {equal}");
            // Full joins need a condition they can merge by.
            let truth = if kind == "FULL JOIN" { format!("{}.x = {}.x", a.alias, b.alias) } else { truth };
            on.push(self.either(Fault::AnyJoinIsByKey, truth, planted));
        }
        if self.chance(0.4) && kind != "FULL JOIN" {
            let more = if self.chance(0.5) { self.key_condition(&items) } else { self.condition(&items, 1) };
            on.push(more);
        } else if kind == "FULL JOIN" && self.chance(0.5) {
            // Only conditions of one column: they keep the join mergeable.
            let more = self.key_condition(&items);
            on.push(more);
        }
        text.push(&Text::join(&on, " AND ").wrap(" ON ", ""));
        (text, items)
    }

    fn leaf(&mut self) -> (Text, Vec<Item>) {
        let alias = self.alias();
        if !self.ctes.is_empty() && self.chance(0.4) {
            let item = Item { alias: alias.clone(), ..self.ctes[0].clone() };
            return (Text::both(format!("w AS {alias}")), vec![item]);
        }
        let table = self.table();
        let key = table.columns.len() - 2;
        let item = Item { alias: alias.clone(), columns: table.columns.clone(), key, sharded: table.key > 0 };
        if self.calm || !self.chance(0.2) {
            return (Text::both(format!("{} AS {alias}", table.name)), vec![item]);
        }
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
        let condition = self.local_condition(&table);
        let keys = names[..key].join(", ");
        let text = match self.rng.random_range(0..4) {
            0 => {
                let limit = format!(" ORDER BY {} LIMIT {}", names.join(", "), self.rng.random_range(1..8));
                let mut text = condition.wrap(&format!("(SELECT {} FROM {} ", names.join(", "), table.name), "");
                text.push(&self.either(Fault::LimitLookedThrough, limit, ""));
                text.wrap("", &format!(") AS {alias}"))
            }
            1 => {
                let group = format!("(SELECT {keys}, max(x) AS x, sum(y)::int4 AS y FROM {} ", table.name);
                condition.wrap(&group, &format!(" GROUP BY {keys}) AS {alias}"))
            }
            2 if table.columns[0].1 != Ty::Uuid => {
                let most: Vec<String> = names.iter().map(|name| format!("max({name}) AS {name}")).collect();
                let mut text = Text::both("(SELECT ");
                text.push(&self.either(Fault::AggregateLookedThrough, most.join(", "), names.join(", ")));
                text.push(&condition.wrap(&format!(" FROM {} ", table.name), &format!(") AS {alias}")));
                text
            }
            _ => {
                condition.wrap(&format!("(SELECT {} FROM {} ", names.join(", "), table.name), &format!(") AS {alias}"))
            }
        };
        (text, vec![item])
    }

    /// `WHERE …` over one table's own columns, or nothing.
    fn local_condition(&mut self, table: &Table) -> Text {
        if self.chance(0.4) {
            return Text::both("");
        }
        let item = Item {
            alias: table.name.into(),
            columns: table.columns.clone(),
            key: table.columns.len() - 2,
            sharded: table.key > 0,
        };
        let items = [item];
        let condition = if self.chance(0.6) { self.key_condition(&items) } else { self.condition(&items, 1) };
        condition.wrap("WHERE ", "")
    }

    /// A condition that fixes a key, mostly.
    fn key_condition(&mut self, items: &[Item]) -> Text {
        let item = items.choose(self.rng).expect("an item").clone();
        let columns: Vec<(String, Ty)> =
            item.columns[..item.key].iter().map(|(name, ty)| (format!("{}.{name}", item.alias), *ty)).collect();
        if columns.len() > 1 && self.chance(0.4) {
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let rows: Vec<Text> = (0..self.rng.random_range(1..3))
                .map(|_| {
                    let values: Vec<Text> = columns.iter().map(|(_, ty)| self.plain(*ty)).collect();
                    Text::join(&values, ", ").wrap("(", ")")
                })
                .collect();
            return Text::join(&rows, ", ").wrap(&format!("({}) IN (", names.join(", ")), ")");
        }
        let parts: Vec<Text> = columns.iter().map(|(name, ty)| self.equals(name, *ty)).collect();
        Text::join(&parts, " AND ")
    }

    fn equals(&mut self, column: &str, ty: Ty) -> Text {
        match self.rng.random_range(0..8) {
            0 => {
                let values: Vec<Text> = (0..self.rng.random_range(1..4)).map(|_| self.plain(ty)).collect();
                Text::join(&values, ", ").wrap(&format!("{column} IN ("), ")")
            }
            1 => {
                let values: Vec<Text> = (0..self.rng.random_range(1..3)).map(|_| self.plain(ty)).collect();
                let cast = name_of(ty);
                Text::join(&values, ", ").wrap(&format!("{column} = ANY (ARRAY["), &format!("]::{cast}[])"))
            }
            2 => self.value(ty).wrap("", &format!(" = {column}")),
            _ => self.value(ty).wrap(&format!("{column} = "), ""),
        }
    }

    /// Any condition.
    fn condition(&mut self, items: &[Item], depth: usize) -> Text {
        if depth > 0 {
            match self.rng.random_range(0..12) {
                0 | 1 => {
                    let parts = [self.condition(items, depth - 1), self.condition(items, depth - 1)];
                    return Text::join(&parts, " AND ").wrap("(", ")");
                }
                2..=4 => {
                    let (a, b) = (self.condition(items, depth - 1), self.condition(items, depth - 1));
                    let mut text = a;
                    text.push(&self.either(Fault::OrIntersects, " OR ", " AND "));
                    text.push(&b);
                    return text.wrap("(", ")");
                }
                5 => {
                    let inner = self.condition(items, depth - 1);
                    let mut text = self.either(Fault::NotIgnored, "NOT ", "");
                    text.push(&inner.wrap("(", ")"));
                    return text;
                }
                6 => {
                    let inner = self.correlated(items, "1");
                    let word = if self.chance(0.3) { "NOT EXISTS (" } else { "EXISTS (" };
                    return self.subquery(inner.wrap(word, ")"), "true");
                }
                7 => {
                    let item = items.choose(self.rng).expect("an item").clone();
                    let table = self.table();
                    let condition = self.local_condition(&table);
                    let word = if self.chance(0.3) { "NOT IN" } else { "IN" };
                    let inner = condition
                        .wrap(&format!("{}.k {word} (SELECT {}.k FROM {} ", item.alias, table.name, table.name), ")");
                    return self.subquery(inner, "true");
                }
                _ => {}
            }
        }
        self.simple(items)
    }

    /// A subquery, which a planner with a fault does not see.
    fn subquery(&self, text: Text, planted: &str) -> Text {
        if self.planting(Fault::SubqueriesIgnored) { Text { planted: planted.into(), ..text } } else { text }
    }

    /// A subquery over a table `z`, mostly with the key of an item around it.
    fn correlated(&mut self, items: &[Item], output: &str) -> Text {
        let table = self.table();
        let item = items.choose(self.rng).expect("an item").clone();
        let inner = Item {
            alias: "z".into(),
            columns: table.columns.clone(),
            key: table.columns.len() - 2,
            sharded: table.key > 0,
        };
        let by_key = self.calm || self.chance(0.7);
        let link = if by_key { key_equality(&inner, &item) } else { format!("z.x = {}.x", item.alias) };
        let mut text = Text::both(format!("SELECT {output} FROM {} AS z WHERE {link}", table.name));
        if self.chance(0.3) {
            let more = self.key_condition(&[inner]);
            text.push(&more.wrap(" AND ", ""));
        }
        text
    }

    fn simple(&mut self, items: &[Item]) -> Text {
        let item = items.choose(self.rng).expect("an item").clone();
        let at = if self.chance(0.6) { 0 } else { self.rng.random_range(0..item.columns.len()) };
        let (name, ty) = item.columns[at].clone();
        let column = format!("{}.{name}", item.alias);
        // A planted fault is looked for where it can show.
        let planted = match self.fault {
            Fault::IsNullGivesNothing => Some(0),
            Fault::NotDistinctIsEquality => Some(2),
            Fault::CoalesceBinds => Some(3),
            Fault::ExpressionBinds => Some(4),
            Fault::CastCuts => Some(5),
            Fault::UnequalBinds => Some(6),
            _ => None,
        };
        match planted.filter(|_| self.rng.random_bool(0.5)).unwrap_or_else(|| self.rng.random_range(0..15)) {
            0 => self.either(Fault::IsNullGivesNothing, format!("{column} IS NULL"), format!("{column} = NULL")),
            1 => Text::both(format!("{column} IS NOT NULL")),
            2 => {
                let other = items.choose(self.rng).expect("an item");
                let other =
                    &other.columns.iter().find(|(_, of)| *of == ty).map(|(name, _)| format!("{}.{name}", other.alias));
                let right = match other {
                    Some(other) if self.rng.random_bool(0.5) => Text::both(other),
                    _ if self.rng.random_bool(0.4) => Text::both("NULL"),
                    _ => self.plain(ty),
                };
                let mut text = self.either(
                    Fault::NotDistinctIsEquality,
                    format!("{column} IS NOT DISTINCT FROM "),
                    format!("{column} = "),
                );
                text.push(&right);
                text
            }
            3 => {
                let n = self.rng.random_range(0..DOMAIN);
                let other = if self.rng.random_bool(0.5) { n } else { self.rng.random_range(0..DOMAIN) };
                let (value, other) = (quoted(&ty.value(n)), quoted(&ty.value(other)));
                let truth = format!("coalesce({column}, {other}) = {value}");
                self.either(Fault::CoalesceBinds, truth, format!("{column} = {value}"))
            }
            4 if ty.is_int() => {
                let value = self.plain(ty);
                let mut text = self.either(Fault::ExpressionBinds, format!("{column} + 1 = "), format!("{column} = "));
                text.push(&value);
                text
            }
            5 if ty.is_int() => {
                let n = self.rng.random_range(0..5);
                self.either(Fault::CastCuts, format!("{column} = {n}.6::int4"), format!("{column} = {n}"))
            }
            6 => {
                let value = self.plain(ty);
                let mut text = self.either(Fault::UnequalBinds, format!("{column} <> "), format!("{column} = "));
                text.push(&value);
                text
            }
            7 | 8 => {
                let op = *["<", "<=", ">", ">="].choose(self.rng).expect("an operator");
                self.plain(ty).wrap(&format!("{column} {op} "), "")
            }
            9 => {
                let values = [self.plain(ty), self.plain(ty)];
                Text::join(&values, " AND ").wrap(&format!("{column} BETWEEN "), "")
            }
            10 => {
                let value = self.plain(ty);
                value.wrap(&format!("CASE WHEN {column} = "), " THEN true ELSE false END")
            }
            11 => Text::both(format!("{column}::text = {}", quoted(&ty.value(self.rng.random_range(0..DOMAIN))))),
            12 => {
                let other = items.choose(self.rng).expect("an item").clone();
                let other =
                    other.columns.iter().find(|(_, of)| *of == ty).map(|(name, _)| format!("{}.{name}", other.alias));
                Text::both(format!("{column} = {}", other.unwrap_or_else(|| column.clone())))
            }
            _ => self.equals(&column, ty),
        }
    }

    /// A constant in one of its spellings.
    fn value(&mut self, ty: Ty) -> Text {
        match self.rng.random_range(0..16) {
            0 => Text::both("NULL"),
            1 if ty.is_int() => Text::both("99999999999999999999"),
            2 if ty.is_int() => Text::both(format!("{}.0", self.rng.random_range(0..5))),
            _ => self.plain(ty),
        }
    }

    /// A constant that is no NULL.
    fn plain(&mut self, ty: Ty) -> Text {
        let value = ty.value(self.rng.random_range(0..DOMAIN));
        let text = match self.rng.random_range(0..6) {
            0 if ty == Ty::Int4 => {
                format!("{}::{}", parenthesised(&value), ["int4", "int8", "int2"][self.rng.random_range(0..3)])
            }
            0 | 1 => format!("{}::{}", quoted(&value), name_of(ty)),
            2 | 3 => {
                self.params.push(Some(value));
                format!("${}", self.params.len())
            }
            4 if ty.is_int() => value,
            _ => quoted(&value),
        };
        Text::both(text)
    }
}

fn parenthesised(value: &str) -> String {
    if value.starts_with('-') { format!("({value})") } else { value.to_owned() }
}

fn name_of(ty: Ty) -> &'static str {
    match ty {
        Ty::Int4 => "int4",
        Ty::Int8 => "int8",
        Ty::Text => "text",
        Ty::Uuid => "uuid",
    }
}

/// Equality of the whole keys of two items.
fn key_equality(a: &Item, b: &Item) -> String {
    let parts: Vec<String> =
        a.columns[..a.key].iter().map(|(name, _)| format!("{}.{name} = {}.{name}", a.alias, b.alias)).collect();
    parts.join(" AND ")
}
