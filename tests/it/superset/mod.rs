//! Never too few shards, and never a scatter that differs: random statements over random schemas, judged by a server.
//!
//! One server holds every row in one schema, and each shard's rows in a schema of its own, cut by the positions the server
//! computes. A statement is planned; what the planned shards' schemas answer, one after the other, must be what all the rows
//! together answer. To show that the test can fail, each rule is broken in turn: the planner is then shown a text with
//! another meaning than the server runs, as if the rule were not there, and a difference must be found.

mod statements;
mod worlds;

use std::time::{Duration, Instant};

use pgweave::map::ShardId;
use pgweave::plan::{Facts, Plan, Refusal, Shape, World, plan};
use pgweave::sql::analysis::{Hints, Values};
use pgweave::sql::lexer::{lex, literals};
use pgweave::sql::{Context, analyse};
use pgweave::wire::frontend::Bind;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_postgres::SimpleQueryMessage;

use super::support;
use statements::{Fault, Statement};
use worlds::Universe;

/// Statements of the property itself.
const STATEMENTS: usize = 4_000;
/// How long the property may take; a slow machine sees fewer statements.
const LIMIT: Duration = Duration::from_secs(12);

/// How many times as long and as many, for a soak (`PGWEAVE_SOAK`, 1 without it).
fn soak() -> u32 {
    std::env::var("PGWEAVE_SOAK").map_or(1, |text| text.parse().expect("PGWEAVE_SOAK is a number"))
}

/// Statements after which a universe is replaced by another.
const PER_UNIVERSE: usize = 80;
/// How many statements it may take to find a planted fault.
const PER_FAULT: usize = 12_000;

fn seeded() -> (u64, StdRng) {
    let seed = match std::env::var("PGWEAVE_SEED") {
        Ok(seed) => seed.parse().expect("PGWEAVE_SEED is a number"),
        Err(_) => rand::random(),
    };
    (seed, StdRng::seed_from_u64(seed))
}

/// How a text is planned.
fn planned(universe: &Universe, text: &str, params: &[Option<String>]) -> Result<Plan, Refusal> {
    let context = Context { search_path: vec!["public".into()], standard_conforming_strings: true };
    let analysis = analyse::analyse(text, &context, &universe.schema);
    let tokens = lex(text, true).expect("a generated text");
    let literals = literals(&tokens);
    let body = bind_body(params);
    let bind = Bind::read(&body).expect("a Bind");
    let values = Values { text, literals: &literals, params: Some(bind.params), param_types: &[], utf8: true };
    let hints = Hints::default();
    let world = World {
        map: &universe.map,
        schema: &universe.schema,
        functions: &Default::default(),
        safe_triggers: &[],
        facts: Facts { hints: &hints, may_bypass_routing: false, temporary: &[] },
    };
    plan(&analysis, &values, &world)
}

fn bind_body(params: &[Option<String>]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0];
    body.extend((params.len() as u16).to_be_bytes());
    for param in params {
        let length = param.as_ref().map_or(-1, |text| text.len() as i32);
        body.extend(length.to_be_bytes());
        body.extend(param.as_deref().unwrap_or_default().as_bytes());
    }
    body.extend([0, 0]);
    body
}

fn shards(plan: &Plan) -> Vec<ShardId> {
    match &plan.shape {
        Shape::Direct { shard, .. } => vec![*shard],
        Shape::Scatter { parts } => parts.iter().map(|(shard, _)| *shard).collect(),
    }
}

/// The rows of a text in each of these schemas, one after the other, sorted; `Err` is the server's error.
async fn rows(server: &support::Session, schemas: &[String], text: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let script: Vec<String> = schemas.iter().map(|schema| format!("SET search_path = {schema}; {text}")).collect();
    let messages = server.simple_query(&script.join("; ")).await.map_err(|error| support::sqlstate(&error))?;
    let mut rows: Vec<Vec<Option<String>>> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        })
        .collect();
    rows.sort();
    Ok(rows)
}

/// What became of one statement.
enum Outcome {
    Refused,
    /// The server finds an error in it; there is nothing to compare.
    Failed,
    Same(bool),
    Different(String),
}

