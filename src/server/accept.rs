//! From a socket to a session or the console.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument;

use super::{CONSOLE, Proxy};
use crate::config::PoolMode;
use crate::pool::Login;
use crate::session::{self, Accepted, Authenticated, Client, Session, SessionUser};
use crate::wire::{Diagnostic, SqlState, backend};

/// Takes clients in until the proxy stops.
pub(crate) async fn accept(proxy: Arc<Proxy>, listener: TcpListener) {
    let mut stop = proxy.stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, _)) => {
                proxy.open.fetch_add(1, Ordering::SeqCst);
                let proxy = proxy.clone();
                tokio::spawn(async move {
                    let open = Open(proxy.clone());
                    // Boxed: what a log-in needs is not to be a part of what an idle session keeps.
                    if let Some(session) = Box::pin(begin(proxy.clone(), socket)).await {
                        // At debug, so that a session in production pays nothing for it.
                        let info = session.info();
                        let span = tracing::debug_span!("session", client = info.id, user = %info.user, database = %info.database);
                        session.run(proxy.stop.clone()).instrument(span).await;
                    }
                    drop(open);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: trying again at once would only burn a processor.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Proxy>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Logs a client in. `None`: it was no client, or it was turned away, or it was the console's.
async fn begin(proxy: Arc<Proxy>, socket: TcpStream) -> Option<Session> {
    let addr = socket.peer_addr().map(|addr| addr.to_string()).unwrap_or_default();
    let startup = proxy.startup.load_full();
    let client = match session::startup::accept(socket, &startup).await {
        Ok(Accepted::Client(client)) => client,
        Ok(Accepted::Cancel { process_id, secret, stream }) => {
            if proxy.cancels.cancel(process_id, secret).await > 0 {
                tracing::debug!("a cancel request was delivered");
            }
            // Closed only now: to the client this is the sign that the cancel has been dealt with.
            drop(stream);
            return None;
        }
        Err(error) => {
            tracing::debug!(%error, addr, "a connection did not become a client");
            return None;
        }
    };
    let limit = proxy.config.load().limits.clients;
    if proxy.open.load(Ordering::SeqCst) > limit {
        let report = Diagnostic::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        turn_away(*client, &report).await;
        return None;
    }
    if client.database == CONSOLE && !proxy.config.load().databases.contains_key(CONSOLE) {
        console(&proxy, *client, addr).await;
        return None;
    }
    greet(&proxy, *client, addr).await
}

async fn console(proxy: &Arc<Proxy>, client: Authenticated, addr: String) {
    let application = param(&client, "application_name");
    let registration = proxy.clients.register(&client.user, CONSOLE, addr, client.stream.is_tls(), &application);
    let is_admin = proxy.config.load().users.iter().any(|user| user.name == client.user && user.admin);
    let user = client.user.clone();
    crate::admin::console::serve(
        client.stream,
        client.leftover,
        user,
        is_admin,
        proxy.sources.clone(),
        proxy.stop.clone(),
    )
    .await;
    drop(registration);
}

fn param(client: &Authenticated, name: &str) -> String {
    client.params.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Tells an authenticated client its parameters and its key; then its session may begin.
async fn greet(proxy: &Arc<Proxy>, client: Authenticated, addr: String) -> Option<Session> {
    let Some(served) = proxy.databases.database(proxy, &client.database) else {
        let report = Diagnostic::fatal(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{}\" does not exist", client.database),
        );
        turn_away(client, &report).await;
        return None;
    };
    let settings = match session::startup_settings(&client.params) {
        Ok(settings) => Arc::new(settings),
        Err(report) => {
            turn_away(client, &report).await;
            return None;
        }
    };
    let user = Arc::new(session_user(proxy, &served.database, &client.user));
    let greeting = match served.greetings.greeting(&served.database, &user.login, &settings).await {
        Ok(greeting) => greeting,
        Err(report) => {
            turn_away(client, &report).await;
            return None;
        }
    };
    let application = param(&client, "application_name");
    let tls = client.stream.is_tls();
    let registration = proxy.clients.register(&client.user, &client.database, addr, tls, &application);
    let cancel = proxy.cancels.register(rand::random());
    let mut end = Client::new(client.stream, client.leftover);
    for (name, value) in greeting.params.iter() {
        backend::parameter_status(&mut end.outbuf, name, value);
    }
    backend::backend_key_data(&mut end.outbuf, cancel.slot.process_id(), cancel.slot.secret());
    backend::ready_for_query(&mut end.outbuf, b'I');
    Some(Session::new(end, served.database.clone(), user, &greeting, cancel, registration))
}

fn session_user(proxy: &Arc<Proxy>, database: &crate::exec::Database, name: &str) -> SessionUser {
    let config = proxy.config.load();
    let user = config.users.iter().find(|user| user.name == name);
    let settings = database.settings.load();
    let mode = user.and_then(|user| user.pool_mode).unwrap_or(settings.pool_mode);
    SessionUser {
        login: Login {
            user: name.to_owned(),
            password: user.and_then(|user| user.password.clone()),
            dbname: settings.dbname.clone(),
            params: Vec::new(),
        },
        may_bypass_routing: user.is_some_and(|user| user.may_bypass_routing),
        session_mode: mode == PoolMode::Session,
    }
}

/// Tells a client why it cannot stay, as far as it listens.
async fn turn_away(mut client: Authenticated, report: &Diagnostic) {
    let mut out = BytesMut::new();
    backend::diagnostic(&mut out, report);
    let told = async {
        client.stream.write_all(&out).await?;
        client.stream.shutdown().await
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), told).await;
}
