//! From a text to what it asks: the lexer, the fingerprint, the parser behind its wrapper, and the [`Analysis`].
//!
//! This room knows names, types and volatility (the [`Schema`]), but no shards, maps or servers. It is the boundary of
//! trust for text: `sqlparser` is never asked alone, and what it says is compared with our own lexer's tokens.
//!
//! Start at [`analysis`], the room's product; `lexer` is what everything else stands on.

pub mod analysis;
pub mod schema;

pub use analysis::Analysis;
pub use schema::Schema;
