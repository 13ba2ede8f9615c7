//! What a statement is, from its tokens alone.
//!
//! The small, closed grammars that a session lives by (transactions, settings, cursors, prepared names, COPY's header) are
//! read here by hand and whole: a recogniser that does not reach the end of the statement says [`Kind::Unknown`], because
//! PostgreSQL will refuse the statement and must be the one to say so. For the rest the first keyword tells the class.

use super::analysis::{Copy, Isolation, Kind, Pin, Set, TxModes};
use super::cursor::Cursor;
use super::functions;
use super::lexer::{Token, TokenKind};
use super::names::{self, Keyword};

/// What the tokens tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// The kind.
    pub kind: Kind,
    /// What it leaves on its server.
    pub pin: Option<Pin>,
    /// Whether anything in it could write or lock.
    pub may_write: bool,
    /// The names called like functions.
    pub functions: Vec<String>,
}

/// Recognises one statement: `tokens` are those of one piece, without its semicolon.
pub fn recognise(text: &str, tokens: &[Token]) -> Recognised {
    let cursor = Cursor::new(text, tokens);
    let functions = functions::called(text, tokens);
    let kind = if tokens.iter().any(|token| token.is_symbol(text, ";")) && !is_atomic(text, tokens) {
        // Two commands where one is allowed.
        Kind::Unknown
    } else {
        kind(cursor)
    };
    let pin = pin(cursor, &kind, &functions);
    let may_write = may_write(text, tokens, &kind);
    Recognised { kind, pin, may_write, functions }
}

/// Whether it is a CREATE whose body may hold semicolons: `BEGIN ATOMIC …; END`, or a rule's `( …; … )`.
pub fn is_atomic(text: &str, tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|token| token.is_word(text, "create"))
        && (has_words(text, tokens, "begin", "atomic")
            || tokens.get(1..4).is_some_and(|head| head.iter().any(|token| token.is_word(text, "rule"))))
}

fn has_words(text: &str, tokens: &[Token], first: &str, second: &str) -> bool {
    tokens.windows(2).any(|pair| pair[0].is_word(text, first) && pair[1].is_word(text, second))
}

/// Every identifier of the statement that could name a relation, folded, with the schema if it has one, each once.
pub fn relation_names(text: &str, tokens: &[Token]) -> Vec<(Option<String>, String)> {
    let mut found: Vec<(Option<String>, String)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (index, token) in tokens.iter().enumerate() {
        let dotted = index >= 2 && tokens[index - 1].is_symbol(text, ".");
        let reserved = token.kind == TokenKind::Word
            && matches!(names::keyword(token.text(text)), Some(Keyword::Reserved | Keyword::TypeOrFunction));
        if reserved && !dotted {
            continue;
        }
        let escape = uescape(text, tokens, index);
        let Some(name) = names::identifier(text, token, escape) else { continue };
        let schema =
            if dotted { names::identifier(text, &tokens[index - 2], uescape(text, tokens, index - 2)) } else { None };
        if seen.insert((schema.clone(), name.clone())) {
            found.push((schema, name));
        }
    }
    found
}

/// The escape character of a `U&"…"` at `index`.
fn uescape(text: &str, tokens: &[Token], index: usize) -> char {
    match tokens.get(index + 1..index + 3) {
        Some([word, value]) if word.is_word(text, "uescape") => value.text(text).chars().nth(1).unwrap_or('\\'),
        _ => '\\',
    }
}

fn kind(mut cursor: Cursor<'_>) -> Kind {
    if cursor.done() {
        return Kind::Empty;
    }
    let mut query = cursor;
    while query.symbol("(") {}
    if query.index() > 0 {
        return if is_query(query) { Kind::Select } else { Kind::Unknown };
    }
    let first = cursor.peek_word();
    let whole = match first.as_str() {
        "select" | "values" | "table" => return Kind::Select,
        "with" => return with(cursor),
        "insert" => return Kind::Insert,
        "update" => return Kind::Update,
        "delete" => return Kind::Delete,
        "merge" => return Kind::Merge,
        "begin" | "start" => begin(&mut cursor),
        "commit" | "end" => commit(&mut cursor),
        "rollback" | "abort" => rollback(&mut cursor),
        "savepoint" => savepoint(&mut cursor),
        "release" => release(&mut cursor),
        "prepare" => return prepare(cursor),
        "set" => set(&mut cursor),
        "reset" => reset(&mut cursor),
        "show" => show(&mut cursor),
        "discard" => discard(&mut cursor),
        "execute" => {
            cursor.skip();
            return cursor.name().map_or(Kind::Unknown, Kind::Execute);
        }
        "deallocate" => deallocate(&mut cursor),
        "declare" => return declare(cursor),
        "fetch" | "move" | "close" => return Kind::Cursor,
        "listen" | "unlisten" | "notify" => return Kind::Notification,
        "copy" => return copy(cursor),
        "explain" => return explain(cursor),
        "lock" => return Kind::Lock,
        "create" | "alter" | "drop" | "grant" | "revoke" | "comment" | "security" | "refresh" | "reindex"
        | "reassign" | "import" => return Kind::Ddl(first),
        "call" | "do" | "truncate" | "vacuum" | "analyze" | "analyse" | "checkpoint" | "cluster" | "load"
        | "repack" => {
            return Kind::Utility(first);
        }
        _ => None,
    };
    // What is left over makes it a statement that PostgreSQL refuses.
    whole.filter(|_| cursor.done()).unwrap_or(Kind::Unknown)
}

fn is_query(cursor: Cursor<'_>) -> bool {
    ["select", "values", "table", "with"].iter().any(|word| cursor.at_word(word))
}