/// Plans `shown` and compares what the planned shards answer to `statement` with what all rows do.
async fn judged(
    server: &support::Session,
    universe: &Universe,
    statement: &Statement,
    shown: &str,
    plan: &Result<Plan, Refusal>,
) -> Outcome {
    let Ok(plan) = plan else { return Outcome::Refused };
    let text = statement.with_literals();
    let Ok(all) = rows(server, &[universe.whole_schema()], &text).await else { return Outcome::Failed };
    let schemas: Vec<String> = shards(plan).into_iter().map(|shard| universe.shard_schema(shard)).collect();
    let parts = rows(server, &schemas, &text).await;
    if parts.as_ref() == Ok(&all) {
        return Outcome::Same(schemas.len() > 1);
    }
    let count = parts.map_or_else(|error| error, |parts| parts.len().to_string());
    Outcome::Different(format!(
        "{text}\n  planned as {shown} with {:?}\n  on {schemas:?} answers {count} rows in place of {}\n  {}",
        statement.params,
        all.len(),
        universe.describe()
    ))
}

async fn universe(server: &support::Session, rng: &mut StdRng, number: usize, fault: Fault) -> Universe {
    let mut universe = Universe::random(rng, number);
    while !fault.shows_in(&universe) {
        universe = Universe::random(rng, number);
    }
    server.batch_execute(&universe.script(rng)).await.unwrap_or_else(|error| panic!("{error:?}"));
    universe
}

#[tokio::test]
async fn planned_shards_answer_what_all_rows_would() {
    let (seed, mut rng) = seeded();
    println!("PGWEAVE_SEED={seed}");
    let database = support::database(1, 0, "");
    let server = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    let began = Instant::now();
    let (mut refused, mut failed, mut direct, mut scattered) = (0, 0, 0, 0);
    let mut home = universe(&server, &mut rng, 0, Fault::None).await;
    for number in 1..=STATEMENTS * soak() as usize {
        if began.elapsed() > LIMIT * soak() {
            break;
        }
        if number % PER_UNIVERSE == 0 {
            server.batch_execute(&home.removal()).await.expect("removes a universe");
            home = universe(&server, &mut rng, number, Fault::None).await;
        }
        let statement = Statement::random(&mut rng, &home, Fault::None);
        let plan = planned(&home, &statement.text, &statement.params);
        match judged(&server, &home, &statement, &statement.text, &plan).await {
            Outcome::Refused => refused += 1,
            Outcome::Failed => failed += 1,
            Outcome::Same(false) => direct += 1,
            Outcome::Same(true) => scattered += 1,
            Outcome::Different(told) => panic!("PGWEAVE_SEED={seed}, statement {number}: {told}"),
        }
    }
    let planned = failed + direct + scattered;
    println!("{direct} direct, {scattered} scattered, {refused} refused, {failed} errors");
    assert!(direct >= 100 && scattered >= 100, "{direct} direct, {scattered} scattered: too few to say anything");
    assert!(failed * 10 <= planned, "{failed} of {planned} statements are errors to the server");
    assert!(planned * 10 >= (planned + refused) * 6, "only {planned} of {} were planned", planned + refused);
}

#[tokio::test]
async fn every_planted_fault_is_found() {
    let (seed, mut rng) = seeded();
    println!("PGWEAVE_SEED={seed}");
    let database = support::database(1, 0, "");
    let server = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    let began = Instant::now();
    let mut missed = Vec::new();
    let mut numbers = 0..;
    for fault in Fault::ALL {
        let mut home = universe(&server, &mut rng, numbers.next().expect("endless"), fault).await;
        let mut found = false;
        for number in 1..=PER_FAULT {
            if number % (PER_UNIVERSE * 5) == 0 {
                server.batch_execute(&home.removal()).await.expect("removes a universe");
                home = universe(&server, &mut rng, numbers.next().expect("endless"), fault).await;
            }
            let blind = fault.universe(&home);
            let statement = Statement::random(&mut rng, &home, fault);
            if blind.is_none() && statement.planted == statement.text {
                continue;
            }
            let plan = planned(blind.as_ref().unwrap_or(&home), &statement.planted, &statement.params);
            // Only where the fault changes the plan can it change the answer.
            if plan.as_ref().ok().map(shards)
                == planned(&home, &statement.text, &statement.params).as_ref().ok().map(shards)
            {
                continue;
            }
            if let Outcome::Different(_) = judged(&server, &home, &statement, &statement.planted, &plan).await {
                found = true;
                break;
            }
        }
        server.batch_execute(&home.removal()).await.expect("removes a universe");
        println!("{fault:?}: found {found} after {:?}", began.elapsed());
        if !found {
            missed.push(fault);
        }
    }
    assert!(missed.is_empty(), "PGWEAVE_SEED={seed}: planted and not found: {missed:?}");
}
