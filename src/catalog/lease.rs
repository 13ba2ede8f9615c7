//! A proxy's registration.
//!
//! A lease counts for the catalog until `lease_until` by the catalog's clock, and for the proxy until a tenth less by its
//! own, counted from before the renewal was sent: the proxy stops relying on it before anybody else does.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{CatalogError, Store};
use crate::map::Epoch;

/// A registered proxy as the catalog shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its number, a uuid.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether its lease has not run out.
    pub live: bool,
    /// How long its lease still holds; zero when it has run out.
    pub remaining: Duration,
    /// The epoch it has acknowledged: none of its statements planned under an earlier one is in flight.
    pub acked: Epoch,
}

/// A registration of this process.
#[derive(Clone, Debug)]
pub struct Lease {
    store: Store,
    id: String,
    length: Duration,
    valid_until: Instant,
}

impl Lease {
    /// Registers a proxy for `length`. To be done before the map is read, so that who waits for all proxies sees it, or it
    /// sees the newer map.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn register(store: &Store, name: &str, length: Duration, acked: Epoch) -> Result<Lease, CatalogError> {
        let asked = Instant::now();
        let id = store
            .with_connection(async |connection| {
                // Rows of proxies that went without a word are kept for a day, to be looked at.
                sqlx::query("DELETE FROM pgweave.proxies WHERE lease_until < now() - interval '1 day'")
                    .execute(&mut *connection)
                    .await?;
                let insert = "INSERT INTO pgweave.proxies (id, name, lease_until, acked_epoch) \
                              VALUES (gen_random_uuid(), $1, clock_timestamp() + make_interval(secs => $2), $3) \
                              RETURNING id::text";
                let insert = sqlx::query_scalar(insert).bind(name).bind(length.as_secs_f64()).bind(signed(acked));
                Ok(insert.fetch_one(connection).await?)
            })
            .await?;
        Ok(Lease { store: store.clone(), id, length, valid_until: asked + trusted(length) })
    }

    /// Its number, a uuid.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Until when the proxy may rely on it.
    pub fn valid_until(&self) -> Instant {
        self.valid_until
    }

    /// Renews the lease, acknowledges `acked`, and returns the catalog's epoch.
    ///
    /// # Errors
    /// [`CatalogError::LeaseLost`] when it had run out or was removed: others may have gone on without this proxy, which
    /// must register again. Otherwise as [`Store::load`].
    pub async fn renew(&mut self, acked: Epoch) -> Result<Epoch, CatalogError> {
        let asked = Instant::now();
        let found: Option<i64> = self
            .store
            .with_connection(async |connection| {
                let update = "UPDATE pgweave.proxies SET lease_until = clock_timestamp() + make_interval(secs => $2), \
                              acked_epoch = greatest(acked_epoch, $3) \
                              WHERE id = $1::uuid AND lease_until > clock_timestamp() \
                              RETURNING (SELECT epoch FROM pgweave.map_head)";
                let update = sqlx::query_scalar(update).bind(&self.id).bind(self.length.as_secs_f64());
                Ok(update.bind(signed(acked)).fetch_optional(connection).await?)
            })
            .await?;
        let epoch = found.ok_or(CatalogError::LeaseLost)?;
        self.valid_until = asked + trusted(self.length);
        Ok(Epoch(epoch.unsigned_abs()))
    }

    /// Removes the registration: nobody has to wait for this proxy any more.
    ///
    /// # Errors
    /// As [`Store::load`]; the lease then runs out by itself.
    pub async fn release(self) -> Result<(), CatalogError> {
        self.store
            .with_connection(async |connection| {
                sqlx::query("DELETE FROM pgweave.proxies WHERE id = $1::uuid")
                    .bind(&self.id)
                    .execute(connection)
                    .await?;
                Ok(())
            })
            .await
    }
}

impl Store {
    /// All registered proxies, by name.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn proxies(&self) -> Result<Vec<Proxy>, CatalogError> {
        let rows: Vec<(String, String, f64, i64)> = self
            .with_connection(async |connection| {
                let select = "SELECT id::text, name, \
                              extract(epoch FROM lease_until - clock_timestamp())::float8, acked_epoch \
                              FROM pgweave.proxies ORDER BY name, id";
                Ok(sqlx::query_as(select).fetch_all(connection).await?)
            })
            .await?;
        let proxy = |(id, name, seconds, acked): (String, String, f64, i64)| Proxy {
            id,
            name,
            live: seconds > 0.0,
            remaining: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            acked: Epoch(acked.unsigned_abs()),
        };
        Ok(rows.into_iter().map(proxy).collect())
    }
}

/// How long a proxy relies on a lease of this length.
fn trusted(length: Duration) -> Duration {
    length * 9 / 10
}

fn signed(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

/// Keeps a registration alive. Ends, without releasing, when dropped.
#[derive(Debug)]
pub struct LeaseKeeper {
    valid_until: watch::Receiver<Instant>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl LeaseKeeper {
    /// Registers, and from then on renews three times per `length` and at once when `acked` changes. A lease that was lost
    /// is replaced by a new one.
    ///
    /// # Errors
    /// As [`Lease::register`], of the first registration. Later failures are logged and tried again.
    pub async fn start(
        store: Store,
        name: String,
        length: Duration,
        acked: watch::Receiver<Epoch>,
    ) -> Result<LeaseKeeper, CatalogError> {
        let first = *acked.borrow();
        let lease = Lease::register(&store, &name, length, first).await?;
        let (publish, valid_until) = watch::channel(lease.valid_until());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(lease, name, acked, publish, stopped));
        Ok(LeaseKeeper { valid_until, stop, task })
    }

    /// Whether the proxy may rely on its registration at `now`.
    pub fn is_valid(&self, now: Instant) -> bool {
        now < *self.valid_until.borrow()
    }

    /// Until when it may, now and from now on.
    pub fn valid_until(&self) -> watch::Receiver<Instant> {
        self.valid_until.clone()
    }

    /// Releases the registration and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Its failures are logged by the task itself; that it was cancelled cannot be: we hold it.
        let _ = (&mut self.task).await;
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    mut lease: Lease,
    name: String,
    mut acked: watch::Receiver<Epoch>,
    publish: watch::Sender<Instant>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(lease.length / 3) => {}
            Ok(()) = acked.changed() => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        let epoch = *acked.borrow_and_update();
        let renewed = match lease.renew(epoch).await {
            Err(CatalogError::LeaseLost) => {
                tracing::warn!("the lease of this proxy had run out; registering again");
                let store = lease.store.clone();
                Lease::register(&store, &name, lease.length, epoch).await.map(|new| lease = new)
            }
            other => other.map(drop),
        };
        match renewed {
            Ok(()) => drop(publish.send_replace(lease.valid_until())),
            Err(error) => tracing::warn!(%error, "cannot renew the lease of this proxy"),
        }
    }
    if let Err(error) = lease.release().await {
        tracing::warn!(%error, "cannot release the lease of this proxy; it runs out by itself");
    }
}
