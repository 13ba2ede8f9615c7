//! Hints: what a person knows that the text does not say.

use super::{Access, Refusal, Route, Shape, Touches, World};
use crate::map::{Conversion, Distribution, ShardId, Source, convert};
use crate::sql::Analysis;
use crate::sql::analysis::{Body, Hints, Kind, RoleHint};
use crate::wire::SqlState;

/// The hints of a statement: its comment's, else the session's.
pub(super) struct Effective {
    role: Option<RoleHint>,
    /// The shard that `shard=` names or that owns `key=`, with the word for messages.
    shard: Option<(ShardId, &'static str)>,
    touches: Touches,
}

impl Effective {
    pub fn new(own: &Hints, world: &World<'_>) -> Result<Effective, Refusal> {
        let session = world.facts.hints;
        if let Some(unknown) = own.unknown.as_ref().or(session.unknown.as_ref()) {
            return Err(invalid(
                format!("\"{unknown}\" is no hint"),
                "Hints are shard=, key=, distribution= and role=.",
            ));
        }
        let role = own.role.or(session.role);
        // A statement's own key or shard replaces whatever the session says of place.
        let place = if own.shard.is_some() || own.key.is_some() { own } else { session };
        let mut touches = Touches::Nothing;
        let mut shard = None;
        if let Some(name) = &place.shard {
            let known = world.map.shard_named(name);
            let known =
                known.ok_or_else(|| invalid(format!("shard \"{name}\" does not exist"), "SHOW SHARDS lists them."))?;
            shard = Some((known.id, "shard="));
        }
        if let Some(key) = &place.key {
            let distribution = distribution(own.distribution.as_ref().or(place.distribution.as_ref()), world)?;
            let (owner, point) = key_owner(key, distribution)?;
            if shard.is_some_and(|(named, _)| named != owner) {
                return Err(invalid("the hints shard= and key= name two shards".into(), "Give one of them."));
            }
            shard = Some((owner, "key="));
            touches = point;
        }
        Ok(Effective { role, shard, touches })
    }

    /// What `role=` makes of what a statement may use.
    pub fn access(&self, kind: &Kind, access: Access) -> Result<Access, Refusal> {
        match (self.role, access) {
            // A session that asks for replicas must be able to end its transaction, and to take the wish back.
            _ if is_session_command(kind) => Ok(access),
            (Some(RoleHint::Primary), Access::Read) => Ok(Access::ReadPrimary),
            (Some(RoleHint::Replica), Access::ReadPrimary | Access::Write) => Err(Refusal::unsupported(
                "a replica cannot run this statement",
                "The hint role=replica stands on a statement that is not proven to be a read any node can answer.",
                "Leave the hint out.",
            )),
            (_, access) => Ok(access),
        }
    }

    /// What a hint of place makes of a route or refusal.
    pub fn route(
        self,
        analysis: &Analysis,
        access: Access,
        computed: Result<Route, Refusal>,
        world: &World<'_>,
    ) -> Result<Route, Refusal> {
        let Some((shard, word)) = self.shard.filter(|_| !is_session_command(&analysis.kind)) else { return computed };
        let hinted = Route::direct(self.touches, shard);
        if access != Access::Write {
            return Ok(hinted);
        }
        match &analysis.body {
            Body::Understood(_) => match computed? {
                Route { shape: Shape::Direct { shard: owner, .. }, .. } if owner != shard => {
                    Err(contradiction(owner, shard, word, world))
                }
                route => Ok(route),
            },
            Body::Tokens { .. } if world.facts.may_bypass_routing => Ok(hinted),
            Body::Tokens { .. } => Err(Refusal::unsupported(
                "this user may not route a write by hint",
                format!("The statement was not understood, and the hint {word} would send it to one shard unseen."),
                "Set may_bypass_routing for the user, or write the statement so that it is understood.",
            )),
        }
    }
}

/// Whether a statement only speaks to the session, wherever that is.
fn is_session_command(kind: &Kind) -> bool {
    match kind {
        Kind::Empty
        | Kind::Begin(_)
        | Kind::Commit { .. }
        | Kind::Rollback { .. }
        | Kind::Savepoint(_)
        | Kind::Release(_)
        | Kind::RollbackTo(_)
        | Kind::Set(_)
        | Kind::Discard(_)
        | Kind::Deallocate(_) => true,
        Kind::Select
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::TwoPhase
        | Kind::Show(_)
        | Kind::Prepare(_)
        | Kind::Execute(_)
        | Kind::Declare { .. }
        | Kind::Cursor
        | Kind::Notification
        | Kind::Copy(_)
        | Kind::Explain { .. }
        | Kind::Lock
        | Kind::Ddl(_)
        | Kind::Utility(_)
        | Kind::Unknown => false,
    }
}

fn contradiction(owner: ShardId, hinted: ShardId, word: &str, world: &World<'_>) -> Refusal {
    let name = |id| world.map.shard(id).map_or("?", |shard| shard.name.as_str());
    Refusal::unsupported(
        "the hint contradicts the owner of the rows",
        format!(
            "The hint {word} names shard \"{}\", and shard \"{}\" owns what is written.",
            name(hinted),
            name(owner)
        ),
        "Leave the hint out.",
    )
}

fn invalid(message: String, hint: &str) -> Refusal {
    Refusal { code: SqlState::INVALID_PARAMETER_VALUE, message, detail: None, hint: Some(hint.into()) }
}

fn distribution<'a>(name: Option<&String>, world: &World<'a>) -> Result<&'a Distribution, Refusal> {
    match (name, world.map.distributions.as_slice()) {
        (Some(name), _) => world
            .map
            .distribution_named(name)
            .ok_or_else(|| invalid(format!("distribution \"{name}\" does not exist"), "SHOW MAP lists them.")),
        (None, [only]) => Ok(only),
        (None, []) => Err(invalid("no table of this database is sharded".into(), "Use the hint shard=.")),
        (None, _) => Err(invalid("the hint key= fits several distributions".into(), "Add distribution= to the hint.")),
    }
}

fn key_owner(key: &str, distribution: &Distribution) -> Result<(ShardId, Touches), Refusal> {
    let parts: Vec<&str> = match distribution.key_types.as_slice() {
        [_] => vec![key],
        _ => key.split(',').map(str::trim).collect(),
    };
    let values = parts
        .iter()
        .zip(&distribution.key_types)
        .map(|(text, key_type)| match convert(Source::String(text), *key_type, None) {
            Conversion::Value(value) => Some(value),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .filter(|_| !parts.is_empty() && parts.len() == distribution.key_types.len());
    let Some(values) = values else {
        let name = &distribution.name;
        return Err(invalid(
            format!("\"{key}\" is no key of distribution \"{name}\""),
            "A key of several columns has commas.",
        ));
    };
    let point = distribution.point(&values);
    match distribution.ranges.owner(&point) {
        Some(owner) => Ok((owner, Touches::Points(vec![point]))),
        None => Err(Refusal {
            code: SqlState::CHECK_VIOLATION,
            message: format!("no range of distribution \"{}\" holds the key {key}", distribution.name),
            detail: None,
            hint: None,
        }),
    }
}
