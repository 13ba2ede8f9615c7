//! A client of the proxy, as an application has one.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Row};

use crate::cluster::{APP_PASSWORD, APP_USER};

use super::DemoError;

/// How long one statement may take. Longer than any wait inside the proxy that is right.
const LIMIT: Duration = Duration::from_secs(40);

/// A connection.
pub(super) struct Client {
    connection: PgConnection,
}

/// The rows of one statement, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// The names of the columns; empty when there is no row.
    pub columns: Vec<String>,
    /// NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// The value in `row` of the column called `name`.
    pub fn value(&self, row: usize, name: &str) -> Option<&str> {
        let column = self.columns.iter().position(|column| column == name)?;
        self.rows.get(row)?.get(column)?.as_deref()
    }

    /// The first row in which some value is `text` or ends with `:text`.
    pub fn row_of(&self, text: &str) -> Option<usize> {
        let suffix = format!(":{text}");
        let is_it =
            |value: &Option<String>| value.as_ref().is_some_and(|value| value == text || value.ends_with(&suffix));
        self.rows.iter().position(|row| row.iter().any(is_it))
    }

    /// All values of the first column that are not NULL.
    pub fn first_column(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| row.first()?.as_deref())
    }
}

/// What a server or the proxy said no with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The SQLSTATE.
    pub code: String,
    /// All of it, as psql shows it.
    pub text: String,
}

impl Client {
    /// Connects to the proxy on 127.0.0.1 as the application's user.
    pub async fn connect(port: u16, dbname: &str) -> Result<Client, DemoError> {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username(APP_USER);
        let options = options.password(APP_PASSWORD).database(dbname).disable_statement_logging();
        let connected = limited(PgConnection::connect_with(&options)).await;
        connected.map(|connection| Client { connection }).map_err(|source| DemoError::Connect {
            dbname: dbname.to_owned(),
            port,
            source,
        })
    }

    /// Rows of a statement in the simple protocol. The text is ours, never a person's.
    pub async fn rows(&mut self, sql: &str) -> Result<Table, DemoError> {
        let fetched = limited(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection)).await;
        fetched.and_then(|rows| table(&rows)).map_err(|source| DemoError::Statement { sql: sql.to_owned(), source })
    }

    /// How many rows a write in the simple protocol touched.
    pub async fn write(&mut self, sql: &str) -> Result<u64, DemoError> {
        let done = limited(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection)).await;
        done.map(|done| done.rows_affected()).map_err(|source| DemoError::Statement { sql: sql.to_owned(), source })
    }

    /// The refusal of a statement that is to be refused.
    pub async fn refusal(&mut self, sql: &str) -> Result<Refused, DemoError> {
        match limited(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection)).await {
            Ok(done) => Err(DemoError::Unexpected {
                expected: format!("a refusal of {sql}"),
                seen: format!("it went through, {} rows", done.rows_affected()),
            }),
            Err(sqlx::Error::Database(error)) => Ok(refused(error.downcast_ref::<PgDatabaseError>())),
            Err(source) => Err(DemoError::Statement { sql: sql.to_owned(), source }),
        }
    }

    /// One text by two bound integers, in the extended protocol with a prepared statement and binary values.
    pub async fn read_prepared(&mut self, sql: &'static str, params: &[i64]) -> Result<Option<String>, sqlx::Error> {
        let query = params.iter().fold(sqlx::query_scalar(sql), |query, param| query.bind(*param));
        limited(query.fetch_optional(&mut self.connection)).await
    }

    /// A write with bound integers, in the extended protocol.
    pub async fn write_prepared(&mut self, sql: &'static str, params: &[i64]) -> Result<u64, sqlx::Error> {
        let query = params.iter().fold(sqlx::query(sql), |query, param| query.bind(*param));
        limited(query.execute(&mut self.connection)).await.map(|done| done.rows_affected())
    }
}

/// The answer, or an error after [`LIMIT`]: a demo that hangs tells nobody why.
async fn limited<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let text = format!("no answer within {} s", LIMIT.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
        }
    }
}

fn table(rows: &[PgRow]) -> Result<Table, sqlx::Error> {
    let columns = rows.first().map(|row| row.columns().iter().map(|column| column.name().to_owned()).collect());
    let rows = rows.iter().map(|row| {
        let value = |index| {
            let value = row.try_get_raw(index)?;
            if sqlx::ValueRef::is_null(&value) {
                return Ok(None);
            }
            value.as_str().map(|text| Some(text.to_owned())).map_err(sqlx::Error::Decode)
        };
        (0..row.len()).map(value).collect()
    });
    Ok(Table { columns: columns.unwrap_or_default(), rows: rows.collect::<Result<_, sqlx::Error>>()? })
}

fn refused(error: &PgDatabaseError) -> Refused {
    let mut text = format!("ERROR:  {}: {}", error.code(), error.message());
    for (label, part) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
        if let Some(part) = part {
            text.push_str(&format!("\n{label}:  {part}"));
        }
    }
    Refused { code: error.code().to_owned(), text }
}
