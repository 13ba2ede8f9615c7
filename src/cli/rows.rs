//! Rows as people and programs read them.

use std::fmt::Write as _;

/// The form of rows on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputForm {
    /// Aligned columns, as psql has them.
    #[default]
    Table,
    /// An array of objects.
    Json,
}

/// What a column holds, as far as its form is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On the left; a string in JSON.
    Text,
    /// On the right; a number in JSON.
    Number,
    /// On the left; true or false in JSON.
    Bool,
}

impl Kind {
    /// The kind of a type by its `pg_type.oid`.
    pub fn of_type(oid: u32) -> Kind {
        match oid {
            // int8, int2, int4, oid, float4, float8, numeric.
            20 | 21 | 23 | 26 | 700 | 701 | 1700 => Kind::Number,
            16 => Kind::Bool,
            _ => Kind::Text,
        }
    }
}

/// A result: columns and rows of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Names and kinds.
    pub columns: Vec<(String, Kind)>,
    /// Each as long as `columns`; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// Columns without rows.
    pub fn new(columns: &[(&str, Kind)]) -> Rows {
        Rows { columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(), rows: Vec::new() }
    }

    /// In the given form, with a line end behind it.
    pub fn written(&self, form: OutputForm) -> String {
        match form {
            OutputForm::Table => self.table(),
            OutputForm::Json => self.json() + "\n",
        }
    }

    /// As psql prints it: columns aligned, a rule, the number of rows.
    fn table(&self) -> String {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| printable(cell.as_deref())).collect()).collect();
        let names: Vec<String> = self.columns.iter().map(|(name, _)| printable(Some(name))).collect();
        let width = |index: usize| {
            let cells = cells.iter().map(|row| row[index].chars().count());
            cells.chain([names[index].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = String::new();
        let centred: Vec<String> = names.iter().zip(&widths).map(|(name, width)| format!("{name:^width$}")).collect();
        line(&mut out, &centred);
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        out.push_str(&rule.join("+"));
        out.push('\n');
        for row in &cells {
            let cells = row.iter().zip(&widths).zip(&self.columns).map(|((cell, width), (_, kind))| match kind {
                Kind::Number => format!("{cell:>width$}"),
                Kind::Text | Kind::Bool => format!("{cell:<width$}"),
            });
            line(&mut out, &cells.collect::<Vec<_>>());
        }
        let count = self.rows.len();
        let _ = writeln!(out, "({count} row{})", if count == 1 { "" } else { "s" });
        out
    }

    /// An array of objects, one to a line; the columns stay in their order.
    pub fn json(&self) -> String {
        let object = |row: &Vec<Option<String>>| {
            let members = self.columns.iter().zip(row);
            let members: Vec<String> = members
                .map(|((name, kind), cell)| format!("{}: {}", json_string(name), json_value(*kind, cell.as_deref())))
                .collect();
            format!("{{{}}}", members.join(", "))
        };
        let objects: Vec<String> = self.rows.iter().map(object).collect();
        if objects.is_empty() { "[]".to_owned() } else { format!("[\n  {}\n]", objects.join(",\n  ")) }
    }
}

fn line(out: &mut String, cells: &[String]) {
    let line = format!(" {}", cells.join(" | "));
    out.push_str(line.trim_end());
    out.push('\n');
}

/// A cell in one line that does nothing to the terminal.
fn printable(cell: Option<&str>) -> String {
    let mut out = String::new();
    for c in cell.unwrap_or_default().chars() {
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_value(kind: Kind, cell: Option<&str>) -> String {
    let Some(text) = cell else { return "null".to_owned() };
    match kind {
        Kind::Bool if matches!(text, "t" | "true") => "true".to_owned(),
        Kind::Bool if matches!(text, "f" | "false") => "false".to_owned(),
        // "NaN" and "Infinity" are numbers to PostgreSQL and none to JSON.
        Kind::Number if serde_json::from_str::<serde_json::Number>(text).is_ok() => text.to_owned(),
        _ => json_string(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new(&[("shard", Kind::Text), ("lag_bytes", Kind::Number), ("up", Kind::Bool)]);
        let row = |cells: [Option<&str>; 3]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
        rows.rows.push(row([Some("s1"), Some("5"), Some("t")]));
        rows.rows.push(row([Some("größer"), Some("123456789012"), Some("f")]));
        rows.rows.push(row([Some("a\"\u{1b}[2J\n"), None, None]));
        rows
    }

    #[test]
    fn tables_are_aligned_as_psql_s() {
        assert_eq!(
            rows().written(OutputForm::Table),
            [
                "     shard     |  lag_bytes   | up",
                "---------------+--------------+----",
                " s1            |            5 | t",
                " größer        | 123456789012 | f",
                " a\"\\u{1b}[2J\\n |              |",
                "(3 rows)",
                "",
            ]
            .join("\n")
        );
        assert_eq!(Rows::new(&[("a", Kind::Text)]).written(OutputForm::Table), " a\n---\n(0 rows)\n");
    }

    #[test]
    fn json_keeps_kinds_and_the_order_of_columns() {
        let text = rows().written(OutputForm::Json);
        assert!(text.starts_with("[\n  {\"shard\": \"s1\", \"lag_bytes\": 5, \"up\": true},\n"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[1]["lag_bytes"], 123_456_789_012_u64);
        assert_eq!(value[2]["shard"], "a\"\u{1b}[2J\n");
        assert_eq!(value[2]["lag_bytes"], serde_json::Value::Null);
        assert_eq!(Rows::new(&[("a", Kind::Text)]).json(), "[]");
        assert_eq!(json_value(Kind::Number, Some("NaN")), "\"NaN\"");
    }
}
