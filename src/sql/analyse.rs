//! From one statement's text to its [`Analysis`].

use super::analysis::{Analysis, Body, Kind, Model};
use super::lexer::{Token, lex, literals};
use super::recognise::{Recognised, recognise, relation_names};
use super::schema::Schema;
use super::{guard, hints};

/// What a statement's meaning depends on beside its text and the [`Schema`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The schemas in which the session finds unqualified names, `"$user"` resolved, without the implicit `pg_catalog`.
    pub search_path: Vec<String>,
    /// The server's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
}

/// Analyses one statement (a piece as [`split`](super::split) cuts it; semicolons before and behind are allowed). It always has an
/// answer: what cannot be cut into tokens or read is [`Kind::Unknown`] or [`Body::Tokens`], and is to be treated as a write
/// that could touch anything it names.
///
/// `Operand::Literal(n)` of the result counts the literals of `text` as [`literals`](super::lexer::literals) lists them.
pub fn analyse(text: &str, context: &Context, schema: &Schema) -> Analysis {
    let mut tokens = match lex(text, context.standard_conforming_strings) {
        Ok(tokens) => tokens,
        Err(error) => return unreadable(error.to_string()),
    };
    let hints = hints::read(text, &tokens);
    while tokens.last().is_some_and(|token| token.is_symbol(text, ";")) {
        tokens.pop();
    }
    let first = tokens.iter().take_while(|token| token.is_symbol(text, ";")).count();
    tokens.drain(..first);
    let Recognised { kind, pin, may_write, functions } = recognise(text, &tokens);
    let body = match &kind {
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete => match model(text, &tokens, context, schema) {
            Ok(model) => Body::Understood(Box::new(model)),
            Err(reason) => Body::Tokens { names: relation_names(text, &tokens), reason },
        },
        Kind::Unknown => Body::Tokens { names: relation_names(text, &tokens), reason: unknown(text, &tokens) },
        kind if names_nothing(kind) => Body::Tokens { names: Vec::new(), reason: String::new() },
        _ => Body::Tokens { names: relation_names(text, &tokens), reason: String::new() },
    };
    Analysis { kind, hints, functions, pin, may_write, body }
}

/// Parses and walks a statement with rows.
fn model(text: &str, tokens: &[Token], context: &Context, schema: &Schema) -> Result<Model, String> {
    if !context.standard_conforming_strings && tokens.iter().any(|token| has_backslash(text, token)) {
        return Err("a string holds a backslash while standard_conforming_strings is off".to_owned());
    }
    let literals = literals(tokens);
    guard::parse(text, tokens, |statement, _| super::walk::walk(statement, text, &literals, context, schema))
}

/// A plain string with a backslash, whose end the parser would look for elsewhere than the server.
fn has_backslash(text: &str, token: &Token) -> bool {
    use super::analysis::LiteralKind::{NationalString, String};
    matches!(token.literal(), Some(String | NationalString)) && token.text(text).contains('\\')
}

/// Kinds whose words name no relation.
fn names_nothing(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Empty
            | Kind::Begin(_)
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::Savepoint(_)
            | Kind::Release(_)
            | Kind::RollbackTo(_)
            | Kind::TwoPhase
            | Kind::Set(_)
            | Kind::Show(_)
            | Kind::Discard(_)
            | Kind::Deallocate(_)
            | Kind::Cursor
            | Kind::Notification
    )
}

fn unknown(text: &str, tokens: &[Token]) -> String {
    if tokens.iter().any(|token| token.is_symbol(text, ";")) {
        return "there is more than one statement in it".to_owned();
    }
    match tokens.first() {
        Some(first) => format!("a statement beginning with \"{}\" like this is not known", first.text(text)),
        None => String::new(),
    }
}

/// A text without tokens: PostgreSQL refuses it too, or reads it otherwise than we do.
fn unreadable(reason: String) -> Analysis {
    Analysis {
        kind: Kind::Unknown,
        hints: super::analysis::Hints::default(),
        functions: vec!["?".to_owned()],
        pin: Some(super::analysis::Pin::Setting { custom: true }),
        may_write: true,
        body: Body::Tokens { names: Vec::new(), reason },
    }
}
