//! PostgreSQL's extended hash functions, seed 0.
