//! Cancel requests: from the key a client was given to the statements its session runs.
//!
//! A cancel must hit its own statement or nothing. The session says which servers it uses ([`CancelSlot::begin`]) and
//! takes them out again before they go back to their pool ([`CancelSlot::end`]), waiting for cancels that are on their way
//! to be settled: PostgreSQL's postmaster has sent the signal when it closes the cancel's connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::handshake;
use crate::net::Endpoint;

/// How long one cancel may take to be delivered.
const DELIVERY: Duration = Duration::from_secs(5);

/// Where a cancel goes.
#[derive(Clone, Debug)]
pub struct CancelTarget {
    /// The node.
    pub endpoint: Arc<Endpoint>,
    /// The backend's process id.
    pub process_id: u32,
    /// Its cancel key.
    pub secret: u32,
}

/// What one session runs at this moment.
#[derive(Debug)]
pub struct CancelSlot {
    process_id: u32,
    secret: u32,
    state: Mutex<State>,
    settled: Notify,
    waiting: AtomicBool,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    targets: Vec<CancelTarget>,
    in_flight: usize,
    /// A cancel was given up on its way: it may still land.
    unsure: bool,
}

impl CancelSlot {
    /// The key's first half, as BackendKeyData gives it.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// The key's second half.
    pub fn secret(&self) -> u32 {
        self.secret
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The session uses a server from now on.
    pub fn begin(&self, target: CancelTarget) {
        let mut state = self.lock();
        if state.targets.is_empty() {
            state.unsure = false;
        }
        state.targets.push(target);
    }

    /// The session is done with the server of this process id. Returns whether a cancel may still be on its way to it;
    /// then [`CancelSlot::settle`] must be awaited before anybody else uses it.
    #[must_use]
    pub fn end(&self, process_id: u32) -> bool {
        let mut state = self.lock();
        state.targets.retain(|target| target.process_id != process_id);
        state.in_flight > 0 || state.unsure
    }

    /// Waits until no cancel is on its way. Bounded by the time a delivery may take. `false`: one was given up half way
    /// and may land yet, so the servers it went to must be closed.
    pub async fn settle(&self) -> bool {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let state = self.lock();
                if state.in_flight == 0 {
                    return !state.unsure;
                }
            }
            settled.await;
        }
    }

    /// Runs `wait`, which waits for a server, unless the client cancels meanwhile: then `None`.
    pub async fn unless_cancelled<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        // Enabled before `waiting` is seen: a cancel that comes from then on wakes it.
        let mut asked = std::pin::pin!(self.asked.notified());
        asked.as_mut().enable();
        self.waiting.store(true, Ordering::SeqCst);
        let outcome = tokio::select! {
            biased;
            () = asked => None,
            done = wait => Some(done),
        };
        self.waiting.store(false, Ordering::SeqCst);
        outcome
    }

    /// Delivers a cancel to every server the session uses now, or wakes it if it waits for one. Returns to how many
    /// servers it went.
    pub async fn cancel(&self) -> usize {
        let targets = {
            let mut state = self.lock();
            if self.waiting.load(Ordering::SeqCst) {
                self.asked.notify_waiters();
            }
            if state.targets.is_empty() {
                return 0;
            }
            state.in_flight += 1;
            state.targets.clone()
        };
        let mut landed = Landed { slot: self, sure: false };
        let deadline = tokio::time::Instant::now() + DELIVERY;
        let mut sure = true;
        for target in &targets {
            if let Err(error) = handshake::cancel(&target.endpoint, target.process_id, target.secret, deadline).await {
                tracing::debug!(%error, "a cancel request could not be delivered");
                sure = false;
            }
        }
        landed.sure = sure;
        targets.len()
    }
}

/// Counts a cancel as settled even if its task is dropped.
struct Landed<'a> {
    slot: &'a CancelSlot,
    /// All of it was delivered.
    sure: bool,
}

impl Drop for Landed<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.slot.lock();
            state.in_flight -= 1;
            state.unsure |= !self.sure;
        }
        self.slot.settled.notify_waiters();
    }
}

/// All sessions' slots by the key their client was given. Bounded by the limit on clients.
#[derive(Debug, Default)]
pub struct CancelRegistry {
    next: AtomicU32,
    slots: Mutex<HashMap<u32, Arc<CancelSlot>>>,
}

impl CancelRegistry {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<CancelSlot>>> {
        self.slots.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A slot for a new session; `secret` must be random. It is known until the guard is dropped.
    pub fn register(self: &Arc<CancelRegistry>, secret: u32) -> CancelGuard {
        let mut slots = self.lock();
        // Process ids are Int32 in the protocol, and drivers print them: keep them positive. After 2^31 sessions the
        // numbers begin again; those still in use are passed over.
        let process_id = loop {
            let candidate = (self.next.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff).max(1);
            if !slots.contains_key(&candidate) {
                break candidate;
            }
        };
        let slot = Arc::new(CancelSlot {
            process_id,
            secret,
            state: Mutex::default(),
            settled: Notify::new(),
            waiting: AtomicBool::new(false),
            asked: Notify::new(),
        });
        slots.insert(process_id, slot.clone());
        CancelGuard { registry: self.clone(), slot }
    }

    /// Cancels what the session with this key runs; returns to how many servers the cancel went. A key that nobody has is
    /// ignored, as PostgreSQL does.
    pub async fn cancel(&self, process_id: u32, secret: u32) -> usize {
        let slot = self.lock().get(&process_id).filter(|slot| slot.secret == secret).cloned();
        match slot {
            Some(slot) => slot.cancel().await,
            None => 0,
        }
    }
}

/// A session's entry in the registry.
#[derive(Debug)]
pub struct CancelGuard {
    registry: Arc<CancelRegistry>,
    /// The slot.
    pub slot: Arc<CancelSlot>,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.slot.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_key_wakes_a_waiter() {
        let registry = Arc::new(CancelRegistry::default());
        let guard = registry.register(77);
        let other = registry.register(78);
        assert_ne!(guard.slot.process_id(), other.slot.process_id());
        let slot = guard.slot.clone();
        let waiting = tokio::spawn(async move { slot.unless_cancelled(std::future::pending::<()>()).await });
        while !guard.slot.waiting.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        assert_eq!(registry.cancel(guard.slot.process_id(), 78).await, 0);
        assert!(!waiting.is_finished());
        registry.cancel(guard.slot.process_id(), 77).await;
        assert_eq!(waiting.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_server_is_kept_until_a_cancel_has_landed() {
        let registry = Arc::new(CancelRegistry::default());
        let guard = registry.register(1);
        guard.slot.lock().in_flight = 1;
        assert!(guard.slot.end(5));
        let slot = guard.slot.clone();
        let settled = tokio::spawn(async move { slot.settle().await });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished());
        drop(Landed { slot: &guard.slot, sure: true });
        assert!(settled.await.unwrap());
        assert!(!guard.slot.end(5));
        guard.slot.lock().in_flight = 1;
        drop(Landed { slot: &guard.slot, sure: false });
        assert!(guard.slot.end(5) && !guard.slot.settle().await, "a cancel that was given up may land yet");
    }

    #[test]
    fn a_guard_takes_its_key_along() {
        let registry = Arc::new(CancelRegistry::default());
        drop(registry.register(1));
        assert!(registry.lock().is_empty());
    }
}
