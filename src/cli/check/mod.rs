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
use super::state;
use crate::catalog::CatalogError;
use crate::config::{self, Config};
use crate::map::{Epoch, ShardId, ShardInfo, ShardMap};

/// Prints all findings.
///
/// # Errors
/// The configuration is wrong, or something at the servers is.
pub async fn run(args: &CheckArgs) -> Result<(), CliError> {
    let mut config = config::load(&args.config.config)?;
    let mut findings = Vec::new();
    if !args.offline {
        config = with_catalog(config, &mut findings).await;
    }
    let config = Arc::new(config);
    let (maps, problems) = maps(&config);
    findings.extend(problems);
    if !args.offline {
        let facts = observe::observe(&config, &maps).await;
        findings.extend(judge::judge(&config, &maps, &facts));
    }
    findings.sort();
    tell(&config, &findings, args)
}

/// The configuration with what the catalog holds in place of the file's; the file's where the catalog holds nothing yet.
async fn with_catalog(config: Config, findings: &mut Vec<Finding>) -> Config {
    let mut note = |severity, message| findings.push(Finding { severity, place: "catalog".to_owned(), message });
    let store = match state::store(&config).await {
        Ok(Some(store)) => store,
        Ok(None) => return config,
        Err(error) => {
            note(Severity::Error, error.to_string());
            return config;
        }
    };
    match store.load().await {
        Ok(state) if state.shards.is_empty() => {
            note(Severity::Warning, "the catalog is empty: run pgweave init".to_owned());
            config
        }
        Ok(state) => {
            // It is not empty, so nothing is written.
            match store.write_from_config(&config, false).await {
                Ok(report) => {
                    for difference in report.differences {
                        note(
                            Severity::Warning,
                            format!("the file differs from the catalog, which counts: {difference}"),
                        );
                    }
                }
                Err(error) => note(Severity::Error, error.to_string()),
            }
            state::with_state(&config, &state)
        }
        Err(CatalogError::NotInitialised) => {
            note(Severity::Warning, "there is no catalog in this database yet: run pgweave init".to_owned());
            config
        }
        Err(error) => {
            note(Severity::Error, error.to_string());
            config
        }
    }
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
