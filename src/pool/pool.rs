//! The servers of one node for one database and one role: a hard cap, fair waiting with a deadline, and a verdict at the end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::handshake::{self, ConnectError, Login};
use super::{PoolKey, PoolView, ServerConn, ServerError, ServerIdentity, ServerState, ServerView, Settings};
use crate::net::Endpoint;
use crate::wire::{Diagnostic, Fate, Fault, Report, Retry, SqlState};

/// The bounds of a pool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Servers at once, those being connected and reset included.
    pub size: usize,
    /// Waiters at once.
    pub waiters: usize,
    /// How long a client waits.
    pub checkout_timeout: Duration,
    /// How long a connect may take, log-in included.
    pub connect_timeout: Duration,
    /// Prepared statements per server.
    pub prepared: usize,
    /// An idle server is closed after this.
    pub idle_timeout: Duration,
    /// A server is not reused past this age.
    pub lifetime: Duration,
}

/// Who goes first when servers are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A client that holds no server.
    Empty,
    /// A client that already holds one of another shard: it goes first, because others may wait for what it holds.
    Holding,
}

/// In what state a server comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Idle, in sync, and nothing was changed on it.
    Clean,
    /// Idle and in sync, but somebody's session state is on it.
    NeedsReset,
    /// Anything else: it is closed.
    Broken,
}

/// Why there is no server.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckoutError {
    /// None became free in time.
    #[error("no server of pool {pool} became free within {waited:?} ({waiters} waiting, {size} servers)")]
    Timeout {
        /// Node, database and user.
        pool: String,
        /// How long the client waited.
        waited: Duration,
        /// How many waited at the end.
        waiters: usize,
        /// The cap.
        size: usize,
    },
    /// Too many wait already.
    #[error("too many clients wait for pool {pool} ({waiters})")]
    TooManyWaiters {
        /// Node, database and user.
        pool: String,
        /// How many.
        waiters: usize,
    },
    /// A new connection failed.
    #[error("cannot connect to a server: {0}")]
    Connect(Arc<ConnectError>),
}

impl CheckoutError {
    /// Whether it tells against the node (it refused, is starting, did not answer), not against this login or this load.
    pub fn is_node_failure(&self) -> bool {
        matches!(self, CheckoutError::Connect(error) if error.is_about_node())
    }
}

impl Report for CheckoutError {
    fn diagnostic(&self) -> Diagnostic {
        match self {
            CheckoutError::Timeout { pool, waited, waiters, size } => {
                Diagnostic::error(SqlState::TOO_MANY_CONNECTIONS, "no server became free in time")
                    .detail(format!(
                        "Pool {pool}: {size} servers, {waiters} clients waiting, waited {} ms.",
                        waited.as_millis()
                    ))
                    .hint("Shorten transactions, or raise \"pool_size\" or \"limits.checkout_timeout\".")
            }
            CheckoutError::TooManyWaiters { pool, waiters } => {
                Diagnostic::error(SqlState::TOO_MANY_CONNECTIONS, "too many clients wait for a server")
                    .detail(format!("Pool {pool}: {waiters} clients waiting."))
            }
            CheckoutError::Connect(error) => error.diagnostic(),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            CheckoutError::Connect(error) => error.fault(),
            _ => Fault::Operator,
        }
    }

    fn retry(&self) -> Retry {
        Retry::BeforeSend
    }

    fn fate(&self) -> Fate {
        Fate::Continue
    }
}

/// One that waits in the queue. Given up, it is out of the queue at once, and a server that was delivered to it in the same
/// moment goes to the next one.
struct Waiting<'a> {
    pool: &'a Pool,
    receive: oneshot::Receiver<Delivery>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receive.close();
        let mut inner = self.pool.lock();
        if let Ok(Ok(conn)) = self.receive.try_recv() {
            inner.out.retain(|identity| identity.id != conn.identity.id);
            self.pool.deliver(&mut inner, conn);
        }
        inner.holding.retain(|waiter| !waiter.deliver.is_closed());
        inner.empty.retain(|waiter| !waiter.deliver.is_closed());
    }
}

type Delivery = Result<Box<ServerConn>, Arc<ConnectError>>;

struct Waiter {
    since: Instant,
    deliver: oneshot::Sender<Delivery>,
}

