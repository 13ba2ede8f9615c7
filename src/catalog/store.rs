//! Reading and changing the catalog.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, Transaction};

use super::diff::differences;
use super::load;
use super::save::save;
use super::{CatalogError, CatalogState, Difference, TablePlace};
use crate::config::{Config, Secret};
use crate::map::{Epoch, Placement, TableName};

/// Connections of one process to the catalog: one listens, one renews the lease, the others read and change.
const CONNECTIONS: u32 = 4;

/// The files of `migrations/`, as they were when this file was compiled.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// A way to the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    timeout: Duration,
}

/// What [`Store::write_from_config`] found and did.
#[derive(Clone, Debug, PartialEq)]
pub struct InitReport {
    /// Whether the catalog was empty and now holds what the file says.
    pub created: bool,
    /// In what the file differed from the catalog; empty when it was created.
    pub differences: Vec<Difference>,
    /// Whether the file's side of the differences was taken.
    pub applied: bool,
    /// The catalog's epoch now.
    pub epoch: Epoch,
}

impl Store {
    /// Connects to the catalog's database. `timeout` bounds this and every later answer.
    ///
    /// # Errors
    /// [`CatalogError::Dsn`], [`CatalogError::Sql`], [`CatalogError::Timeout`].
    pub async fn connect(dsn: &Secret, timeout: Duration) -> Result<Store, CatalogError> {
        let options = PgConnectOptions::from_str(dsn.expose()).map_err(|_| CatalogError::Dsn)?;
        // A statement that waits longer than we do is not to run on behind our back.
        let limit = timeout.as_millis().max(1).to_string();
        let options =
            options.application_name("pgweave").options([("statement_timeout", &limit), ("lock_timeout", &limit)]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(timeout);
        let pool = within(timeout, async { Ok(pool.connect_with(options).await?) }).await?;
        Ok(Store { pool, timeout })
    }

    /// Brings the tables to this version. Safe to repeat; never goes back.
    ///
    /// # Errors
    /// [`CatalogError::Migrate`], also when the catalog is of a newer version.
    pub async fn migrate(&self) -> Result<(), CatalogError> {
        // In our schema, so that nothing is needed in public, where a role may not create.
        let mut migrator = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
        migrator.create_schemas = Cow::Borrowed(&[Cow::Borrowed("pgweave")]);
        migrator.table_name = Cow::Borrowed("pgweave.migrations");
        match migrator.run(&self.pool).await {
            Err(MigrateError::Execute(error)) => Err(error.into()),
            result => Ok(result?),
        }
    }

    /// Writes what the file says into an empty catalog; into another only what differs and only if `apply` is set. Without
    /// `apply` the differences are told and nothing changes. Safe to repeat.
    ///
    /// # Errors
    /// [`CatalogError::Map`] when the file is no map, [`CatalogError::NeedsMove`] when taking the file's side would leave
    /// rows where no statement looks for them; then nothing was changed.
    pub async fn write_from_config(&self, config: &Config, apply: bool) -> Result<InitReport, CatalogError> {
        self.bounded(async {
            let mut transaction = self.lock().await?;
            let old = load::load(&mut transaction).await?;
            let new = CatalogState::from_config(config).onto(&old).with_ranges()?;
            let created = old.shards.is_empty() && old.databases.is_empty();
            let differences = differences(&new, &old)?;
            let blocked: Vec<_> = differences.iter().filter(|difference| difference.moves_rows).cloned().collect();
            if apply && !blocked.is_empty() {
                return Err(CatalogError::NeedsMove(blocked));
            }
            let write = !differences.is_empty() && (created || apply);
            let epoch = if write { commit(transaction, &old, &new).await?.epoch } else { old.epoch };
            let differences = if created { Vec::new() } else { differences };
            Ok(InitReport { created, applied: write && !created, differences, epoch })
        })
        .await
    }

    /// Everything, at one epoch.
    ///
    /// # Errors
    /// [`CatalogError::NotInitialised`], [`CatalogError::Row`], [`CatalogError::Sql`], [`CatalogError::Timeout`].
    pub async fn load(&self) -> Result<CatalogState, CatalogError> {
        self.bounded(async {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let mut transaction = self.pool.begin_with(begin).await?;
            let state = load::load(&mut transaction).await?;
            transaction.commit().await?;
            Ok(state)
        })
        .await
    }

    /// The epoch of the whole catalog.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn epoch(&self) -> Result<Epoch, CatalogError> {
        self.with_connection(async |connection| load::epoch(connection).await).await
    }