/// WITH: the class is that of the statement behind the list.
fn with(mut cursor: Cursor<'_>) -> Kind {
    cursor.skip();
    let mut ahead = cursor;
    if ahead.word("recursive") && !ahead.at_word("as") && !ahead.at_symbol("(") {
        cursor = ahead;
    }
    loop {
        if cursor.name().is_none() {
            return Kind::Unknown;
        }
        cursor.parenthesis();
        if !cursor.word("as") {
            return Kind::Unknown;
        }
        cursor.word("not");
        cursor.word("materialized");
        if !cursor.parenthesis() {
            return Kind::Unknown;
        }
        if !cursor.symbol(",") {
            break;
        }
    }
    // SEARCH and CYCLE are not read: their names could be any word, so the class stays unknown to us.
    while cursor.symbol("(") {}
    match cursor.peek_word().as_str() {
        "select" | "values" | "table" | "with" => Kind::Select,
        "insert" => Kind::Insert,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        "merge" => Kind::Merge,
        _ => Kind::Unknown,
    }
}

fn begin(cursor: &mut Cursor<'_>) -> Option<Kind> {
    if cursor.word("start") {
        cursor.word("transaction").then_some(())?;
    } else {
        cursor.word("begin");
        cursor.one_of(&["work", "transaction"]);
    }
    let mut modes = TxModes::default();
    let mut comma = false;
    while !cursor.done() {
        mode(cursor, &mut modes)?;
        comma = cursor.symbol(",");
    }
    (!comma).then_some(Kind::Begin(modes))
}

/// One transaction mode.
fn mode(cursor: &mut Cursor<'_>, modes: &mut TxModes) -> Option<()> {
    if cursor.words(&["isolation", "level"]) {
        let level = if cursor.word("serializable") {
            Isolation::Serializable
        } else if cursor.words(&["repeatable", "read"]) {
            Isolation::RepeatableRead
        } else if cursor.words(&["read", "committed"]) || cursor.words(&["read", "uncommitted"]) {
            Isolation::ReadCommitted
        } else {
            return None;
        };
        modes.isolation = Some(level);
    } else if cursor.words(&["read", "only"]) {
        modes.read_only = Some(true);
    } else if cursor.words(&["read", "write"]) {
        modes.read_only = Some(false);
    } else {
        cursor.word("not");
        cursor.word("deferrable").then_some(())?;
    }
    Some(())
}

/// `[AND [NO] CHAIN]`.
fn chain(cursor: &mut Cursor<'_>) -> bool {
    !cursor.words(&["and", "no", "chain"]) && cursor.words(&["and", "chain"])
}

fn commit(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let commit = cursor.word("commit");
    if !commit {
        cursor.word("end");
    } else if cursor.word("prepared") {
        cursor.skip();
        return Some(Kind::TwoPhase);
    }
    cursor.one_of(&["work", "transaction"]);
    Some(Kind::Commit { chain: chain(cursor) })
}

fn rollback(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let rollback = cursor.word("rollback");
    if !rollback {
        cursor.word("abort");
    } else if cursor.word("prepared") {
        cursor.skip();
        return Some(Kind::TwoPhase);
    }
    cursor.one_of(&["work", "transaction"]);
    if rollback && cursor.word("to") {
        return savepoint_name(cursor).map(Kind::RollbackTo);
    }
    Some(Kind::Rollback { chain: chain(cursor) })
}

fn savepoint(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    cursor.name().map(Kind::Savepoint)
}

fn release(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    savepoint_name(cursor).map(Kind::Release)
}

/// `[SAVEPOINT] name`, where the name may be `savepoint` itself.
fn savepoint_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = *cursor;
    if ahead.word("savepoint") && !ahead.done() {
        *cursor = ahead;
    }
    cursor.name()
}

fn prepare(mut cursor: Cursor<'_>) -> Kind {
    cursor.skip();
    let mut ahead = cursor;
    if ahead.word("transaction") && ahead.string_like() {
        return Kind::TwoPhase;
    }
    cursor.name().map_or(Kind::Unknown, Kind::Prepare)
}

impl Cursor<'_> {
    /// Whether the next token is any constant (of a kind that needs no reading).
    fn string_like(&self) -> bool {
        self.peek().is_some_and(|token| token.literal().is_some())
    }
}

/// SET in every form.
fn set(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    let mut ahead = *cursor;
    if ahead.word("constraints") && !ahead.at_symbol("=") && !ahead.at_word("to") {
        skip_all(cursor);
        return Some(Kind::Set(Set { name: "constraints".to_owned(), local: true, value: None, reset: false }));
    }
    let mut scoped = *cursor;
    let names_setting = |cursor: &Cursor<'_>| cursor.at_symbol("=") || cursor.at_word("to") || cursor.at_symbol(".");
    // A setting may be called `local` or `session`.
    let local = scoped.word("local") && !names_setting(&scoped);
    if local {
        *cursor = scoped;
    }
    let mut session = *cursor;
    // SESSION is a scope only when a setting follows; `SESSION CHARACTERISTICS` and `SESSION AUTHORIZATION` are settings.
    if !local
        && session.word("session")
        && !["characteristics", "authorization"].iter().any(|word| session.at_word(word))
        && !names_setting(&session)
    {
        *cursor = session;
    }
    setting(cursor, local).map(Kind::Set)
}

fn skip_all(cursor: &mut Cursor<'_>) {
    while !cursor.done() {
        cursor.skip();
    }
}

