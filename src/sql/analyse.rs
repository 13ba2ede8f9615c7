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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tests::sqlish;
    use proptest::prelude::*;

    fn made(text: &str, standard_conforming_strings: bool) -> Analysis {
        analyse(text, &Context { search_path: Vec::new(), standard_conforming_strings }, &Schema::default())
    }

    fn reason(text: &str, standard: bool) -> String {
        match made(text, standard).body {
            Body::Tokens { reason, .. } => reason,
            Body::Understood(_) => "understood".to_owned(),
        }
    }

    #[test]
    fn semicolons_around_a_statement_do_not_count_and_inside_they_do() {
        assert_eq!(made(";; SELECT 1 ;", true).kind, Kind::Select);
        assert_eq!(made(" ; ", true).kind, Kind::Empty);
        assert_eq!(reason("SELECT 1; SELECT 2", true), "there is more than one statement in it");
    }

    #[test]
    fn a_backslash_is_left_to_the_server_when_its_meaning_is_not_standard() {
        assert_eq!(reason("SELECT 'a\\'", true), "understood");
        assert!(reason("SELECT 'a\\b'", false).contains("backslash"));
        assert_eq!(reason("SELECT E'a\\b'", false), "understood");
    }

    #[test]
    fn what_has_no_tokens_could_be_anything() {
        let got = made("SELECT 'a", true);
        assert_eq!(got.kind, Kind::Unknown);
        assert!(got.may_write && got.pin.is_some());
    }

    proptest! {
        #[test]
        fn any_text_has_an_analysis(text in sqlish(), standard in any::<bool>()) {
            let got = made(&format!("SELECT {text}"), standard);
            prop_assert!(got.may_write || got.kind != Kind::Unknown);
            made(&text, standard);
        }

        #[test]
        fn any_bytes_have_an_analysis(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            made(&String::from_utf8_lossy(&bytes), true);
        }
    }
}
