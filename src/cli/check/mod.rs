//! `pgweave check`: everything that is wrong, in the file and at the servers.

mod facts;
mod judge;
mod observe;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::judge::{Finding, Severity};
use super::args::CheckArgs;
use super::console::write;
use super::error::CliError;
use super::rows::{Kind, OutputForm, Rows};
use crate::config::{self, Config};
use crate::map::{Epoch, ShardId, ShardInfo, ShardMap};

/// Prints all findings.
///
/// # Errors
/// The configuration is wrong, or something at the servers is.
pub async fn run(args: &CheckArgs) -> Result<(), CliError> {
    let config = Arc::new(config::load(&args.config.config)?);
    let (maps, mut findings) = maps(&config);
    if !args.offline {
        let facts = observe::observe(&config, &maps).await;
        findings.extend(judge::judge(&config, &maps, &facts));
    }
    tell(&config, &findings, args)
}

/// The map of every database with places, as the file has it.
fn maps(config: &Config) -> (Vec<ShardMap>, Vec<Finding>) {
    let id = |index: usize| ShardId(u16::try_from(index).unwrap_or(u16::MAX));
    let shards: Vec<ShardInfo> = config
        .shards
        .iter()
        .enumerate()
        .map(|(index, shard)| ShardInfo { id: id(index), name: shard.name.clone() })
        .collect();
    let (mut maps, mut findings) = (Vec::new(), Vec::new());
    for database in config.databases.values().filter(|database| !database.is_wildcard()) {
        match ShardMap::build(database, &shards, Epoch::default()) {
            Ok(map) => maps.push(map),
            Err(errors) => findings.extend(errors.into_iter().map(|error| Finding {
                severity: Severity::Error,
                place: database.name.clone(),
                message: error.to_string(),
            })),
        }
    }
    (maps, findings)
}

fn tell(config: &Config, findings: &[Finding], args: &CheckArgs) -> Result<(), CliError> {
    let mut rows = Rows::new(&[("severity", Kind::Text), ("where", Kind::Text), ("finding", Kind::Text)]);
    for finding in findings {
        let cells = [finding.severity.as_str().to_owned(), finding.place.clone(), finding.message.clone()];
        rows.rows.push(cells.map(Some).to_vec());
    }
    let nodes: usize = config.shards.iter().map(|shard| shard.nodes.len()).sum();
    match args.output.form {
        OutputForm::Table if findings.is_empty() && args.offline => write("the configuration is good\n")?,
        OutputForm::Table if findings.is_empty() => {
            write(&format!("the configuration and its {nodes} node{} are good\n", if nodes == 1 { "" } else { "s" }))?;
        }
        form => write(&rows.written(form))?,
    }
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Err(CliError::Told) } else { Ok(()) }
}
