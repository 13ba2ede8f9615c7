//! Servers, proxy and configuration of one demo.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cluster::{APP_PASSWORD, APP_USER, Cluster, Node, Spec};

use super::{DemoArgs, DemoError, data};

/// How long the proxy may take to become ready, or to end.
const LIMIT: Duration = Duration::from_secs(30);

/// What is up. Dropped, everything is stopped.
pub(super) struct World {
    /// Where clients connect, on 127.0.0.1.
    pub port: u16,
    /// Where HTTP is, on 127.0.0.1.
    pub http: u16,
    /// Whether the directory stays.
    pub keep: bool,
    // Before the cluster: the proxy goes first, so that it does not complain about servers that go.
    proxy: Proxy,
    /// The servers.
    pub cluster: Cluster,
}

impl World {
    /// Starts servers and proxy; the schema is there, and no data yet.
    pub fn start(args: &DemoArgs) -> Result<World, DemoError> {
        let spec = Spec {
            catalog: true,
            pg_bin: args.pg_bin.clone(),
            ..Spec::new(usize::from(args.shards), usize::from(args.replicas))
        };
        let began = Instant::now();
        println!("starting a catalog and {} shards, replicas of each: {}", args.shards, args.replicas);
        let cluster = Cluster::start(&spec)?;
        if args.keep {
            cluster.keep()?;
        }
        let binaries = cluster.binaries();
        let count = cluster.nodes().count();
        println!(
            "{count} servers of PostgreSQL {} ({}) are up after {:.1} s",
            binaries.major(),
            binaries.dir().display(),
            began.elapsed().as_secs_f32()
        );
        cluster.create_database(data::DATABASE)?;
        cluster.sql_everywhere(data::DATABASE, data::SCHEMA)?;
        if let Some(catalog) = &cluster.catalog {
            catalog.sql("postgres", "CREATE ROLE pgweave LOGIN PASSWORD 'pgweave'")?;
            catalog.sql("postgres", "CREATE DATABASE pgweave OWNER pgweave")?;
        }
        let (proxy, port, http) = Proxy::start(&cluster, args)?;
        println!("the proxy is ready on 127.0.0.1:{port}");
        Ok(World { port, http, keep: args.keep, proxy, cluster })
    }

