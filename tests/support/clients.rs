//! tokio-postgres clients.

use std::ops::{Deref, DerefMut};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls};

/// A client and the task that drives its connection.
#[derive(Debug)]
pub struct Session {
    client: Client,
    /// Ends with the connection: `Err` holds why it broke.
    pub connection: JoinHandle<Result<(), Error>>,
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Session {
    /// The first column of the first row of a simple query, as text.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.rows(sql).await.first().and_then(|row| row[0].clone())
    }

    /// All rows of a simple query as text; panics on an error.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()).collect()
    }

    /// The SQLSTATE a simple query fails with; panics when it does not fail.
    pub async fn refusal(&self, sql: &str) -> String {
        match self.client.simple_query(sql).await {
            Ok(rows) => panic!("{sql}: went through: {rows:?}"),
            Err(error) => sqlstate(&error),
        }
    }
}

/// Connects to 127.0.0.1.
pub async fn connect(port: u16, user: &str, password: &str, dbname: &str) -> Result<Session, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname(dbname);
    let (client, connection) = config.connect(NoTls).await?;
    Ok(Session { client, connection: tokio::spawn(connection) })
}

/// Connects as the user `app`; panics when that fails.
pub async fn app(port: u16, dbname: &str) -> Session {
    connect(port, "app", "app", dbname)
        .await
        .unwrap_or_else(|error| panic!("connects to {dbname} at {port}: {error:?}"))
}

/// The SQLSTATE of an error, or its text when the server sent none.
pub fn sqlstate(error: &Error) -> String {
    error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
}
