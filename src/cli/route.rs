//! `pgweave route`: how statements would be planned, without running them.

use bytes::{BufMut, BytesMut};

use super::args::RouteArgs;
use super::client::chain;
use super::console::write;
use super::error::CliError;
use super::rows::OutputForm;
use super::state::{self, CATALOG_TIMEOUT};
use crate::catalog::CatalogError;
use crate::config::{self, Config};
use crate::map::{KeyColumn, KeyType, NodeId, ShardId, ShardMap, TableName};
use crate::plan::explain::{Explanation, explain};
use crate::plan::{Facts, World, plan};
use crate::sql::analysis::{Hints, Values};
use crate::sql::{Context, Schema, analyse, lex, lexer, split};
use crate::topology::{Line, LineError, MonitorLogin, NodeSettings, load_schema};
use crate::wire::frontend::{Bind, Params};

/// Prints the plan of each statement, or why it would be refused.
///
/// # Errors
/// There is no such database, its home shard cannot be asked for the schema, or the text cannot be cut into statements.
pub(super) async fn run(args: &RouteArgs) -> Result<(), CliError> {
    let config = config::load(&args.config.config)?;
    let state = state::state(&config).await?;
    let database = state::database(&state, args.database.as_deref())?;
    let map = state.shard_map(&database.name).expect("the database is of this state");
    let map = map.map_err(|errors| CliError::Catalog(CatalogError::Map(errors)))?;
    let schema = home_schema(&state::with_state(&config, &state), &map, &database.dbname).await?;
    let (map, problems) = map.with_known_key_types(|table, column| key_type(&schema, table, column));
    for problem in problems {
        eprintln!("warning: {problem}");
    }

    let statements = split(&args.sql, true).map_err(|error| CliError::Usage(error.to_string()))?;
    if statements.is_empty() {
        return Err(CliError::Usage("there is no statement in this text".to_owned()));
    }
    let bound = bind(&args.params);
    let params = if args.params.is_empty() { None } else { Some(params_of(&bound)) };
    let facts = Facts { hints: &Hints::default(), may_bypass_routing: false, temporary: &[] };
    let (functions, safe_triggers) = (&database.functions, &database.safe_triggers);
    let world = World { map: &map, schema: &schema, functions, safe_triggers, facts };
    let explained: Vec<(&str, Explanation)> = statements
        .into_iter()
        .map(|range| &args.sql[range])
        .map(|text| (text, explained(text, params, &world)))
        .collect();
    write(&written(&explained, args.output.form))
}

/// The plan of one statement, or its refusal.
fn explained(text: &str, params: Option<Params<'_>>, world: &World<'_>) -> Explanation {
    let context = Context { search_path: world.schema.search_path.clone(), standard_conforming_strings: true };
    let analysis = analyse(text, &context, world.schema);
    // A text that is no tokens has no literals either; the analysis says what is wrong with it.
    let literals = lex(text, true).map(|tokens| lexer::literals(&tokens)).unwrap_or_default();
    let values = Values { text, literals: &literals, params, param_types: &[], utf8: true };
    explain(&plan(&analysis, &values, world), world.map)
}

fn written(explained: &[(&str, Explanation)], form: OutputForm) -> String {
    match form {
        OutputForm::Table => {
            let text = |(text, explanation): &(&str, Explanation)| {
                let head =
                    if explained.len() > 1 { format!("-- {}\n", text.replace('\n', " ")) } else { String::new() };
                format!("{head}{}\n", explanation.lines().join("\n"))
            };
            explained.iter().map(text).collect::<Vec<_>>().join("\n")
        }
        OutputForm::Json => {
            let object = |(text, explanation): &(&str, Explanation)| {
                serde_json::json!({ "statement": text, "plan": explanation }).to_string()
            };
            format!("[\n  {}\n]\n", explained.iter().map(object).collect::<Vec<_>>().join(",\n  "))
        }
    }
}

/// The schema as the home shard's primary has it, with the search path of the monitor's role.
async fn home_schema(config: &Config, map: &ShardMap, dbname: &str) -> Result<Schema, CliError> {
    let name = map.shard(map.home).map(|shard| shard.name.as_str()).unwrap_or_default();
    let nodes = config.shards.iter().find(|shard| shard.name == name).map(|shard| shard.nodes.as_slice());
    let (_, node) = state::primary(config, nodes.unwrap_or_default(), dbname).await?;
    let login = MonitorLogin {
        user: config.monitor.user.clone().unwrap_or_default(),
        password: config.monitor.password.clone(),
        dbname: dbname.to_owned(),
    };
    let settings = NodeSettings { id: NodeId(0), shard: ShardId(0), node: node.clone() };
    let read = async {
        let mut line = Line::open(&settings, &login, CATALOG_TIMEOUT).await?;
        load_schema(&mut line).await
    };
    let failed = |error: LineError| {
        CliError::Failed(format!("{}: the schema cannot be read: {}", settings.address(), chain(&error)))
    };
    tokio::time::timeout(CATALOG_TIMEOUT * 3, read)
        .await
        .map_err(|_| CliError::Failed(format!("{}: no answer in time", settings.address())))?
        .map_err(failed)
}

/// What kind of key a column is, if it can be one.
fn key_type(schema: &Schema, table: &TableName, column: &str) -> Option<KeyType> {
    let relation = schema.relation(&table.schema, &table.name)?;
    let column = relation.columns.iter().find(|known| known.name == column)?;
    KeyType::from_pg(KeyColumn {
        type_oid: column.type_oid,
        typmod: column.typmod,
        deterministic: column.deterministic,
        not_null: column.not_null,
        generated: column.generated,
    })
    .ok()
}

/// The body of a Bind message with these values as text, as a driver would send it.
fn bind(params: &[String]) -> BytesMut {
    let mut body = BytesMut::new();
    // No names, no formats: all text.
    body.put_slice(&[0, 0, 0, 0]);
    body.put_u16(u16::try_from(params.len()).unwrap_or(u16::MAX));
    for param in params {
        body.put_i32(i32::try_from(param.len()).unwrap_or(i32::MAX));
        body.put_slice(param.as_bytes());
    }
    body.put_u16(0);
    body
}

fn params_of(bound: &BytesMut) -> Params<'_> {
    Bind::read(bound).map_or(Params::NONE, |bind| bind.params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_bound_as_text() {
        let values = ["5".to_owned(), String::new(), "ä".to_owned()];
        let bound = bind(&values);
        let params = params_of(&bound);
        assert_eq!(params.len(), 3);
        for (index, value) in values.iter().enumerate() {
            let param = params.param(index + 1).unwrap();
            assert_eq!((param.value, param.binary), (Some(value.as_bytes()), false));
        }
        assert!(params_of(&bind(&[])).is_empty());
    }
}