    /// Returns when `ended` does.
    ///
    /// # Errors
    /// [`DemoError::Proxy`] when the proxy ends before.
    pub async fn watch(&self, mut ended: Ended) -> Result<(), DemoError> {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                _ = ended.interrupt.recv() => return Ok(()),
                _ = ended.terminate.recv() => return Ok(()),
                _ = look.tick() => {
                    if !Path::new(&format!("/proc/{}/exe", self.proxy.child.id())).exists() {
                        return Err(self.proxy.error("the proxy ended".to_owned()));
                    }
                }
            }
        }
    }

    /// The server that ran the statement with `mark` in its text last, or `None` when no server shows it. A server shows
    /// the last statement of each connection until the next one comes on it.
    pub fn server_of(&self, mark: &str) -> Result<Option<&Node>, DemoError> {
        let question = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{APP_USER}' AND position('{mark}' IN query) > 0"
        );
        for node in self.cluster.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas))
        {
            if node.is_running() && node.sql("postgres", &question)? != "0" {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    /// For each shard, what its primary itself answers to `sql`: behind the proxy's back.
    pub fn ask_primaries(&self, sql: &str) -> Result<Vec<(&str, String)>, DemoError> {
        let shards = self.cluster.shards.iter();
        shards.map(|shard| Ok((shard.name.as_str(), shard.primary.sql(data::DATABASE, sql)?))).collect()
    }
}

/// Ctrl-C and SIGTERM, from the moment this is made: until then they end the process, and the cluster's guard cleans up.
pub(super) struct Ended {
    interrupt: Signal,
    terminate: Signal,
}

impl Ended {
    /// Begins to listen.
    pub fn listen() -> Result<Ended, DemoError> {
        let interrupt = signal(SignalKind::interrupt()).map_err(DemoError::io("wait for Ctrl-C"))?;
        let terminate = signal(SignalKind::terminate()).map_err(DemoError::io("wait for SIGTERM"))?;
        Ok(Ended { interrupt, terminate })
    }
}

/// `pgweave serve`, as a process of its own.
struct Proxy {
    child: Child,
    log: PathBuf,
}

impl Proxy {
    /// Runs `init` and `serve`. Between our look at a port and the proxy's use of it somebody else may take it: then another
    /// one is tried, unless it was asked for.
    fn start(cluster: &Cluster, args: &DemoArgs) -> Result<(Proxy, u16, u16), DemoError> {
        let mut tries = 0;
        loop {
            let (port, http) = (port(args.port, 6432)?, port(args.http, 6433)?);
            match Proxy::start_on(cluster, port, http) {
                Err(DemoError::Proxy { log, .. }) if log.contains("cannot listen") && tries < 5 => tries += 1,
                result => return result.map(|proxy| (proxy, port, http)),
            }
        }
    }

    fn start_on(cluster: &Cluster, port: u16, http: u16) -> Result<Proxy, DemoError> {
        let dir = cluster.dir();
        let config = dir.join("pgweave.toml");
        std::fs::write(&config, configuration(cluster, port, http))
            .map_err(DemoError::io("write the configuration"))?;
        let log = dir.join("proxy.log");
        // Of a try before this one.
        if log.exists() {
            std::fs::remove_file(&log).map_err(DemoError::io("remove the proxy's log"))?;
        }
        if cluster.catalog.is_some() {
            let status = command("init", &config, &log)?.status().map_err(DemoError::io("run pgweave init"))?;
            if !status.success() {
                return Err(failed(&log, format!("pgweave init ended with {status}")));
            }
        }
        let mut serve = command("serve", &config, &log)?;
        // A group of its own: at Ctrl-C we tell it, after the workload has ended.
        serve.process_group(0);
        let child = serve.spawn().map_err(DemoError::io("run pgweave serve"))?;
        // The cluster's guard ends it by this file when we cannot.
        let pid = dir.join("proxy.pid");
        std::fs::write(&pid, format!("{}\n", child.id())).map_err(DemoError::io("write proxy.pid"))?;
        let mut proxy = Proxy { child, log };
        proxy.wait_ready(http)?;
        Ok(proxy)
    }

    fn wait_ready(&mut self, http: u16) -> Result<(), DemoError> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.ended()? {
                return Err(self.error(format!("pgweave serve ended with {status}")));
            }
            let answer = get(http, "/readyz");
            if answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(self.error(format!("the proxy is not ready after {} s: {answer:?}", LIMIT.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, DemoError> {
        self.child.try_wait().map_err(DemoError::io("ask for the proxy's state"))
    }

    fn error(&self, what: String) -> DemoError {
        failed(&self.log, what)
    }

    /// Drains and ends it.
    fn stop(&mut self) -> Result<(), DemoError> {
        let mut kill = Command::new("/bin/sh");
        kill.args(["-c", "kill -s TERM \"$1\"", "kill", &self.child.id().to_string()]).stderr(Stdio::null());
        kill.status().map_err(DemoError::io("run kill"))?;
        let end = Instant::now() + LIMIT;
        while self.ended()?.is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Whatever the polite way came to, the rest is sure; a process that has ended already is no error.
        let _ = self.stop();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program with another command, writing to `log`.
fn command(name: &str, config: &Path, log: &Path) -> Result<Command, DemoError> {
    let file = File::options().create(true).append(true).open(log).map_err(DemoError::io("open the proxy's log"))?;
    let errors = file.try_clone().map_err(DemoError::io("copy a file handle"))?;
    let program = std::env::current_exe().map_err(DemoError::io("find this program"))?;
    let mut command = Command::new(program);
    command.arg(name).arg("-c").arg(config).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    Ok(command)
}

fn failed(log: &Path, what: String) -> DemoError {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    DemoError::Proxy { what, log: lines[lines.len().saturating_sub(20)..].join("\n") }
}

/// The whole answer to `GET path`.
pub(super) fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The port asked for, else the usual one, else, when that is taken, one that is free.
fn port(wanted: Option<u16>, usual: u16) -> Result<u16, DemoError> {
    if let Some(port) = wanted {
        return Ok(port);
    }
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    match free(usual).or_else(|_| free(0)) {
        Ok(address) => {
            if address.port() != usual {
                println!("port {usual} is taken, using {}", address.port());
            }
            Ok(address.port())
        }
        Err(source) => Err(DemoError::Io { doing: "find a free port".to_owned(), source }),
    }
}

fn configuration(cluster: &Cluster, port: u16, http: u16) -> String {
    let catalog = cluster.catalog.as_ref().map_or_else(String::new, |catalog| {
        format!("[catalog]\ndsn = \"postgres://pgweave:pgweave@127.0.0.1:{}/pgweave\"\n\n", catalog.port())
    });
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nhttp = \"127.0.0.1:{http}\"\ndrain_timeout = \"2s\"\n\n\
         [[users]]\nname = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\nadmin = true\n\n\
         {catalog}{}{}",
        cluster.shards_toml(),
        data::CONFIG
    )
}