#[derive(Default)]
struct Inner {
    /// Servers at rest; the one rested last is taken first, so that a small load keeps few servers warm.
    // Boxed as it is handed from hand to hand: a server is moved many times a second and is not small.
    #[allow(clippy::vec_box)]
    idle: Vec<Box<ServerConn>>,
    /// Every server that counts: idle, in use, connecting, resetting.
    open: usize,
    connecting: usize,
    resetting: usize,
    holding: VecDeque<Waiter>,
    empty: VecDeque<Waiter>,
    /// The servers in use or resetting, for the console.
    out: Vec<Arc<ServerIdentity>>,
    /// Set when the pool is taken out of service: nothing comes to rest any more.
    closed: bool,
}

impl Inner {
    fn next_waiter(&mut self) -> Option<Waiter> {
        self.holding.pop_front().or_else(|| self.empty.pop_front())
    }

    fn waiting(&self) -> usize {
        self.holding.len() + self.empty.len()
    }
}

/// The servers of one node for one database and one role.
pub struct Pool {
    key: PoolKey,
    endpoint: Arc<Endpoint>,
    login: Login,
    settings: PoolSettings,
    in_use: Arc<AtomicUsize>,
    retired: AtomicBool,
    inner: Mutex<Inner>,
}

impl Pool {
    /// A pool without servers. `in_use` counts the servers of this node that clients have, over all its pools.
    pub fn new(
        key: PoolKey,
        endpoint: Arc<Endpoint>,
        login: Login,
        settings: PoolSettings,
        in_use: Arc<AtomicUsize>,
    ) -> Arc<Pool> {
        Arc::new(Pool {
            key,
            endpoint,
            login,
            settings,
            in_use,
            retired: AtomicBool::new(false),
            inner: Mutex::default(),
        })
    }

    /// What it is the pool of.
    pub fn key(&self) -> &PoolKey {
        &self.key
    }

    /// Where its servers are.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether it was taken out of service: nobody should take servers of it any more.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Takes a server that is at rest. While anybody waits there is none: what comes back goes to the waiters.
    pub fn try_checkout(self: &Arc<Pool>) -> Option<Checkout> {
        let conn = self.pop_idle(&mut self.lock())?;
        Some(self.wrap(conn))
    }

    fn pop_idle(&self, inner: &mut Inner) -> Option<Box<ServerConn>> {
        while let Some(mut conn) = inner.idle.pop() {
            if conn.created.elapsed() < self.settings.lifetime && conn.is_fresh() {
                self.hand_out(inner, &conn);
                return Some(conn);
            }
            inner.open -= 1;
        }
        None
    }

    /// Takes a server: one at rest, a new one below the cap, or the next that comes free.
    ///
    /// Cancel safe: a server delivered to a waiter that is gone goes to the next one.
    ///
    /// # Errors
    /// [`CheckoutError`]; nothing is held then.
    pub async fn checkout(self: &Arc<Pool>, priority: Priority) -> Result<Checkout, CheckoutError> {
        let receive = {
            let mut inner = self.lock();
            // Under the same lock as the waiter is queued: a server that came to rest between the two would wake nobody.
            if let Some(conn) = self.pop_idle(&mut inner) {
                drop(inner);
                return Ok(self.wrap(conn));
            }
            if inner.waiting() >= self.settings.waiters {
                return Err(CheckoutError::TooManyWaiters { pool: self.key.to_string(), waiters: inner.waiting() });
            }
            let (deliver, receive) = oneshot::channel();
            let waiter = Waiter { since: Instant::now(), deliver };
            match priority {
                Priority::Holding => inner.holding.push_back(waiter),
                Priority::Empty => inner.empty.push_back(waiter),
            }
            self.grow(&mut inner);
            receive
        };
        let mut waiting = Waiting { pool: self, receive };
        let waited = self.settings.checkout_timeout;
        let received = tokio::time::timeout(waited, &mut waiting.receive).await;
        drop(waiting);
        match received {
            Ok(Ok(Ok(conn))) => Ok(self.wrap(conn)),
            Ok(Ok(Err(error))) => Err(CheckoutError::Connect(error)),
            Ok(Err(_)) | Err(_) => {
                let inner = self.lock();
                let (pool, waiters, size) = (self.key.to_string(), inner.waiting() + 1, self.settings.size);
                Err(CheckoutError::Timeout { pool, waited, waiters, size })
            }
        }
    }

