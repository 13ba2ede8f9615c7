//! A plan in words, for `EXPLAIN (ROUTE)` and `pgweave route`.

use serde::Serialize;

use super::{Access, Plan, Query, Refusal, Shape, Touches};
use crate::map::ShardMap;

/// A plan or a refusal as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `direct`, `scatter` or `refused`.
    pub shape: &'static str,
    /// The shards by name, in shard order.
    pub shards: Vec<String>,
    /// `read`, `read on the primary` or `write`; absent for a refusal.
    pub access: Option<&'static str>,
    /// Which part of the key space is touched, a line for each position or range; `everything` for all of it.
    pub keys: Vec<String>,
    /// The text the server gets where it is not the client's own.
    pub rewritten: Option<String>,
    /// The epoch of the map.
    pub epoch: u64,
    /// Why it was refused: message, detail and hint.
    pub reason: Vec<String>,
}

/// The most positions or ranges that are shown.
const MOST_KEYS: usize = 20;

/// Puts a plan in words.
pub fn explain(plan: &Result<Plan, Refusal>, map: &ShardMap) -> Explanation {
    let name = |id| map.shard(id).map_or_else(|| "?".to_owned(), |shard| shard.name.clone());
    match plan {
        Ok(plan) => {
            let (shape, shards, query) = match &plan.shape {
                Shape::Direct { shard, query } => ("direct", vec![name(*shard)], Some(query)),
                Shape::Scatter { parts } => ("scatter", parts.iter().map(|(shard, _)| name(*shard)).collect(), None),
            };
            let rewritten = match query {
                Some(Query::Rewritten(text)) => Some(text.to_string()),
                Some(Query::Original) | None => None,
            };
            let access = match plan.access {
                Access::Read => "read",
                Access::ReadPrimary => "read on the primary",
                Access::Write => "write",
            };
            let keys = keys(&plan.touches);
            Explanation {
                shape,
                shards,
                access: Some(access),
                keys,
                rewritten,
                epoch: plan.epoch.0,
                reason: Vec::new(),
            }
        }
        Err(refusal) => Explanation {
            shape: "refused",
            shards: Vec::new(),
            access: None,
            keys: Vec::new(),
            rewritten: None,
            epoch: map.epoch.0,
            reason: [Some(&refusal.message), refusal.detail.as_ref(), refusal.hint.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        },
    }
}

fn keys(touches: &Touches) -> Vec<String> {
    let mut lines: Vec<String> = match touches {
        Touches::Nothing => Vec::new(),
        Touches::Everything => vec!["everything".to_owned()],
        Touches::Points(points) => points.iter().take(MOST_KEYS + 1).map(position).collect(),
        Touches::Ranges(ranges) => {
            let end = |bound: &Option<crate::map::Point>| bound.as_ref().map_or_else(String::new, position);
            ranges
                .iter()
                .take(MOST_KEYS + 1)
                .map(|range| format!("[{}, {})", end(&range.from), end(&range.to)))
                .collect()
        }
    };
    if lines.len() > MOST_KEYS {
        lines.truncate(MOST_KEYS);
        lines.push("…".to_owned());
    }
    lines
}

/// A hash as the number that the servers compute, another position as its bytes.
fn position(point: &crate::map::Point) -> String {
    point.to_hash().map_or_else(|| format!("{point:?}"), |hash| hash.to_string())
}

impl Explanation {
    /// The lines of `EXPLAIN (ROUTE)`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.shards.as_slice() {
            [] => lines.push(self.shape.to_owned()),
            shards => lines.push(format!("{} on {}", self.shape, shards.join(", "))),
        }
        lines.extend(self.access.map(|access| format!("access: {access}")));
        if !self.keys.is_empty() {
            lines.push(format!("keys: {}", self.keys.join(", ")));
        }
        lines.extend(self.rewritten.as_ref().map(|text| format!("sent: {text}")));
        lines.extend(
            ["reason", "detail", "hint"].iter().zip(&self.reason).map(|(word, text)| format!("{word}: {text}")),
        );
        lines
    }
}
