//! Settings a client gave at start-up, and the statements that bring a server from one set of them to another.

/// Run-time parameters by name, as a start-up packet or its `options` give them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Sorted by name, names folded and distinct.
    vars: Vec<(String, String)>,
}

impl Settings {
    /// From names and values in the order given: the last value of a name counts, names are folded.
    pub fn new(given: impl IntoIterator<Item = (String, String)>) -> Settings {
        let mut vars: Vec<(String, String)> = Vec::new();
        for (name, value) in given {
            let name = name.to_ascii_lowercase();
            vars.retain(|(known, _)| *known != name);
            vars.push((name, value));
        }
        vars.sort();
        Settings { vars }
    }

    /// The names and values, sorted by name.
    pub fn vars(&self) -> &[(String, String)] {
        &self.vars
    }

    /// The value of `name` (folded).
    pub fn value(&self, name: &str) -> Option<&str> {
        self.vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The simple Query that brings a server from `from` to `self`; `None` when there is nothing to do.
    ///
    /// `set_config` takes a value as the start-up packet does, as one raw string (`SET search_path TO 'a, b'` would make
    /// it one schema of that name). Names and values are quoted as PostgreSQL's literals, whatever the client put in.
    pub fn change_sql(&self, from: &Settings) -> Option<String> {
        let mut sql = String::new();
        for (name, _) in &from.vars {
            if self.value(name).is_none() {
                sql.push_str(&format!("RESET {};", quote_ident(name)));
            }
        }
        for (name, value) in &self.vars {
            if from.value(name) != Some(value) {
                sql.push_str(&format!(
                    "SELECT pg_catalog.set_config({}, {}, false);",
                    quote_literal(name),
                    quote_literal(value)
                ));
            }
        }
        (!sql.is_empty()).then_some(sql)
    }
}

/// Splits the value of the start-up parameter `options` into settings: `-c name=value` and `--name=value`, blanks escaped by
/// a backslash, as `pg_split_opts` does.
///
/// # Errors
/// The first word that is neither.
pub fn read_options(options: &str) -> Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().ok_or_else(|| word.clone())?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(word);
        };
        // PostgreSQL turns dashes of a name into underscores (ParseLongOption).
        let (name, value) = assignment.split_once('=').ok_or_else(|| assignment.clone())?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut inside = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                inside = true;
                word.extend(chars.next());
            }
            c if c.is_ascii_whitespace() => {
                if std::mem::take(&mut inside) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                inside = true;
                word.push(c);
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

/// An identifier in double quotes.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A literal that reads the same whatever `standard_conforming_strings` says.
pub fn quote_literal(value: &str) -> String {
    if value.contains('\\') {
        format!(" E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> Settings {
        Settings::new(vars.iter().map(|(n, v)| (n.to_string(), v.to_string())))
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let found = settings(&[("TimeZone", "UTC"), ("a", "1"), ("timezone", "CET")]);
        assert_eq!(found.vars(), [("a".to_owned(), "1".to_owned()), ("timezone".to_owned(), "CET".to_owned())]);
    }

    #[test]
    fn changes_reset_what_is_gone_and_set_what_differs() {
        let from = settings(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let to = settings(&[("b", "2"), ("c", "it's")]);
        assert_eq!(to.change_sql(&from).unwrap(), "RESET \"a\";SELECT pg_catalog.set_config('c', 'it''s', false);");
        assert_eq!(to.change_sql(&to), None);
        assert!(settings(&[("x", "\\'; DROP")]).change_sql(&Settings::default()).unwrap().contains(" E'\\\\''; DROP'"));
    }

    #[test]
    fn options_are_split_as_the_server_splits_them() {
        let read = |text: &str| read_options(text);
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(read("-c a=1 --b-c=x\\ y -cd=2"), Ok(vec![pair("a", "1"), pair("b_c", "x y"), pair("d", "2")]));
        assert_eq!(read("  "), Ok(vec![]));
        assert_eq!(read("-c"), Err("-c".to_owned()));
        assert_eq!(read("-k x"), Err("-k".to_owned()));
        assert_eq!(read("-c novalue"), Err("novalue".to_owned()));
    }
}
