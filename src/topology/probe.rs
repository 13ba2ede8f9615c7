//! Asking one node how it is, over a connection that serves nothing else.

use std::time::Duration;

use super::line::{Line, LineError, MonitorLogin};
use super::mark::{Lsn, Timeline};
use super::state::{NodeSettings, Observation};
use super::tracker::Failure;
use crate::pool::handshake::ConnectError;

impl LineError {
    /// What this says of the node.
    pub fn failure(&self) -> Failure {
        match self {
            LineError::Timeout(_) | LineError::Connect(ConnectError::Timeout { .. }) => Failure::Slow(self.to_string()),
            LineError::Connect(error) if !error.is_about_node() => Failure::Denied(self.to_string()),
            LineError::Tls(_) => Failure::Denied(self.to_string()),
            LineError::Connect(_) | LineError::Lost(_) => Failure::Gone(self.to_string()),
            // It let us in and does not answer what every PostgreSQL answers.
            LineError::Sql { .. } | LineError::Answer(_) => Failure::Denied(self.to_string()),
        }
    }
}

/// A connection to a node, and what does not change while it lives.
#[derive(Debug)]
pub struct Probe {
    line: Line,
    system_id: u64,
    segment_bytes: u64,
    /// The highest timeline seen on this connection. A server never goes back while it runs, but a replica does not say
    /// which timeline it has received while it is not streaming.
    timeline: Timeline,
}

impl Probe {
    /// Connects and asks who the node is.
    ///
    /// # Errors
    /// Every [`LineError`].
    pub async fn open(node: &NodeSettings, login: &MonitorLogin, limit: Duration) -> Result<Probe, LineError> {
        let mut line = Line::open(node, login, limit).await?;
        let rows = line.query(IDENTITY).await?;
        let row = rows.first().ok_or_else(|| LineError::Answer("no row".into()))?;
        let (system_id, segment_bytes) = (row.value(0)?, row.value(1)?);
        Ok(Probe { line, system_id, segment_bytes, timeline: Timeline(0) })
    }

    /// Asks how the node is. Not cancel safe: a probe that was dropped while it asked is of no use.
    ///
    /// # Errors
    /// [`LineError::Lost`], [`LineError::Sql`] and [`LineError::Answer`].
    pub async fn ask(&mut self) -> Result<Observation, LineError> {
        let rows = self.line.query(QUESTION).await?;
        let row = rows.first().ok_or_else(|| LineError::Answer("no row".into()))?;
        let in_recovery = row.flag(0)?;
        let position: Lsn = row.read_as(1)?.unwrap_or_default();
        self.timeline = self.timeline.max(Timeline(row.value(3)?));
        let xact_age = row.read_as::<f64>(4)?.and_then(|age| Duration::try_from_secs_f64(age.max(0.0)).ok());
        Ok(Observation {
            in_recovery,
            timeline: self.timeline,
            system_id: self.system_id,
            position: if in_recovery { position } else { position.reachable(self.segment_bytes) },
            received: row.read_as(2)?,
            xact_age,
            replay_paused: row.flag(5)?,
        })
    }
}

/// What does not change while a server runs.
const IDENTITY: &str = "SELECT system_identifier, \
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size') FROM pg_catalog.pg_control_system()";

/// One row: in recovery, position, receive position, timeline, age of the last replayed transaction, replay paused.
///
/// `pg_is_in_recovery()` is asked once, so that a promotion in between cannot mix the answers of two roles. The control file
/// knows a timeline only from a restart point on, so a primary is asked for the timeline it writes, and a streaming replica
/// for the one it receives.
const QUESTION: &str = "SELECT r, \
    CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END, \
    CASE WHEN r THEN pg_catalog.pg_last_wal_receive_lsn() END, \
    CASE WHEN r THEN GREATEST((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
        (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())) \
    ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))\
        ::pg_catalog.bit(32)::pg_catalog.int4 END, \
    CASE WHEN r THEN extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END, \
    CASE WHEN r THEN pg_catalog.pg_is_wal_replay_paused() ELSE false END \
    FROM (SELECT pg_catalog.pg_is_in_recovery() AS r OFFSET 0) AS role";