    fn wrap(self: &Arc<Pool>, conn: Box<ServerConn>) -> Checkout {
        self.in_use.fetch_add(1, Ordering::Relaxed);
        Checkout { conn: Some(conn), pool: self.clone() }
    }

    fn hand_out(&self, inner: &mut Inner, conn: &ServerConn) {
        conn.identity.set_state(ServerState::Active);
        conn.identity.checkouts.fetch_add(1, Ordering::Relaxed);
        inner.out.push(conn.identity.clone());
    }

    /// Starts connections for waiters that no connection under way will serve, below the cap.
    fn grow(self: &Arc<Pool>, inner: &mut Inner) {
        while inner.waiting() > inner.connecting && inner.open < self.settings.size {
            inner.open += 1;
            inner.connecting += 1;
            let pool = self.clone();
            // A task of its own: a client that gives up must not tear down a connection that the next one can use.
            tokio::spawn(async move { pool.connect().await });
        }
    }

    async fn connect(self: Arc<Pool>) {
        let deadline = tokio::time::Instant::now() + self.settings.connect_timeout;
        let connected = handshake::connect(&self.endpoint, &self.login, deadline).await;
        let mut inner = self.lock();
        inner.connecting -= 1;
        match connected {
            Ok(handshaken) => {
                let conn = ServerConn::new(self.key.node, handshaken, self.settings.prepared);
                self.deliver(&mut inner, Box::new(conn));
            }
            Err(error) => {
                inner.open -= 1;
                let error = Arc::new(error);
                // One failed connect answers one waiter: the others' own connects will tell.
                while let Some(waiter) = inner.next_waiter() {
                    if waiter.deliver.send(Err(error.clone())).is_ok() {
                        break;
                    }
                }
                self.grow(&mut inner);
            }
        }
    }

    /// Gives a clean server to the first waiter who is still there, or puts it to rest.
    fn deliver(&self, inner: &mut Inner, mut conn: Box<ServerConn>) {
        while let Some(waiter) = inner.next_waiter() {
            let identity = conn.identity.clone();
            match waiter.deliver.send(Ok(conn)) {
                Ok(()) => {
                    identity.set_state(ServerState::Active);
                    identity.checkouts.fetch_add(1, Ordering::Relaxed);
                    inner.out.push(identity);
                    return;
                }
                Err(Ok(back)) => conn = back,
                // What was sent was a server, so a server comes back.
                Err(Err(_)) => return,
            }
        }
        if inner.closed {
            inner.open -= 1;
            conn.terminate();
            return;
        }
        conn.identity.set_state(ServerState::Idle);
        conn.rested = Instant::now();
        inner.idle.push(conn);
    }