fn setting(cursor: &mut Cursor<'_>, local: bool) -> Option<Set> {
    let plain = |name: &str, value: Option<String>, reset: bool| Set { name: name.to_owned(), local, value, reset };
    let start = *cursor;
    if cursor.word("transaction") && !cursor.at_symbol("=") && !cursor.at_word("to") {
        skip_all(cursor);
        return Some(Set { name: "transaction".to_owned(), local: true, value: None, reset: false });
    }
    *cursor = start;
    if cursor.words(&["session", "characteristics", "as", "transaction"]) {
        skip_all(cursor);
        return Some(plain("session characteristics", None, false));
    }
    if cursor.words(&["time", "zone"]) {
        if cursor.one_of(&["local", "default"]) {
            return Some(plain("timezone", None, true));
        }
        // SET TIME ZONE INTERVAL '…' HOUR TO MINUTE
        let interval = cursor.at_word("interval");
        let value = if interval { None } else { cursor.number().or_else(|| word_or_string(cursor)) };
        skip_unless(cursor, value.is_some());
        return Some(plain("timezone", value, false));
    }
    if cursor.words(&["session", "authorization"]) {
        let reset = cursor.word("default");
        let value = if reset { None } else { Some(word_or_string(cursor)?) };
        return Some(plain("session authorization", value, reset));
    }
    if cursor.words(&["xml", "option"]) {
        return Some(plain("xmloption", Some(cursor.label()?), false));
    }
    let mut ahead = *cursor;
    for (word, name) in
        [("role", "role"), ("names", "client_encoding"), ("schema", "search_path"), ("catalog", "catalog")]
    {
        if ahead.word(word)
            && !ahead.at_symbol("=")
            && !ahead.at_word("to")
            && !ahead.at_symbol(".")
            && !ahead.at_word("from")
        {
            *cursor = ahead;
            if cursor.done() || cursor.word("default") {
                // SET NAMES alone is DEFAULT; SET ROLE alone is refused by PostgreSQL.
                return (word == "names").then(|| plain(name, None, true));
            }
            let value = word_or_string(cursor);
            skip_unless(cursor, value.is_some());
            return Some(plain(name, value, false));
        }
        ahead = *cursor;
    }
    let name = setting_name(cursor)?;
    if cursor.words(&["from", "current"]) {
        return Some(plain(&name, None, false));
    }
    if !cursor.symbol("=") && !cursor.word("to") {
        return None;
    }
    if cursor.word("default") {
        return Some(plain(&name, None, true));
    }
    if cursor.done() {
        return None;
    }
    let mut one = *cursor;
    let value = one.number().or_else(|| word_or_string(&mut one)).filter(|_| one.done());
    skip_all(cursor);
    Some(plain(&name, value, false))
}

fn skip_unless(cursor: &mut Cursor<'_>, understood: bool) {
    if !understood {
        skip_all(cursor);
    }
}

/// A setting's name: words joined by dots. Unlike other names it is folded by PostgreSQL even when quoted.
fn setting_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut name = cursor.label()?;
    while cursor.symbol(".") {
        name = format!("{name}.{}", cursor.label()?);
    }
    Some(name.to_ascii_lowercase())
}

/// A value that is a word (folded, unless quoted) or a string; ON and other reserved words too.
fn word_or_string(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.string().or_else(|| cursor.label())
}

fn reset(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    let name = if cursor.words(&["time", "zone"]) {
        "timezone".to_owned()
    } else if cursor.words(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_owned()
    } else if cursor.words(&["session", "authorization"]) {
        "session authorization".to_owned()
    } else {
        setting_name(cursor)?
    };
    Some(Kind::Set(Set { name, local: false, value: None, reset: true }))
}

fn show(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    Some(Kind::Show(if cursor.words(&["time", "zone"]) {
        "timezone".to_owned()
    } else if cursor.words(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_owned()
    } else if cursor.words(&["session", "authorization"]) {
        "session_authorization".to_owned()
    } else {
        setting_name(cursor)?
    }))
}

fn discard(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    let what = cursor.peek_word();
    cursor.skip();
    match what.as_str() {
        "all" | "plans" | "sequences" | "temp" => Some(Kind::Discard(what)),
        "temporary" => Some(Kind::Discard("temp".to_owned())),
        _ => None,
    }
}

fn deallocate(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.skip();
    let mut ahead = *cursor;
    if ahead.word("prepare") && !ahead.done() {
        *cursor = ahead;
    }
    if cursor.word("all") {
        return Some(Kind::Deallocate(None));
    }
    cursor.name().map(|name| Kind::Deallocate(Some(name)))
}

fn declare(mut cursor: Cursor<'_>) -> Kind {
    cursor.skip();
    let Some(name) = cursor.name() else { return Kind::Unknown };
    while cursor.one_of(&["binary", "insensitive", "asensitive", "no", "scroll"]) {}
    if !cursor.word("cursor") {
        return Kind::Unknown;
    }
    let hold = cursor.words(&["with", "hold"]);
    if !hold {
        cursor.words(&["without", "hold"]);
    }
    if cursor.word("for") { Kind::Declare { name, hold } } else { Kind::Unknown }
}

fn copy(mut cursor: Cursor<'_>) -> Kind {
    cursor.skip();
    let table = if cursor.at_symbol("(") {
        if !cursor.parenthesis() {
            return Kind::Unknown;
        }
        None
    } else {
        let mut ahead = cursor;
        // COPY BINARY t: the old form. A table may be named binary only in quotes.
        if ahead.word("binary") {
            cursor = ahead;
        }
        let Some(table) = cursor.qualified() else { return Kind::Unknown };
        cursor.parenthesis();
        Some(table)
    };
    let from = cursor.word("from");
    if !from && !cursor.word("to") || from && table.is_none() {
        return Kind::Unknown;
    }
    // PostgreSQL takes either word in either direction.
    let stdio = cursor.one_of(&["stdin", "stdout"]);
    if !stdio && !cursor.word("program") && !cursor.string_like() {
        return Kind::Unknown;
    }
    Kind::Copy(Copy { from, stdio, table })
}

