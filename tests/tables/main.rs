//! Cases as data, and the house's own rules. Needs no server.

mod layering;