    fn take_back(self: &Arc<Pool>, conn: Box<ServerConn>, verdict: Verdict) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.lock();
        let verdict = if conn.created.elapsed() >= self.settings.lifetime { Verdict::Broken } else { verdict };
        match verdict {
            Verdict::Clean => {
                inner.out.retain(|identity| identity.id != conn.identity.id);
                self.deliver(&mut inner, conn);
            }
            Verdict::NeedsReset => {
                conn.identity.set_state(ServerState::Resetting);
                inner.resetting += 1;
                let pool = self.clone();
                tokio::spawn(async move { pool.reset(conn).await });
            }
            Verdict::Broken => self.close(&mut inner, conn),
        }
    }

    fn close(self: &Arc<Pool>, inner: &mut Inner, conn: Box<ServerConn>) {
        inner.out.retain(|identity| identity.id != conn.identity.id);
        inner.open -= 1;
        conn.terminate();
        self.grow(inner);
    }

    /// Makes a server as good as new, or closes it.
    async fn reset(self: Arc<Pool>, mut conn: Box<ServerConn>) {
        let outcome =
            tokio::time::timeout(self.settings.connect_timeout, reset_session(&mut conn, &self.login.user)).await;
        let mut inner = self.lock();
        inner.resetting -= 1;
        match outcome {
            Ok(Ok(())) => {
                inner.out.retain(|identity| identity.id != conn.identity.id);
                self.deliver(&mut inner, conn);
            }
            Ok(Err(error)) => {
                tracing::debug!(pool = %self.key, %error, "a server could not be reset and is closed");
                self.close(&mut inner, conn);
            }
            Err(_) => self.close(&mut inner, conn),
        }
    }

    /// Closes servers that rested too long or are too old. To be called now and then.
    pub fn tidy(self: &Arc<Pool>) {
        let mut inner = self.lock();
        let (idle_timeout, lifetime) = (self.settings.idle_timeout, self.settings.lifetime);
        let (keep, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut inner.idle)
            .into_iter()
            .partition(|conn| conn.rested.elapsed() < idle_timeout && conn.created.elapsed() < lifetime);
        inner.idle = keep;
        inner.open -= gone.len();
        drop(inner);
        gone.into_iter().for_each(|conn| conn.terminate());
    }

    /// Takes the pool out of service: idle servers are closed, those in use when they come back.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.closed = true;
        let gone = std::mem::take(&mut inner.idle);
        inner.open -= gone.len();
        drop(inner);
        gone.into_iter().for_each(|conn| conn.terminate());
    }

    /// The pool as the console shows it.
    pub fn view(&self) -> PoolView {
        let inner = self.lock();
        let first = inner.holding.front().into_iter().chain(inner.empty.front()).map(|waiter| waiter.since).min();
        PoolView {
            node: self.key.node,
            database: self.key.database.to_string(),
            user: self.key.user.to_string(),
            waiting: inner.waiting(),
            active: inner.open - inner.idle.len() - inner.connecting - inner.resetting,
            idle: inner.idle.len(),
            connecting: inner.connecting,
            resetting: inner.resetting,
            size: self.settings.size,
            max_wait: first.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    /// Its servers as the console shows them.
    pub fn servers(&self) -> Vec<ServerView> {
        let inner = self.lock();
        let all = inner.out.iter().cloned().chain(inner.idle.iter().map(|conn| conn.identity.clone()));
        all.map(|identity| ServerView {
            id: identity.id,
            node: self.key.node,
            database: self.key.database.to_string(),
            user: self.key.user.to_string(),
            state: identity.state(),
            process_id: identity.process_id,
            connected_at: identity.connected_at,
            checkouts: identity.checkouts.load(Ordering::Relaxed),
            tls: identity.tls,
        })
        .collect()
    }
}

/// Undoes what a session left, and proves it: role, session user and every setting are what a new session has.
async fn reset_session(conn: &mut ServerConn, user: &str) -> Result<(), ServerError> {
    conn.query("DISCARD ALL").await?;
    conn.prepared.clear();
    conn.unnamed = None;
    conn.settings = Arc::new(Settings::default());
    let rows = conn
        .query(
            "SELECT pg_catalog.current_setting('role'), session_user, current_user, \
             (SELECT pg_catalog.count(*) FROM pg_catalog.pg_settings WHERE source = 'session' \
              AND name NOT IN ('session_authorization', 'role')), \
             (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())",
        )
        .await?;
    let expected = ["none", user, user, "0", "0"];
    let found: Vec<&str> = rows.first().into_iter().flatten().map(|value| value.as_deref().unwrap_or("")).collect();
    if found == expected {
        Ok(())
    } else {
        Err(ServerError::Protocol(format!("session state is left after DISCARD ALL: {found:?}")))
    }
}

/// A server taken from its pool. Dropped without a verdict it is closed.
pub struct Checkout {
    conn: Option<Box<ServerConn>>,
    pool: Arc<Pool>,
}

impl Checkout {
    /// The server.
    pub fn conn(&mut self) -> &mut ServerConn {
        // Only `finish` and `drop` take it out, and both end the checkout.
        self.conn.as_mut().expect("a checkout has its server until it ends")
    }

    /// The server, to look at.
    pub fn peek(&self) -> &ServerConn {
        self.conn.as_ref().expect("a checkout has its server until it ends")
    }

    /// The pool it came from.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Gives it back.
    pub fn finish(mut self, verdict: Verdict) {
        if let Some(conn) = self.conn.take() {
            self.pool.take_back(conn, verdict);
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.take_back(conn, Verdict::Broken);
        }
    }
}