/// `EXPLAIN` and its options. `EXPLAIN (ROUTE)` is ours when it is the only option; with others PostgreSQL is asked, which
/// knows no such option and refuses it.
fn explain(mut cursor: Cursor<'_>) -> Kind {
    let Some(options) = explain_options(&mut cursor) else { return Kind::Unknown };
    let route = if options.route { cursor.rest_range() } else { None };
    if cursor.done() {
        return Kind::Unknown;
    }
    Kind::Explain { analyze: options.analyze, route }
}

#[derive(Default)]
struct ExplainOptions {
    analyze: bool,
    route: bool,
}

/// Reads up to the statement inside.
fn explain_options(cursor: &mut Cursor<'_>) -> Option<ExplainOptions> {
    cursor.skip();
    let mut options = ExplainOptions::default();
    let mut inside = *cursor;
    if inside.symbol("(") && !inside.at_symbol("(") && !is_query(inside) {
        let mut count = 0;
        loop {
            let name = inside.label()?;
            count += 1;
            let value =
                if inside.at_symbol(",") || inside.at_symbol(")") { None } else { Some(option_value(&mut inside)?) };
            let on = value.is_none_or(|value| !matches!(value.as_str(), "false" | "off" | "0"));
            match name.as_str() {
                // Given twice, PostgreSQL takes the last; that it may run is what counts here.
                "analyze" | "analyse" => options.analyze |= on,
                "route" => options.route = on,
                _ => {}
            }
            if !inside.symbol(",") {
                break;
            }
        }
        options.route &= count == 1;
        inside.symbol(")").then_some(())?;
        *cursor = inside;
    } else {
        options.analyze = cursor.one_of(&["analyze", "analyse"]);
        cursor.word("verbose");
    }
    Some(options)
}

fn option_value(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.number().or_else(|| word_or_string(cursor)).map(|value| value.to_ascii_lowercase())
}

/// Whether anything could write or lock. A name that is spelled like one of the words (a column `update`) makes it true
/// too: that costs the replica, never the data.
fn may_write(text: &str, tokens: &[Token], kind: &Kind) -> bool {
    match kind {
        Kind::Empty | Kind::Begin(_) | Kind::Commit { .. } | Kind::Rollback { .. } | Kind::Show(_) => return false,
        Kind::Savepoint(_) | Kind::Release(_) | Kind::RollbackTo(_) | Kind::Set(_) | Kind::Discard(_) => return false,
        Kind::Select
        | Kind::Explain { .. }
        | Kind::Declare { .. }
        | Kind::Copy(Copy { from: false, stdio: true, .. }) => {}
        _ => return true,
    }
    tokens.iter().enumerate().any(|(index, token)| {
        if token.kind != TokenKind::Word {
            return false;
        }
        let is = |word: &&str| token.text(text).eq_ignore_ascii_case(word);
        // CREATE and EXECUTE: EXPLAIN takes them.
        if ["insert", "update", "delete", "merge", "into", "create", "execute", "refresh"].iter().any(is) {
            return true;
        }
        // `substring(a FOR 3)` and `DECLARE c CURSOR FOR` do not lock.
        is(&"for")
            && tokens
                .get(index + 1)
                .is_some_and(|next| ["update", "share", "no", "key"].iter().any(|word| next.is_word(text, word)))
    })
}

/// An UPDATE of `pg_settings`, alone or in a WITH, is rewritten to calls of `set_config`.
fn updates_settings(text: &str, tokens: &[Token]) -> Option<Pin> {
    let named = |token: &Token, name: &str| {
        token.is_word(text, name) || (token.kind == TokenKind::Quoted && token.text(text).trim_matches('"') == name)
    };
    let found = |name: &str| tokens.iter().any(|token| named(token, name));
    (found("update") && found("pg_settings")).then_some(Pin::Setting { custom: true })
}

/// What the statement leaves on its server. The default is [`Pin::Other`]; each kind that leaves nothing says why.
fn pin(mut cursor: Cursor<'_>, kind: &Kind, called: &[String]) -> Option<Pin> {
    let (text, tokens) = (cursor.text(), cursor.rest());
    let calls = || functions::pin(text, tokens, called);
    match kind {
        Kind::Empty => None,
        // A temporary table made by SELECT … INTO; else only what its functions leave.
        Kind::Select => temporary_into(cursor).or_else(|| updates_settings(text, tokens)).or_else(calls),
        Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge => updates_settings(text, tokens).or_else(calls),
        // Transactions end with the unit, and a prepared one is no longer the session's.
        Kind::Begin(_) | Kind::Commit { .. } | Kind::Rollback { .. } => None,
        Kind::Savepoint(_) | Kind::Release(_) | Kind::RollbackTo(_) | Kind::TwoPhase => None,
        // Gone with the transaction; outside one PostgreSQL warns and does nothing. pgweave.… never reaches a server.
        Kind::Set(set) if set.local || set.name.starts_with("pgweave.") => None,
        Kind::Set(set) => Some(Pin::Setting { custom: set.name.contains('.') }),
        // Reads a setting.
        Kind::Show(_) => None,
        // They take away prepared statements and tables that the pool and the session count on.
        Kind::Discard(_) | Kind::Deallocate(_) => Some(Pin::Other),
        Kind::Prepare(_) | Kind::Execute(_) => Some(Pin::Prepared),
        Kind::Declare { hold: true, .. } => Some(Pin::HoldCursor),
        // A cursor without HOLD ends with its transaction, and so does a place in it. What its query calls runs then.
        Kind::Declare { hold: false, .. } => calls(),
        Kind::Cursor => None,
        // NOTIFY is delivered at commit; UNLISTEN takes away.
        Kind::Notification if cursor.at_word("listen") => Some(Pin::Listen),
        Kind::Notification => None,
        Kind::Copy(_) => calls(),
        Kind::Explain { .. } => {
            explain_options(&mut cursor);
            // EXPLAIN EXPLAIN is no statement; to follow it would let a client choose how deep we recurse.
            if cursor.at_word("explain") { Some(Pin::Other) } else { recognise(text, cursor.rest()).pin }
        }
        // Held until the transaction ends.
        Kind::Lock => None,
        Kind::Ddl(_) => ddl_pin(cursor).or_else(calls),
        Kind::Utility(word) => match word.as_str() {
            // They run index expressions in a context of their own, whose settings PostgreSQL itself undoes.
            "truncate" | "vacuum" | "analyze" | "analyse" | "checkpoint" | "cluster" | "repack" => None,
            // A loaded library stays in its process: only a new server is free of it.
            "load" => Some(Pin::Setting { custom: true }),
            // CALL and DO run anything.
            _ => Some(Pin::Other),
        },
        Kind::Unknown => Some(Pin::Other),
    }
}

