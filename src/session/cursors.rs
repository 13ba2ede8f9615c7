//! FETCH, MOVE and CLOSE of a portal that a Bind made: they go to the server that has it.

use super::Session;
use super::prepared::Portal;
use super::route::Refused;
use crate::map::ShardId;
use crate::plan::Access;
use crate::sql::analysis::Kind;
use crate::sql::{Analysis, lex, names};
use crate::wire::{Diagnostic, SqlState};

impl Session {
    /// Where a FETCH, MOVE or CLOSE runs. `None` is where DECLARE runs, too: on the home shard.
    pub(super) fn portal_place(
        &self,
        analysis: &Analysis,
        statement: &str,
    ) -> Option<Result<(ShardId, Access), Refused>> {
        if !matches!(analysis.kind, Kind::Cursor) {
            return None;
        }
        let name = last_name(statement, self.state.context.standard_conforming_strings)?;
        match self.names.portal(name.as_bytes())? {
            Portal::Direct { place: (shard, true), .. } => Some(Ok((*shard, Access::ReadPrimary))),
            Portal::Direct { place: (shard, false), .. } => Some(Ok((*shard, Access::Read))),
            Portal::Scatter { .. } | Portal::Here { .. } => Some(Err(Box::new(
                Diagnostic::error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("cannot move in the portal \"{name}\" by a statement"),
                )
                .detail("Its rows do not come from one server alone.")
                .hint("Fetch its rows by Execute."),
            ))),
        }
    }
}

/// The name at the end of the statement.
fn last_name(statement: &str, standard_strings: bool) -> Option<String> {
    let tokens = lex(statement, standard_strings).ok()?;
    let last = tokens.iter().rfind(|token| !token.is_symbol(statement, ";"))?;
    names::identifier(statement, last, '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_at_the_end() {
        for (statement, name) in [
            ("FETCH c", "c"),
            ("MOVE FORWARD 10 __Portal_1;", "__portal_1"),
            ("fetch absolute -1 from \"A b\" -- \"c\"", "A b"),
            ("CLOSE ALL", "all"),
        ] {
            assert_eq!(last_name(statement, true).as_deref(), Some(name), "{statement}");
        }
        assert_eq!(last_name("FETCH 5", true), None);
    }
}
