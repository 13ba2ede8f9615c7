//! The console's commands as text.

use std::fmt;

use crate::wire::{Diagnostic, SqlState};

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Pools with their clients and servers.
    Pools,
    /// Clients.
    Clients,
    /// Servers.
    Servers,
    /// Databases.
    Databases,
    /// Counters by database.
    Stats,
    /// The configuration.
    Config,
    /// Nodes.
    Nodes,
    /// How far replicas are behind.
    Lag,
    /// Shards.
    Shards,
    /// Who owns what.
    Map,
    /// The version.
    Version,
    /// The commands.
    Help,
}

impl Show {
    /// All of them, with their words and what they show.
    pub const ALL: [(Show, &'static str, &'static str); 12] = [
        (Show::Pools, "POOLS", "servers in use and clients waiting, per node, database and user"),
        (Show::Clients, "CLIENTS", "the connections to pgweave"),
        (Show::Servers, "SERVERS", "the connections from pgweave"),
        (Show::Databases, "DATABASES", "the databases and their settings"),
        (Show::Stats, "STATS", "what each database has done since the start"),
        (Show::Config, "CONFIG", "every setting, defaults included"),
        (Show::Nodes, "NODES", "every node, its role and its health"),
        (Show::Lag, "LAG", "how far each replica is behind its primary"),
        (Show::Shards, "SHARDS", "each shard, its primary, and what is wrong with it"),
        (Show::Map, "MAP", "which shard owns which range, and where tables live"),
        (Show::Version, "VERSION", "the version of pgweave"),
        (Show::Help, "HELP", "this list"),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        // Every variant is in the list; the test below compares.
        Show::ALL.iter().find(|(show, _, _)| *show == self).map_or("HELP", |(_, word, _)| word)
    }
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing but blanks and comments.
    Empty,
    /// `SHOW …`.
    Show(Show),
    /// `RELOAD`.
    Reload,
}

/// A text that is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The text, shortened.
    text: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown command \"{}\"", self.text)
    }
}

impl Unknown {
    /// What the client reads.
    pub fn diagnostic(&self) -> Diagnostic {
        let words: Vec<&str> = Show::ALL.iter().map(|(_, word, _)| *word).collect();
        Diagnostic::error(SqlState::SYNTAX_ERROR, self.to_string())
            .detail("This is the console of pgweave, which takes no SQL.")
            .hint(format!("Commands are SHOW {} and RELOAD.", words.join("|")))
    }
}

/// The longest part of an unknown command that is shown again, in characters.
const SHOWN_CHARS: usize = 60;

/// Splits a text at its semicolons into commands without comments. An empty text is one empty command; empty parts of others
/// are left out.
pub fn split(text: &str) -> Vec<String> {
    let plain = without_comments(text);
    let parts = plain.split(';').filter(|part| !part.trim().is_empty());
    let parts: Vec<String> = parts.map(|part| part.trim().to_owned()).collect();
    if parts.is_empty() { vec![String::new()] } else { parts }
}

/// Reads one command: any case, any blanks, comments and a semicolon at the end allowed.
///
/// # Errors
/// [`Unknown`] for anything else.
pub fn read(text: &str) -> Result<Command, Unknown> {
    let words = words(text.trim_end_matches(|c: char| c == ';' || c.is_whitespace()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let unknown = || Unknown { text: text.trim().chars().take(SHOWN_CHARS).collect() };
    match words[..] {
        [] => Ok(Command::Empty),
        ["SHOW", what] => {
            let found = Show::ALL.iter().find(|(_, word, _)| *word == what);
            found.map(|(show, _, _)| Command::Show(*show)).ok_or_else(unknown)
        }
        ["RELOAD"] => Ok(Command::Reload),
        _ => Err(unknown()),
    }
}

/// The words of a text in upper case, without comments.
fn words(text: &str) -> Vec<String> {
    without_comments(text).split_whitespace().map(str::to_ascii_uppercase).collect()
}

fn without_comments(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = [rest.find("--"), rest.find("/*")].into_iter().flatten().min() {
        plain.push_str(&rest[..at]);
        plain.push(' ');
        let end = if rest[at..].starts_with("--") { "\n" } else { "*/" };
        rest = rest[at..].split_once(end).map_or("", |(_, behind)| behind);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let check = |text: &str, expect| assert_eq!(read(text).ok(), expect, "{text}");
        check("SHOW POOLS", Some(Command::Show(Show::Pools)));
        check("  show\n\tpools ; ", Some(Command::Show(Show::Pools)));
        check("Show Lag;;", Some(Command::Show(Show::Lag)));
        check("/* who */ SHOW -- what\n map", Some(Command::Show(Show::Map)));
        check("reload;", Some(Command::Reload));
        check("", Some(Command::Empty));
        check(";", Some(Command::Empty));
        check("-- nothing", Some(Command::Empty));
        for wrong in ["SHOW", "SHOW POOL", "SHOW POOLS CLIENTS", "SELECT 1", "RELOAD NOW", "SHOWPOOLS"] {
            check(wrong, None);
        }
        for (show, word, _) in Show::ALL {
            check(&format!("show {word}"), Some(Command::Show(show)));
            assert_eq!(show.word(), word);
        }
    }

    #[test]
    fn several_commands() {
        assert_eq!(split("SHOW LAG; /* a; b */ SHOW MAP ;"), ["SHOW LAG", "SHOW MAP"]);
        assert_eq!(split(" ; "), [""]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn an_unknown_command_names_the_known_ones() {
        let told = read("SELECT 1").unwrap_err().diagnostic();
        assert_eq!(told.message, "unknown command \"SELECT 1\"");
        assert!(told.hint.unwrap().contains("POOLS|CLIENTS|"));
        assert_eq!(read(&"x".repeat(1000)).unwrap_err().text.len(), SHOWN_CHARS);
    }
}
