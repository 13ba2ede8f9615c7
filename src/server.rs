//! The composition root: everything is built here, once, and handed down as arguments.
//!
//! `session` and `admin` do not know each other: a client is accepted and authenticated here, then handed to one or the
//! other by the name of its database.

mod accept;
mod cluster;
mod databases;
mod reload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::admin::sources::{Readiness, Reload, Sources};
use crate::auth::throttle::Throttle;
use crate::auth::users::{Users, UsersError};
use crate::catalog::{CatalogError, CatalogState, Follower, LeaseKeeper, Store};
use crate::config::Config;
use crate::net::listener::{self, ListenError};
use crate::net::tls::{self, TlsError};
use crate::pool::{CancelRegistry, Pools};
use crate::session::StartupSettings;
use crate::stats::Clients;

/// The name of the console's database.
pub const CONSOLE: &str = "pgweave";

/// How long the catalog may take to answer at the start.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A user's secret cannot be used.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The catalog cannot be read, or what it holds makes no map.
    #[error("the catalog: {0}")]
    Catalog(#[from] CatalogError),
    /// Nobody can ask the nodes how they are.
    #[error("no user for the monitor: give \"monitor.user\" and \"monitor.password\", or a user with a password")]
    NoMonitor,
    /// The address for HTTP cannot be listened on.
    #[error("cannot listen on {address} for HTTP: {source}")]
    Http {
        /// The address.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The operating system refused signals or randomness.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What all parts of the running proxy share.
pub(crate) struct Proxy {
    pub(crate) path: PathBuf,
    pub(crate) config: Arc<ArcSwap<Config>>,
    pub(crate) startup: ArcSwap<StartupSettings>,
    pub(crate) cluster: cluster::Cluster,
    pub(crate) databases: databases::Databases,
    pub(crate) pools: Arc<Pools>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) cancels: Arc<CancelRegistry>,
    pub(crate) throttle: Arc<std::sync::Mutex<Throttle>>,
    /// Connections that are open, those that log in included.
    pub(crate) open: AtomicUsize,
    pub(crate) seed: [u8; 32],
    pub(crate) sources: Arc<Sources>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Runs the proxy until it is told to stop: SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reads the file again.
///
/// # Errors
/// [`ServeError`] when it cannot start. Once it runs, it runs.
pub async fn run(path: PathBuf, config: Config) -> Result<(), ServeError> {
    let listeners = listen(&config).await?;
    let http = listen_http(&config).await?;
    let (stop, stopping) = watch::channel(false);
    let (reload, reloads) = mpsc::channel(8);
    let catalog = Follow::start(&config).await?;
    let proxy = Arc::new(build(path, config, &catalog, reload, stopping)?);
    proxy.databases.watch_all(&proxy);

    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept::accept(proxy.clone(), listener));
    }
    if let Some(listener) = http {
        let serving = crate::admin::http::serve(listener, proxy.sources.clone(), proxy.stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "HTTP is not served any more");
            }
        });
    }
    tasks.spawn(reload::serve(proxy.clone(), reloads));
    tasks.spawn(tidy(proxy.clone()));
    if let Some(follow) = &catalog {
        tasks.spawn(cluster::follow(proxy.clone(), follow.follower.subscribe(), follow.acked.clone()));
    }
    proxy.sources.readiness.set_listening();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "pgweave serves");

    signals(&proxy).await?;
    tracing::info!(clients = proxy.clients.count(), "draining");
    proxy.sources.readiness.set_draining();
    stop.send_replace(true);
    drain(&proxy).await?;
    tasks.abort_all();
    proxy.cluster.topology.shutdown();
    if let Some(follow) = catalog {
        follow.lease.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn listen(config: &Config) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for address in &config.server.listen {
        listeners.extend(listener::bind(address).await?);
    }
    Ok(listeners)
}

async fn listen_http(config: &Config) -> Result<Option<TcpListener>, ServeError> {
    let Some(address) = &config.server.http else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(ServeError::Http { address: address.clone(), source }),
    }
}

/// The catalog as it is followed.
struct Follow {
    follower: Follower,
    lease: LeaseKeeper,
    acked: watch::Sender<crate::map::Epoch>,
}

impl Follow {
    async fn start(config: &Config) -> Result<Option<Follow>, ServeError> {
        let Some(catalog) = &config.catalog else { return Ok(None) };
        let store = Store::connect(&catalog.dsn, CATALOG_TIMEOUT).await?;
        let follower = Follower::start(store.clone(), catalog.poll_interval).await?;
        let first = follower.subscribe().borrow().epoch;
        let (acked, acks) = watch::channel(first);
        let name = config.server.listen.first().cloned().unwrap_or_default();
        let lease = LeaseKeeper::start(store, name, catalog.lease, acks).await?;
        Ok(Some(Follow { follower, lease, acked }))
    }
}

fn build(
    path: PathBuf,
    config: Config,
    catalog: &Option<Follow>,
    reload: mpsc::Sender<Reload>,
    stop: watch::Receiver<bool>,
) -> Result<Proxy, ServeError> {
    let seed: [u8; 32] = rand::random();
    let throttle = Arc::new(std::sync::Mutex::new(Throttle::default()));
    let startup = startup_settings(&config, seed, &throttle)?;
    let state = match catalog {
        Some(follow) => follow.follower.subscribe().borrow().clone(),
        None => Arc::new(CatalogState::from_config(&config)),
    };
    let config = Arc::new(ArcSwap::from_pointee(config));
    let cluster = cluster::Cluster::start(&config.load(), state)?;
    let pools = Arc::new(Pools::default());
    let databases = databases::Databases::default();
    let clients = Arc::new(Clients::default());
    let sources = Arc::new(Sources {
        topology: cluster.topology.clone(),
        databases: databases.sources.clone(),
        config: config.clone(),
        pools: pools.clone(),
        clients: clients.clone(),
        readiness: Arc::new(Readiness::default()),
        reload,
    });
    let proxy = Proxy {
        path,
        config,
        startup: ArcSwap::from_pointee(startup),
        cluster,
        databases,
        pools,
        clients,
        cancels: Arc::default(),
        throttle,
        open: AtomicUsize::new(0),
        seed,
        sources,
        stop,
    };
    Ok(proxy)
}

/// How clients are let in, as the configuration says it.
pub(crate) fn startup_settings(
    config: &Config,
    seed: [u8; 32],
    throttle: &Arc<std::sync::Mutex<Throttle>>,
) -> Result<StartupSettings, ServeError> {
    let tls = match &config.server.tls {
        Some(settings) => Some(tls::acceptor(settings)?),
        None => None,
    };
    Ok(StartupSettings {
        tls,
        tls_required: config.server.tls.as_ref().is_some_and(|tls| tls.required),
        method: config.auth.method,
        users: Arc::new(Users::new(&config.users, seed)?),
        throttle: throttle.clone(),
        timeout: config.limits.startup_timeout,
    })
}

/// Returns when the proxy is to stop.
async fn signals(proxy: &Arc<Proxy>) -> Result<(), ServeError> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                // What came of it is in the log either way.
                let _ = reload::reload(proxy).await;
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// Waits until the last client has left, the time is up, or a second signal comes.
async fn drain(proxy: &Arc<Proxy>) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let timeout = proxy.config.load().server.drain_timeout;
    let empty = async {
        while proxy.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = empty => {}
        () = tokio::time::sleep(timeout) => {
            tracing::warn!(clients = proxy.clients.count(), "drain timeout: closing what is left");
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Closes servers that rested too long.
async fn tidy(proxy: Arc<Proxy>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        proxy.pools.tidy();
    }
}
