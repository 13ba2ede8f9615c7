//! `pgweave init`: the catalog's tables, and what the file says in them.

use super::args::InitArgs;
use super::console::write;
use super::error::CliError;
use super::rows::{Kind, OutputForm, Rows};
use super::state;
use crate::catalog::{Difference, InitReport};
use crate::config;

/// Creates or migrates the catalog and writes the file into it if it was empty, or what differs with `--apply`.
///
/// # Errors
/// There is no `[catalog]`, it cannot be reached, or taking the file's side would leave rows where nobody looks for them.
pub(super) async fn run(args: &InitArgs) -> Result<(), CliError> {
    let config = config::load(&args.config.config)?;
    let file = args.config.config.display();
    let Some(store) = state::store(&config).await? else {
        return Err(CliError::Usage(format!(
            "{file} has no [catalog]: the file itself is the map, and nothing is to be done"
        )));
    };
    store.migrate().await?;
    let report = store.write_from_config(&config, args.apply).await?;
    match args.output.form {
        OutputForm::Json => write(&(differences(&report.differences).json() + "\n"))?,
        OutputForm::Table if report.differences.is_empty() => {}
        OutputForm::Table => write(&differences(&report.differences).written(OutputForm::Table))?,
    }
    eprintln!("{}", summary(&report, &file.to_string()));
    Ok(())
}

fn differences(all: &[Difference]) -> Rows {
    let mut rows = Rows::new(&[("setting", Kind::Text), ("file", Kind::Text), ("catalog", Kind::Text)]);
    rows.rows = all.iter().map(|one| vec![Some(one.path.clone()), one.file.clone(), one.catalog.clone()]).collect();
    rows
}

fn summary(report: &InitReport, file: &str) -> String {
    let epoch = report.epoch;
    if report.created {
        format!("the catalog was empty and now holds what {file} says (epoch {epoch})")
    } else if report.applied {
        format!("the catalog took these from {file} (epoch {epoch})")
    } else if report.differences.is_empty() {
        format!("the catalog holds what {file} says (epoch {epoch})")
    } else {
        format!(
            "warning: {file} differs from the catalog, which counts (epoch {epoch}); take the file's side by --apply"
        )
    }
}
