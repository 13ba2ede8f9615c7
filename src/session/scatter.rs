//! One statement on several shards: rows concatenated in shard order, descriptions compared, tags added up.
//!
//! All parts are sent before the first is read; those that are not read yet wait in their sockets, so that memory stays
//! flat however large the answer is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend as build;

use super::Session;
use super::extended::{ensure_statement, send_bind};
use super::prepared::{Portal, Prepared};
use super::route::Refused;
use super::unit::Flow;
use crate::exec::{Expected, Fate, Reply};
use crate::map::ShardId;
use crate::plan::{Access, Query};
use crate::sql::Analysis;
use crate::wire::frame::{HEADER_BYTES, take, take_cstr, take_i16, take_i32};
use crate::wire::frontend::Bind;
use crate::wire::{Diagnostic, SqlState, backend};

type Place = (ShardId, bool);

impl Session {
    /// Servers for all parts, in shard order, all before anything is sent.
    async fn servers_for(&mut self, parts: &[(ShardId, Query)], access: Access) -> Flow<Result<Vec<Place>, Refused>> {
        let mut places = Vec::with_capacity(parts.len());
        for (shard, _) in parts {
            match self.server(*shard, access, self.unit.text_hash).await? {
                Ok(index) => places.push((self.held[index].shard, self.held[index].primary)),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(places))
    }

    /// A Query on several shards.
    pub(super) async fn scatter_simple(
        &mut self,
        parts: Vec<(ShardId, Query)>,
        access: Access,
        statement: &str,
        analysis: &Arc<Analysis>,
    ) -> Flow<Result<(), Refused>> {
        debug_assert!(analysis.pin.is_none(), "what leaves state behind is never scattered");
        self.unit.text_hash = super::simple::hash_text(statement.as_bytes());
        let places = match self.servers_for(&parts, access).await? {
            Ok(places) => places,
            Err(refused) => return Ok(Err(refused)),
        };
        self.settle_active().await?;
        for (place, (_, query)) in places.iter().zip(&parts) {
            let text = match query {
                Query::Original => statement,
                Query::Rewritten(text) => text,
            };
            let Some(index) = self.held_at(*place) else { return Ok(Ok(())) };
            let left = self.pin_for(analysis);
            self.note_use(index, access, left);
            let seq = self.unit.seq;
            let held = &mut self.held[index];
            held.conn().unnamed = None;
            // The only error is a NUL inside, and the text came out of a NUL-terminated string.
            if build::query(text, &mut held.conn().outbuf).is_ok() {
                held.expected.push_back(Expected::server(Reply::Query, Fate::Part, seq));
            }
        }
        let mut description = None;
        for place in &places {
            self.part(*place, &mut description, Show::Description).await?;
            if self.unit.failed {
                return Ok(Ok(()));
            }
        }
        let rows = self.add_up(&places);
        self.complete(&rows);
        Ok(Ok(()))
    }

    /// Takes one part in to its end. A description that differs from the first one is an error: rows would be mislabelled.
    async fn part(&mut self, place: Place, first: &mut Option<Bytes>, show: Show) -> Flow {
        self.unit.active = Some(place);
        self.drain(place).await?;
        if self.unit.failed {
            self.abandon_parts();
            return Ok(());
        }
        let Some(index) = self.held_at(place) else { return Ok(()) };
        let Some(description) = self.held[index].description.take() else { return Ok(()) };
        // `drain` stops at the description, before any row.
        match first {
            None => {
                if show == Show::Description {
                    self.client.outbuf.extend_from_slice(&description);
                }
                *first = Some(description);
            }
            Some(known) if same_columns(known, &description) => {}
            Some(_) => {
                let report =
                    Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "the shards describe this result differently")
                        .detail("Column names or types are not the same on all shards.")
                        .hint("Bring the schemas of the shards into step; \"pgweave check\" lists the differences.");
                // In its turn already: everything before it was taken in.
                backend::diagnostic(&mut self.client.outbuf, &report);
                self.fail_unit();
                self.abandon_parts();
                return Ok(());
            }
        }
        self.drain(place).await?;
        if self.unit.failed {
            self.abandon_parts();
        }
        Ok(())
    }