impl<'a> Cursor<'a> {
    /// A temporary schema's name, quoted or not: `pg_temp`, `pg_temp_3`.
    fn at_temporary_schema(&self) -> bool {
        let mut ahead = *self;
        ahead.label().is_some_and(|name| name == "pg_temp" || name.starts_with("pg_temp_")) && ahead.at_symbol(".")
    }

    /// `[TEMP|TEMPORARY|UNLOGGED] [TABLE] name`, told whether that is temporary.
    fn temporary_target(&mut self) -> Option<Pin> {
        self.one_of(&["local", "global"]);
        let word = self.one_of(&["temp", "temporary"]);
        self.word("table");
        let temporary = word || self.at_temporary_schema();
        temporary.then(|| Pin::Temporary(self.qualified().map(|(_, name)| name)))
    }
}

/// SELECT … INTO TEMP t, or INTO pg_temp.t.
fn temporary_into(cursor: Cursor<'_>) -> Option<Pin> {
    let mut cursor = cursor;
    while !cursor.done() {
        if cursor.word("into") {
            if let Some(pin) = cursor.temporary_target() {
                return Some(pin);
            }
        } else {
            cursor.skip();
        }
    }
    None
}

/// CREATE of anything temporary, and of extensions, whose scripts and libraries may do anything to a session.
/// All other DDL changes catalogs only.
fn ddl_pin(mut cursor: Cursor<'_>) -> Option<Pin> {
    if !cursor.word("create") {
        return None;
    }
    cursor.words(&["or", "replace"]);
    if cursor.at_word("extension") || cursor.at_word("schema") {
        return Some(Pin::Other);
    }
    let mut head = cursor;
    head.one_of(&["local", "global"]);
    if head.one_of(&["temp", "temporary"]) {
        head.word("recursive");
        head.one_of(&["table", "view", "sequence"]);
        head.words(&["if", "not", "exists"]);
        return Some(Pin::Temporary(head.qualified().map(|(_, name)| name)));
    }
    // `pg_temp.` anywhere: the new object's schema, or one that it only uses; both tie it to the session.
    while !cursor.done() {
        if cursor.at_temporary_schema() {
            return Some(Pin::Temporary(cursor.qualified().map(|(_, name)| name)));
        }
        cursor.skip();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;

    fn read(text: &str) -> Recognised {
        recognise(text, &lex(text, true).unwrap_or_else(|error| panic!("{text:?}: {error}")))
    }

    fn check(text: &str, kind: Kind, pin: Option<Pin>) {
        let got = read(text);
        assert_eq!((got.kind, got.pin), (kind, pin), "{text}");
    }

    fn check_set(text: &str, name: &str, local: bool, value: Option<&str>, reset: bool) {
        let set = Set { name: name.to_owned(), local, value: value.map(str::to_owned), reset };
        let pin = (!local).then_some(Pin::Setting { custom: name.contains('.') });
        check(text, Kind::Set(set), pin);
    }

    #[test]
    fn an_update_of_the_settings_is_a_setting() {
        let custom = Some(Pin::Setting { custom: true });
        for text in [
            "UPDATE pg_settings SET setting = '1'",
            "update pg_catalog.\"pg_settings\" set setting = '1'",
            "WITH w AS (UPDATE pg_settings SET setting = '1' RETURNING 1) SELECT 1",
        ] {
            assert_eq!(read(text).pin, custom, "{text}");
        }
        assert_eq!(read("SELECT * FROM pg_settings").pin, None);
    }

    fn unknown(text: &str) {
        check(text, Kind::Unknown, Some(Pin::Other));
        assert!(read(text).may_write, "{text}");
    }

    fn some(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn transactions() {
        let begin = |read_only, isolation| Kind::Begin(TxModes { read_only, isolation });
        check("BEGIN", begin(None, None), None);
        check("begin work", begin(None, None), None);
        check("START TRANSACTION READ ONLY", begin(Some(true), None), None);
        check(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE NOT DEFERRABLE",
            begin(Some(false), Some(Isolation::RepeatableRead)),
            None,
        );
        check("BEGIN ISOLATION LEVEL READ UNCOMMITTED", begin(None, Some(Isolation::ReadCommitted)), None);
        check(
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",
            begin(Some(true), Some(Isolation::Serializable)),
            None,
        );
        check("COMMIT", Kind::Commit { chain: false }, None);
        check("END TRANSACTION AND NO CHAIN", Kind::Commit { chain: false }, None);
        check("COMMIT WORK AND CHAIN", Kind::Commit { chain: true }, None);
        check("ROLLBACK", Kind::Rollback { chain: false }, None);
        check("ABORT AND CHAIN", Kind::Rollback { chain: true }, None);
        check("SAVEPOINT \"A b\"", Kind::Savepoint(some("A b")), None);
        check("RELEASE SAVEPOINT Sp1", Kind::Release(some("sp1")), None);
        check("RELEASE savepoint", Kind::Release(some("savepoint")), None);
        check("ROLLBACK TO s", Kind::RollbackTo(some("s")), None);
        check("ROLLBACK WORK TO SAVEPOINT s", Kind::RollbackTo(some("s")), None);
        for text in ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"] {
            check(text, Kind::TwoPhase, None);
        }
        for text in [
            "BEGIN foo",
            "BEGIN READ",
            "BEGIN READ ONLY,",
            "COMMIT foo",
            "START",
            "SAVEPOINT",
            "SAVEPOINT select",
            "ROLLBACK TO",
            "END PREPARED 'x'",
        ] {
            unknown(text);
        }
    }

    #[test]
    fn settings() {
        check_set("SET work_mem = '64MB'", "work_mem", false, Some("64MB"), false);
        check_set("SET SESSION work_mem TO 64", "work_mem", false, Some("64"), false);
        check_set("SET LOCAL work_mem = -1", "work_mem", true, Some("-1"), false);
        check_set("SET search_path = a, b", "search_path", false, None, false);
        check_set("SET search_path TO DEFAULT", "search_path", false, None, true);
        check_set("SET SCHEMA 'a'", "search_path", false, Some("a"), false);
        check_set("SET App.Tenant = 'x'", "app.tenant", false, Some("x"), false);
        check_set("SET TIME ZONE 'UTC'", "timezone", false, Some("UTC"), false);
        check_set("SET TIME ZONE -7", "timezone", false, Some("-7"), false);
        check_set("SET TIME ZONE LOCAL", "timezone", false, None, true);
        check_set("SET LOCAL TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "timezone", true, None, false);
        check_set("SET NAMES 'utf8'", "client_encoding", false, Some("utf8"), false);
        check_set("SET NAMES", "client_encoding", false, None, true);
        check_set("SET ROLE alice", "role", false, Some("alice"), false);
        check_set("SET LOCAL ROLE NONE", "role", true, Some("none"), false);
        check_set("SET role = 'Bob'", "role", false, Some("Bob"), false);
        check_set("SET SESSION AUTHORIZATION 'bob'", "session authorization", false, Some("bob"), false);
        check_set("SET SESSION SESSION AUTHORIZATION DEFAULT", "session authorization", false, None, true);
        check_set(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "session characteristics",
            false,
            None,
            false,
        );
        check_set("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "transaction", true, None, false);
        check_set("SET SESSION TRANSACTION READ ONLY", "transaction", true, None, false);
        check_set("SET TRANSACTION SNAPSHOT '1'", "transaction", true, None, false);
        check_set("SET CONSTRAINTS ALL DEFERRED", "constraints", true, None, false);
        check_set("SET statement_timeout FROM CURRENT", "statement_timeout", false, None, false);
        check_set("SET local = 1", "local", false, Some("1"), false);
        check_set("SET session.a TO b", "session.a", false, Some("b"), false);
        check_set("SET x = ON", "x", false, Some("on"), false);
        check_set("SET x = $a$b$a$", "x", false, Some("b"), false);
        check_set("SET x = E'b'", "x", false, None, false);
        check_set("RESET ALL", "all", false, None, true);
        check_set("RESET a.b", "a.b", false, None, true);
        check_set("RESET TIME ZONE", "timezone", false, None, true);
        check_set("RESET SESSION AUTHORIZATION", "session authorization", false, None, true);
        check(
            "SET pgweave.role = 'primary'",
            Kind::Set(Set { name: some("pgweave.role"), local: false, value: Some(some("primary")), reset: false }),
            None,
        );
        for text in ["SET", "SET x", "SET x =", "SET x y", "SET ROLE", "SET TIME ZONE 'a' 'b'", "RESET", "RESET a b"] {
            unknown(text);
        }
        check("SHOW work_mem", Kind::Show(some("work_mem")), None);
        check("SHOW ALL", Kind::Show(some("all")), None);
        check("SHOW a.B", Kind::Show(some("a.b")), None);
        check("SHOW TRANSACTION ISOLATION LEVEL", Kind::Show(some("transaction_isolation")), None);
        check("SHOW TIME ZONE", Kind::Show(some("timezone")), None);
        check("DISCARD TEMPORARY", Kind::Discard(some("temp")), Some(Pin::Other));
        unknown("DISCARD");
        unknown("SHOW");
    }

    #[test]
    fn names_and_cursors() {
        check("PREPARE P (int) AS SELECT 1", Kind::Prepare(some("p")), Some(Pin::Prepared));
        check("PREPARE transaction AS SELECT 1", Kind::Prepare(some("transaction")), Some(Pin::Prepared));
        check("EXECUTE \"P\" (1)", Kind::Execute(some("P")), Some(Pin::Prepared));
        check("DEALLOCATE PREPARE ALL", Kind::Deallocate(None), Some(Pin::Other));
        check("DEALLOCATE prepare", Kind::Deallocate(Some(some("prepare"))), Some(Pin::Other));
        check("DECLARE c CURSOR FOR SELECT 1", Kind::Declare { name: some("c"), hold: false }, None);
        check(
            "DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
            Kind::Declare { name: some("c"), hold: true },
            Some(Pin::HoldCursor),
        );
        check(
            "DECLARE c CURSOR WITHOUT HOLD FOR SELECT set_config('a','b',false)",
            Kind::Declare { name: some("c"), hold: false },
            Some(Pin::Setting { custom: false }),
        );
        for text in ["FETCH c", "FETCH ABSOLUTE -1 FROM c", "MOVE 5 c", "CLOSE ALL"] {
            check(text, Kind::Cursor, None);
        }
        check("LISTEN a", Kind::Notification, Some(Pin::Listen));
        check("NOTIFY a, 'b'", Kind::Notification, None);
        check("UNLISTEN *", Kind::Notification, None);
    }

    #[test]
    fn copy_explain_and_the_rest() {
        let copy = |from, stdio, table: Option<(Option<&str>, &str)>| {
            Kind::Copy(Copy {
                from,
                stdio,
                table: table.map(|(schema, name)| (schema.map(str::to_owned), name.to_owned())),
            })
        };
        check("COPY t FROM STDIN", copy(true, true, Some((None, "t"))), None);
        check(
            "COPY BINARY s.\"T\" (a, b) TO STDOUT WITH (FORMAT csv)",
            copy(false, true, Some((Some("s"), "T"))),
            None,
        );
        check("COPY (SELECT lastval()) TO STDOUT", copy(false, true, None), Some(Pin::Other));
        check("COPY t TO PROGRAM 'cat'", copy(false, false, Some((None, "t"))), None);
        check("COPY t FROM '/x'", copy(true, false, Some((None, "t"))), None);
        unknown("COPY (SELECT 1) FROM STDIN");
        unknown("COPY t");
        let explain = |analyze, route| Kind::Explain { analyze, route };
        check("EXPLAIN SELECT 1", explain(false, None), None);
        check(
            "EXPLAIN ANALYZE VERBOSE SELECT set_config('a.b', '1', false)",
            explain(true, None),
            Some(Pin::Setting { custom: true }),
        );
        check("EXPLAIN (ANALYZE off, COSTS off) SELECT 1", explain(false, None), None);
        check(
            "EXPLAIN (VERBOSE, ANALYZE true) CREATE TEMP TABLE x AS SELECT 1",
            explain(true, None),
            Some(Pin::Temporary(Some(some("x")))),
        );
        check("EXPLAIN (SELECT 1)", explain(false, None), None);
        check("EXPLAIN (ROUTE) SELECT 1 ", explain(false, Some(16..24)), None);
        check("EXPLAIN (ROUTE, ANALYZE) SELECT 1", explain(true, None), None);
        unknown("EXPLAIN");
        unknown("EXPLAIN (ROUTE SELECT 1");
        check("EXPLAIN EXPLAIN SELECT 1", explain(false, None), Some(Pin::Other));
        check("LOCK TABLE t IN EXCLUSIVE MODE", Kind::Lock, None);
        check("VACUUM (FULL) t", Kind::Utility(some("vacuum")), None);
        check("TRUNCATE t", Kind::Utility(some("truncate")), None);
        check("DO $$begin end$$", Kind::Utility(some("do")), Some(Pin::Other));
        check("CALL f(1)", Kind::Utility(some("call")), Some(Pin::Other));
        check("LOAD 'x'", Kind::Utility(some("load")), Some(Pin::Setting { custom: true }));
        check("", Kind::Empty, None);
        check("-- nothing", Kind::Empty, None);
        unknown("FROB x");
        unknown("1 + 1");
        unknown("(INSERT INTO t VALUES (1))");
        unknown("SELECT 1; DELETE FROM t");
    }

    #[test]
    fn queries_and_what_they_leave() {
        for text in [
            "SELECT 1",
            "VALUES (1)",
            "TABLE t",
            "((SELECT 1) UNION SELECT 2)",
            "WITH a AS (INSERT INTO t VALUES (1)) SELECT 1",
            "WITH RECURSIVE a (n) AS (SELECT 1), b AS NOT MATERIALIZED (SELECT 2) (SELECT 1)",
        ] {
            check(text, Kind::Select, None);
        }
        check("WITH insert AS (SELECT 1) DELETE FROM t", Kind::Delete, None);
        check("WITH recursive AS (SELECT 1) UPDATE t SET a = 1", Kind::Update, None);
        check("INSERT INTO t VALUES (nextval('s'))", Kind::Insert, Some(Pin::Other));
        check("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", Kind::Merge, None);
        let temporary = |name: &str| Some(Pin::Temporary(Some(name.to_owned())));
        check("SELECT 1 INTO TEMP TABLE x", Kind::Select, temporary("x"));
        check("SELECT 1 INTO pg_temp.x", Kind::Select, temporary("x"));
        check("SELECT 1 INTO x", Kind::Select, None);
        check("CREATE TEMP TABLE IF NOT EXISTS Foo (a int)", Kind::Ddl(some("create")), temporary("foo"));
        check("CREATE GLOBAL TEMPORARY TABLE foo (a int)", Kind::Ddl(some("create")), temporary("foo"));
        check("CREATE OR REPLACE TEMP RECURSIVE VIEW v (n) AS SELECT 1", Kind::Ddl(some("create")), temporary("v"));
        check("CREATE TABLE pg_temp.x (a int)", Kind::Ddl(some("create")), temporary("x"));
        check(
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            Kind::Ddl(some("create")),
            temporary("f"),
        );
        check("CREATE UNLOGGED TABLE x (a int)", Kind::Ddl(some("create")), None);
        check("CREATE EXTENSION x", Kind::Ddl(some("create")), Some(Pin::Other));
        check("GRANT SELECT ON t TO u", Kind::Ddl(some("grant")), None);
        check("SELECT pg_advisory_lock(1)", Kind::Select, Some(Pin::AdvisoryLock));
        check("SELECT pg_catalog.PG_TRY_ADVISORY_LOCK (1)", Kind::Select, Some(Pin::AdvisoryLock));
        check("SELECT pg_advisory_xact_lock(1), pg_advisory_unlock(1)", Kind::Select, None);
        check("SELECT set_config('work_mem', '1', true)", Kind::Select, None);
        check("SELECT set_config('work_mem', '1', false)", Kind::Select, Some(Pin::Setting { custom: false }));
        check("SELECT set_config('a.b', f(1, 2), $1)", Kind::Select, Some(Pin::Setting { custom: true }));
        check("SELECT set_config($1, '1', false)", Kind::Select, Some(Pin::Setting { custom: true }));
        check(
            "SELECT set_config('a', '1', true), \"set_config\"('b.c', '1', false)",
            Kind::Select,
            Some(Pin::Setting { custom: true }),
        );
        check("SELECT set_config('a', '1', true), pg_advisory_lock(1)", Kind::Select, Some(Pin::AdvisoryLock));
        check("SELECT U&\"set_c\\006fnfig\"('a', '1', false)", Kind::Select, Some(Pin::Setting { custom: false }));
    }

    #[test]
    fn what_may_write_or_lock() {
        for (text, expect) in [
            ("SELECT 1", false),
            ("SELECT * FROM t FOR UPDATE", true),
            ("SELECT * FROM t FOR KEY SHARE", true),
            ("SELECT substring(a FOR 3) FROM t", false),
            ("SELECT 1 INTO x", true),
            ("WITH a AS (DELETE FROM t RETURNING 1) SELECT 1", true),
            ("SELECT \"update\", 'insert' FROM t", false),
            ("DECLARE c CURSOR FOR SELECT 1", false),
            ("DECLARE c CURSOR FOR SELECT 1 FROM t FOR UPDATE", true),
            ("COPY t TO STDOUT", false),
            ("COPY t FROM STDIN", true),
            ("EXPLAIN SELECT 1", false),
            ("EXPLAIN ANALYZE DELETE FROM t", true),
            ("LOCK t", true),
            ("SHOW x", false),
            ("INSERT INTO t VALUES (1)", true),
            ("CREATE TABLE t (a int)", true),
        ] {
            assert_eq!(read(text).may_write, expect, "{text}");
        }
    }

    #[test]
    fn functions_are_what_may_be_called() {
        for (text, expect) in [
            ("SELECT now(), s.F(1), \"Q\"(2), f(3)", &["now", "f", "Q"][..]),
            ("INSERT INTO t (a, b) VALUES (1, g(2)) ON CONFLICT (a) DO UPDATE SET a = h(1)", &["g", "h"]),
            ("INSERT INTO s.t AS x (a) SELECT 1", &[]),
            (
                "SELECT count(*) FILTER (WHERE a IN (1)) OVER (PARTITION BY (a) ORDER BY (b)) FROM t x (a, b)",
                &["count"],
            ),
            ("SELECT left(a, 1), coalesce(b, 2), a::numeric(1), b::vector(3), CAST(c AS vector(3)) FROM t", &["left"]),
            ("SELECT * FROM f(1) AS x (a int), LATERAL g(2) y", &["f", "g"]),
            (
                "WITH a AS NOT MATERIALIZED (SELECT 1), b AS MATERIALIZED (SELECT f(1)) SELECT NOT materialized(1)",
                &["f", "materialized"],
            ),
            ("SELECT pg_catalog.values(1), EXISTS (SELECT 1), a = ANY (b)", &["values"]),
            ("SELECT a || b(1), -c(2), ARRAY[d(3)] WHERE NOT e(4) LIMIT f(5)", &["b", "c", "d", "e", "f"]),
        ] {
            let mut got = read(text).functions;
            got.retain(|name| name != "x");
            assert_eq!(got, expect, "{text}");
        }
    }

    #[test]
    fn names_are_every_identifier() {
        let text = "SELECT a.b, \"C\" FROM s.t x, U&\"d\\0061t\" WHERE x.y = 'z' AND U&\"d!0061\" UESCAPE '!' = 1";
        let names = relation_names(text, &lex(text, true).expect("lexes"));
        for expect in
            [(None, "a"), (Some("a"), "b"), (None, "C"), (None, "s"), (Some("s"), "t"), (None, "dat"), (None, "da")]
        {
            let expect = (expect.0.map(str::to_owned), expect.1.to_owned());
            assert!(names.contains(&expect), "{expect:?} in {names:?}");
        }
        assert!(!names.iter().any(|(_, name)| name == "select" || name == "z"));
    }

    #[test]
    fn long_statements_take_linear_time() {
        for text in [
            format!("SELECT {}", "set_config(".repeat(100_000)),
            format!("SELECT {}1{}", "f(".repeat(100_000), ")".repeat(100_000)),
            "EXPLAIN ".repeat(100_000),
            "WITH ".repeat(100_000),
            "(".repeat(300_000),
            (0..100_000).map(|n| format!("f{n}(a{n}.b)")).collect(),
        ] {
            let started = std::time::Instant::now();
            read(&text);
            assert!(started.elapsed().as_secs() < 20, "{}", &text[..20]);
        }
    }
}
