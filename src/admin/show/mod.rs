//! The tables of the console. Names of columns are PgBouncer's where it has them.

mod clients;
mod databases;
mod map;
mod nodes;

use super::command::Show;
use super::sources::Sources;
use super::table::{Column, Type, Value};

/// The rows of a table.
pub type Rows = Vec<Vec<Value>>;

/// The columns of a table, which are the same whatever is in it.
pub fn columns(show: Show) -> &'static [Column] {
    match show {
        Show::Pools => clients::POOLS,
        Show::Clients => clients::CLIENTS,
        Show::Servers => clients::SERVERS,
        Show::Databases => databases::DATABASES,
        Show::Stats => databases::STATS,
        Show::Config => databases::CONFIG,
        Show::Nodes => nodes::NODES,
        Show::Lag => nodes::LAG,
        Show::Shards => nodes::SHARDS,
        Show::Map => map::MAP,
        Show::Version => &[("version", Type::Text)],
        Show::Help => &[("command", Type::Text), ("shows", Type::Text)],
    }
}

/// The rows of a table now.
pub fn rows(show: Show, sources: &Sources) -> Rows {
    match show {
        Show::Pools => clients::pools(sources),
        Show::Clients => clients::clients(sources),
        Show::Servers => clients::servers(sources),
        Show::Databases => databases::databases(sources),
        Show::Stats => databases::stats(sources),
        Show::Config => databases::config(sources),
        Show::Nodes => nodes::nodes(sources),
        Show::Lag => nodes::lag(sources),
        Show::Shards => nodes::shards(sources),
        Show::Map => map::map(sources),
        Show::Version => vec![vec![Value::text(concat!("pgweave ", env!("CARGO_PKG_VERSION")))]],
        Show::Help => help(),
    }
}

fn help() -> Rows {
    let shows = Show::ALL.iter().map(|(_, word, what)| vec![Value::text(format!("SHOW {word}")), Value::text(what)]);
    let reload = vec![Value::text("RELOAD"), Value::text("nothing: reads the configuration again (admin users)")];
    shows.chain([reload]).collect()
}