    /// One part failed: what the others still send is of no use. In a block they must stay; else they are closed, which is
    /// quicker than reading to the end of what may be long.
    fn abandon_parts(&mut self) {
        let keep = self.tx.is_some() || self.state.pinned || self.user.session_mode;
        for index in (0..self.held.len()).rev() {
            let held = &mut self.held[index];
            if held.expected.is_empty() && held.passing.0 == 0 {
                continue;
            }
            if keep || held.unsynced {
                for expected in &mut held.expected {
                    if let Expected::Server { fate, .. } = expected {
                        // One error is enough: the others' are the same one, or follow from it.
                        *fate = Fate::Swallow;
                    }
                }
                continue;
            }
            if held.passing.0 > 0 && held.passing.1 {
                // Half a message of it was relayed; the rest of it must follow.
                continue;
            }
            if held.skipping_to_ready() {
                // It is the one that failed: only its ReadyForQuery is missing.
                continue;
            }
            let held = self.held.remove(index);
            let _ = self.cancel.slot.end(held.peek().identity.process_id);
            held.close();
        }
    }

    /// The sum of the parts' tags.
    fn add_up(&mut self, places: &[Place]) -> String {
        let mut total = 0u64;
        let mut word = String::from("SELECT");
        for place in places {
            let Some(index) = self.held_at(*place) else { continue };
            let Some(tag) = self.held[index].completed.take() else { continue };
            let tag = String::from_utf8_lossy(&tag).trim_end_matches('\0').to_owned();
            if let Some((name, count)) = tag.rsplit_once(' ') {
                word = name.to_owned();
                total += count.parse::<u64>().unwrap_or(0);
            }
        }
        format!("{word} {total}")
    }

    /// Bind on several shards.
    pub(super) async fn bind_scatter(
        &mut self,
        bind: &Bind<'_>,
        statement: Arc<Prepared>,
        parts: Vec<(ShardId, Query)>,
        access: Access,
    ) -> Flow<Result<(), Refused>> {
        debug_assert!(parts.iter().all(|(_, query)| *query == Query::Original), "a part's text is the client's");
        self.unit.text_hash = super::simple::hash_text(&statement.text);
        let places = match self.servers_for(&parts, access).await? {
            Ok(places) => places,
            Err(refused) => return Ok(Err(refused)),
        };
        self.settle_active().await?;
        let (seq, unnamed) = (self.unit.seq, bind.statement.is_empty());
        let portal = String::from_utf8_lossy(bind.portal).into_owned();
        for (number, place) in places.iter().enumerate() {
            let Some(index) = self.held_at(*place) else { return Ok(Ok(())) };
            let left = self.pin_for(&statement.analysis);
            self.note_use(index, access, left);
            if number == 0 {
                self.emit_deferred(index);
            }
            let held = &mut self.held[index];
            ensure_statement(held, &statement, unnamed, seq);
            send_bind(held, bind, &statement, unnamed);
            let fate = if number == 0 { Fate::Relay } else { Fate::SwallowSuccess };
            held.expected.push_back(Expected::server(Reply::Bind, fate, seq));
            // The only error is a NUL inside, and the name came out of a NUL-terminated string.
            if build::describe(b'P', &portal, &mut held.conn().outbuf).is_ok() {
                held.expected.push_back(Expected::server(Reply::DescribePortal, Fate::Part, seq));
            }
            build::flush(&mut held.conn().outbuf);
        }
        let mut description = None;
        for place in &places {
            self.part(*place, &mut description, Show::Nothing).await?;
            if self.unit.failed {
                return Ok(Ok(()));
            }
        }
        let description = description.unwrap_or_else(|| {
            let mut bytes = BytesMut::new();
            backend::no_data(&mut bytes);
            bytes.freeze()
        });
        self.names.set_portal(bind.portal, Portal::Scatter { places, description, next: 0 });
        Ok(Ok(()))
    }

