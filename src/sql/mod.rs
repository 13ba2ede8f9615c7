//! From a text to what it asks: the lexer, the fingerprint, the parser behind its wrapper, and the [`Analysis`].
//!
//! This room knows names, types and volatility (the [`Schema`]), but no shards, maps or servers. It is the boundary of
//! trust for text: `sqlparser` is never asked alone, and what it says is compared with our own lexer's tokens.
//!
//! Start at [`analysis`], the room's product; `lexer` is what everything else stands on.

pub mod analyse;
pub mod analysis;
pub mod lexer;
pub mod positions;
pub mod schema;
pub mod walk;

pub use analyse::Context;
pub use analysis::Analysis;
pub use lexer::{LexError, Token, TokenKind, lex};
pub use positions::Positions;
pub use schema::Schema;
