//! Waiting for conditions, never for time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take unless a test says otherwise. Generous: only a failing test waits for it.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is yes; panics with `what` after `limit`.
pub async fn eventually<F, Fut>(what: &str, limit: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let end = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Like [`eventually`], for tests without a runtime.
pub fn eventually_blocking(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
