//! Following the catalog: LISTEN, with asking from time to time as the fallback.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{CatalogError, CatalogState, Store};

/// The pause before the second try to reach the catalog; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Publishes the catalog's state whenever it changes. While the catalog is away the last state stays. Ends when dropped.
#[derive(Debug)]
pub struct Follower {
    state: watch::Receiver<Arc<CatalogState>>,
    connected: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Reads the state once and follows it from then on, by notifications and, because those can be lost, by asking every
    /// `poll_interval`.
    ///
    /// # Errors
    /// As [`Store::load`], and [`CatalogError::Map`] when what the catalog holds is no map: of the first reading. Later
    /// failures are logged and tried again.
    pub async fn start(store: Store, poll_interval: Duration) -> Result<Follower, CatalogError> {
        let first = store.load().await?;
        first.shard_maps()?;
        let (publish, state) = watch::channel(Arc::new(first));
        let (link, connected) = watch::channel(true);
        let task = tokio::spawn(Follow { store, poll_interval, publish, link }.run());
        Ok(Follower { state, connected, task })
    }

    /// The state now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<CatalogState>> {
        self.state.clone()
    }

    /// Whether the last attempt to reach the catalog succeeded.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follow {
    store: Store,
    poll_interval: Duration,
    publish: watch::Sender<Arc<CatalogState>>,
    link: watch::Sender<bool>,
}

impl Follow {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.listen().await
                && self.link.send_replace(false)
            {
                tracing::warn!(%error, "lost the catalog; going on with the map of epoch {}", self.epoch());
            }
            // A connection that held for a while was a good one: its loss is no reason to wait.
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn epoch(&self) -> crate::map::Epoch {
        self.publish.borrow().epoch
    }

    /// Follows by one connection until that is lost.
    async fn listen(&self) -> Result<(), CatalogError> {
        let mut listener = self.listener().await?;
        loop {
            // First of all once: a change between the last reading and LISTEN was not notified to us.
            self.refresh().await?;
            if !self.link.send_replace(true) {
                tracing::info!("following the catalog again at epoch {}", self.epoch());
            }
            tokio::select! {
                heard = listener.try_recv() => {
                    if heard?.is_none() {
                        tracing::debug!("the connection that listens to the catalog was lost");
                        return Ok(());
                    }
                    // One reading answers for all that has arrived by now.
                    while listener.next_buffered().is_some() {}
                }
                () = tokio::time::sleep(self.poll_interval) => {}
            }
        }
    }

    async fn listener(&self) -> Result<PgListener, CatalogError> {
        let limit = self.store.timeout();
        let connect = async {
            let mut listener = PgListener::connect_with(self.store.pool()).await?;
            listener.eager_reconnect(false);
            listener.listen("pgweave").await?;
            Ok(listener)
        };
        tokio::time::timeout(limit, connect).await.map_err(|_| CatalogError::Timeout(limit))?
    }

    /// Publishes the catalog's state if it is newer than the one published. One that is no map is not published: the last
    /// good one serves.
    async fn refresh(&self) -> Result<(), CatalogError> {
        let seen = self.epoch();
        let found = self.store.epoch().await?;
        if found == seen {
            return Ok(());
        }
        let state = self.store.load().await?;
        if state.epoch < seen {
            return Err(CatalogError::WentBack { seen, found: state.epoch });
        }
        state.shard_maps()?;
        tracing::info!("the catalog is at epoch {}", state.epoch);
        self.publish.send_replace(Arc::new(state));
        Ok(())
    }
}