    /// Execute of a portal over several shards: `max_rows` rows of it (0 or below: all), in shard order.
    pub(super) async fn execute_scatter(&mut self, name: &[u8], max_rows: i32) -> Flow<Result<(), Refused>> {
        let Some(Portal::Scatter { places, next, .. }) = self.names.portal(name).cloned() else { return Ok(Ok(())) };
        self.settle_active().await?;
        let portal = String::from_utf8_lossy(name).into_owned();
        let limit = (max_rows > 0).then_some(max_rows as u64);
        let rest = &places[next.min(places.len())..];
        if limit.is_none() {
            rest.iter().for_each(|place| self.send_execute(*place, &portal, 0));
        }
        let mut total = 0;
        for (done, place) in rest.iter().enumerate() {
            let wanted = limit.map(|limit| limit - total);
            if let Some(wanted) = wanted {
                self.send_execute(*place, &portal, wanted as i32);
            }
            self.unit.active = Some(*place);
            self.drain(*place).await?;
            if self.unit.failed {
                self.abandon_parts();
                return Ok(Ok(()));
            }
            let Some(tag) = self.held_at(*place).and_then(|index| self.held[index].completed.take()) else { break };
            if let (Some(wanted), true) = (wanted, tag.is_empty()) {
                // A suspended portal gave what it was asked for, no more and no less.
                debug_assert!(wanted > 0);
                self.at_part(name, next + done);
                let mut bytes = BytesMut::new();
                backend::portal_suspended(&mut bytes);
                self.answer(&bytes);
                return Ok(Ok(()));
            }
            total += rows_of(&tag);
        }
        self.at_part(name, places.len());
        self.complete(&format!("SELECT {total}"));
        Ok(Ok(()))
    }

    fn send_execute(&mut self, place: Place, portal: &str, max_rows: i32) {
        let seq = self.unit.seq;
        let Some(index) = self.held_at(place) else { return };
        let held = &mut self.held[index];
        // The only error is a NUL inside, and the name came out of a NUL-terminated string.
        if build::execute(portal, max_rows, &mut held.conn().outbuf).is_ok() {
            held.unsynced = true;
            held.expected.push_back(Expected::server(Reply::Execute, Fate::Part, seq));
        }
        build::flush(&mut held.conn().outbuf);
    }

    fn at_part(&mut self, name: &[u8], part: usize) {
        if let Some(Portal::Scatter { next, .. }) = self.names.portal_mut(name) {
            *next = part;
        }
    }
}

/// What the client sees of the parts' description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    /// The first one, where it comes.
    Description,
    /// Nothing: it asks for it by Describe.
    Nothing,
}

/// The number at the end of a tag.
fn rows_of(tag: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(tag);
    text.trim_end_matches('\0').rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Whether two RowDescription (or NoData) frames describe the same columns: names, types, modifiers and formats. The
/// table's OID and the attribute's number differ from server to server and mean nothing to a client of several.
fn same_columns(a: &[u8], b: &[u8]) -> bool {
    a == b || matches!((columns(a), columns(b)), (Some(a), Some(b)) if a == b)
}

#[derive(Debug, PartialEq)]
struct Shape<'a> {
    name: &'a [u8],
    rest: &'a [u8],
}

fn columns(frame: &[u8]) -> Option<Vec<Shape<'_>>> {
    let mut body = frame.get(HEADER_BYTES..)?;
    if frame[0] != b'T' {
        return None;
    }
    let count = take_i16(&mut body)?;
    (0..count)
        .map(|_| {
            let name = take_cstr(&mut body)?;
            let (_table, _attribute) = (take_i32(&mut body)?, take_i16(&mut body)?);
            Some(Shape { name, rest: take(&mut body, 12)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, table: u32, type_oid: u32) -> Vec<u8> {
        let mut out = BytesMut::new();
        backend::row_description(&mut out, &[backend::Column { name: name.into(), type_oid }]);
        let at = HEADER_BYTES + 2 + name.len() + 1;
        out[at..at + 4].copy_from_slice(&table.to_be_bytes());
        out.to_vec()
    }

    #[test]
    fn the_table_does_not_matter_but_names_and_types_do() {
        assert!(same_columns(&described("a", 1, 25), &described("a", 2, 25)));
        assert!(!same_columns(&described("a", 1, 25), &described("a", 1, 23)));
        assert!(!same_columns(&described("a", 1, 25), &described("b", 1, 25)));
        assert!(same_columns(b"n\0\0\0\x04", b"n\0\0\0\x04"));
        assert!(!same_columns(b"n\0\0\0\x04", &described("a", 1, 25)));
    }

    #[test]
    fn rows_of_a_tag() {
        assert_eq!(rows_of(b"SELECT 42\0"), 42);
        assert_eq!(rows_of(b"SELECT\0"), 0);
    }
}
