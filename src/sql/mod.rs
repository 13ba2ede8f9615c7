//! From a text to what it asks: the lexer, the fingerprint, the parser behind its wrapper, and the [`Analysis`].
//!
//! This room knows names, types and volatility (the [`Schema`]), but no shards, maps or servers. It is the boundary of
//! trust for text: `sqlparser` is never asked alone, and what it says is compared with our own lexer's tokens.
//!
//! Start at [`analysis`], the room's product; `lexer` is what everything else stands on.

pub mod analyse;
pub mod analysis;
pub mod cache;
pub mod cursor;
pub mod fingerprint;
pub mod functions;
pub mod guard;
pub mod hints;
pub mod lexer;
pub mod names;
pub mod positions;
pub mod recognise;
pub mod relocate;
pub mod schema;
pub mod splice;
pub mod split;
pub mod walk;

pub use analyse::{Context, analyse};
pub use analysis::Analysis;
pub use cache::PlanCache;
pub use lexer::{LexError, Token, TokenKind, lex};
pub use positions::Positions;
pub use schema::Schema;
pub use splice::{Edit, splice};
pub use split::split;
