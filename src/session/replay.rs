//! A statement with its parameters written into it, for servers that join a session later and must run it, too.

use crate::sql::{Analysis, Token, TokenKind, lex};
use crate::wire::frontend::{Param, Params};

/// `text`, a SELECT that changes settings, with its parameters as constants. `None` when a parameter cannot be told.
///
/// A binary parameter can be told only where its type is known without asking a server: as an argument of set_config or
/// current_setting, when there are no other functions. They take text, and true or false.
pub(super) fn with_constants(
    analysis: &Analysis,
    text: &str,
    standard_strings: bool,
    params: Params<'_>,
) -> Option<String> {
    let tokens = lex(text, standard_strings).ok()?;
    let known = analysis.functions.iter().all(|name| matches!(name.as_str(), "set_config" | "current_setting"));
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::Param) {
        let number: usize = token.text(text).get(1..)?.parse().ok()?;
        let constant = constant(params.param(number)?, known && is_argument(text, &tokens, at))?;
        out.push_str(&text[copied..token.range().start]);
        out.push_str(&constant);
        copied = token.range().end;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Whether the token stands alone between the commas of a call.
fn is_argument(text: &str, tokens: &[Token], at: usize) -> bool {
    let is_one_of = |token: Option<&Token>, symbols: [&str; 2]| {
        token.is_some_and(|token| symbols.iter().any(|symbol| token.is_symbol(text, symbol)))
    };
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    is_one_of(before, ["(", ","]) && is_one_of(tokens.get(at + 1), [",", ")"])
}

fn constant(param: Param<'_>, is_argument: bool) -> Option<String> {
    match (param.value, param.binary) {
        (None, _) => Some("NULL".to_owned()),
        (Some(_), true) if !is_argument => None,
        (Some([0]), true) => Some("false".to_owned()),
        (Some([1]), true) => Some("true".to_owned()),
        (Some(value), _) => Some(quoted(std::str::from_utf8(value).ok()?)),
    }
}

/// A string constant whatever `standard_conforming_strings` is.
fn quoted(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Context, Schema, analyse};
    use crate::wire::frontend::Bind;

    fn written(text: &str, binary: bool, values: &[Option<&[u8]>]) -> Option<String> {
        let mut body = vec![0, 0, 0, 1, 0, u8::from(binary)];
        body.extend_from_slice(&(values.len() as i16).to_be_bytes());
        for value in values {
            body.extend_from_slice(&value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            body.extend_from_slice(value.unwrap_or_default());
        }
        body.extend_from_slice(&[0, 0]);
        let bind = Bind::read(&body).expect("a Bind");
        let context = Context { search_path: vec!["public".into()], standard_conforming_strings: true };
        let analysis = analyse(text, &context, &Schema::default());
        with_constants(&analysis, text, true, bind.params)
    }

    #[test]
    fn parameters_become_constants() {
        let text = "SELECT current_setting('$1'), set_config($1, $2, $3)";
        let told = |name: &str, value: &str, local: &str| {
            Some(format!("SELECT current_setting('$1'), set_config({name}, {value}, {local})"))
        };
        let it = Some(&b"it's \\"[..]);
        assert_eq!(written(text, false, &[Some(b"a.b"), it, Some(b"f")]), told("'a.b'", "E'it''s \\\\'", "'f'"));
        assert_eq!(written(text, true, &[Some(b"a.b"), None, Some(&[0])]), told("'a.b'", "NULL", "false"));
        assert_eq!(written(text, true, &[Some(b"a.b"), Some(&[255]), Some(&[1])]), None);
        assert_eq!(written(text, true, &[Some(b"a.b")]), None, "a parameter is missing");
    }

    #[test]
    fn a_binary_parameter_of_an_unknown_type_is_not_told() {
        assert_eq!(written("SELECT set_config('a', $1::int::text, false)", true, &[Some(b"1234")]), None);
        assert_eq!(written("SELECT set_config('a', f($1), false)", true, &[Some(b"1234")]), None);
        assert!(written("SELECT set_config('a', f($1), false)", false, &[Some(b"1234")]).is_some());
    }
}