    /// Places one more table of a database. Whether the table exists and holds rows that would have to move is the caller's
    /// to check: the catalog does not see the shards.
    ///
    /// # Errors
    /// [`CatalogError::UnknownDatabase`], [`CatalogError::TableExists`], [`CatalogError::Map`].
    pub async fn table_add(
        &self,
        database: &str,
        table: &TableName,
        place: &TablePlace,
    ) -> Result<CatalogState, CatalogError> {
        self.change(|state| state.place(database, table, place)).await
    }

    /// The placed tables of a database, by name.
    ///
    /// # Errors
    /// [`CatalogError::UnknownDatabase`], [`CatalogError::Map`], and as [`Store::load`].
    pub async fn table_list(&self, database: &str) -> Result<BTreeMap<TableName, Placement>, CatalogError> {
        let state = self.load().await?;
        let map = state.shard_map(database).ok_or_else(|| CatalogError::UnknownDatabase(database.to_string()))?;
        Ok(map.map_err(CatalogError::Map)?.tables.into_iter().collect())
    }

    /// Makes one change in one transaction: the next epoch, and a notification of it.
    async fn change(
        &self,
        edit: impl FnOnce(&mut CatalogState) -> Result<(), CatalogError>,
    ) -> Result<CatalogState, CatalogError> {
        self.bounded(async {
            let mut transaction = self.lock().await?;
            let old = load::load(&mut transaction).await?;
            let mut new = old.clone();
            edit(&mut new)?;
            commit(transaction, &old, &new.with_ranges()?).await
        })
        .await
    }

    /// A transaction that no other change runs beside.
    async fn lock(&self) -> Result<Transaction<'static, Postgres>, CatalogError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT FROM pgweave.map_head FOR UPDATE").execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// The connections, for those who need one of their own.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How long an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs `work` on a connection within the timeout.
    pub(super) async fn with_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, CatalogError>,
    ) -> Result<T, CatalogError> {
        self.bounded(async {
            let mut connection = self.pool.acquire().await?;
            work(&mut connection).await
        })
        .await
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, CatalogError>>) -> Result<T, CatalogError> {
        within(self.timeout, work).await
    }
}

/// Writes the difference at the next epoch and returns what the catalog then holds.
async fn commit(
    mut transaction: Transaction<'static, Postgres>,
    old: &CatalogState,
    new: &CatalogState,
) -> Result<CatalogState, CatalogError> {
    save(&mut transaction, old, new, Epoch(old.epoch.0 + 1)).await?;
    let written = load::load(&mut transaction).await?;
    transaction.commit().await?;
    Ok(written)
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, CatalogError>>) -> Result<T, CatalogError> {
    match tokio::time::timeout(limit, work).await {
        Err(_) => Err(CatalogError::Timeout(limit)),
        Ok(Err(CatalogError::Sql(sqlx::Error::PoolTimedOut))) => Err(CatalogError::Timeout(limit)),
        Ok(Err(CatalogError::Sql(error))) if is_missing(&error) => Err(CatalogError::NotInitialised),
        Ok(result) => result,
    }
}

/// Whether the schema or a table is not there (3F000, 42P01).
fn is_missing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "3F000" || code == "42P01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_is_embedded() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(dir).unwrap();
        let files = files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "sql"));
        // Cargo does not see a new file: touch this one when a migration is added.
        assert_eq!(MIGRATIONS.iter().count(), files.count());
    }

    #[tokio::test]
    async fn silence_is_a_timeout() {
        let limit = Duration::from_millis(10);
        let silent = within(limit, std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(silent, Err(CatalogError::Timeout(found)) if found == limit));
        let full = within(limit, async { Err::<(), _>(sqlx::Error::PoolTimedOut.into()) }).await;
        assert!(matches!(full, Err(CatalogError::Timeout(_))));
        let other = within(limit, async { Err::<(), _>(sqlx::Error::PoolClosed.into()) }).await;
        assert!(matches!(other, Err(CatalogError::Sql(_))));
    }
}
