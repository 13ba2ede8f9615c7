//! A running `pgweave serve`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgweave::cluster::{Cluster, Node};

use super::clients::{Session, app};
use super::wait::{LIMIT, eventually_blocking};

/// The built binary, serving. Killed when dropped; a WARN or ERROR line in its log that was not allowed fails the test.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect, on 127.0.0.1.
    pub port: u16,
    /// Where HTTP is, on 127.0.0.1.
    pub http: u16,
    dir: PathBuf,
    child: Child,
    allowed: Vec<String>,
}

/// The start of a configuration on `cluster`: the user `app`, its shards and a monitor for which tests need not wait.
pub(super) fn head(cluster: &Cluster) -> String {
    head_via(cluster, Node::port)
}

/// The same with another port for each node, such as that of a [`super::Gate`].
pub(super) fn head_via(cluster: &Cluster, port: impl Fn(&Node) -> u16) -> String {
    format!(
        "[[users]]\nname = \"app\"\npassword = \"app\"\n\n[monitor]\ninterval = \"50ms\"\n\n{}",
        cluster.shards_toml_via(port)
    )
}

impl Proxy {
    /// Starts on free ports and waits until `/readyz` says yes. Without a `[server]` in `config` one is put before it; a
    /// `[server]` in it must have `listen = ["127.0.0.1:{port}"]` and `http = "127.0.0.1:{http}"`, where the braces are
    /// replaced.
    pub fn start(config: &str) -> Proxy {
        let proxy = Proxy::launch(config);
        proxy.wait_ready()
    }

    /// The same without waiting for `/readyz`: only until it listens for HTTP. For a cluster that is not well.
    pub fn start_unready(config: &str) -> Proxy {
        let mut proxy = Proxy::launch(config);
        eventually_blocking("the proxy listens", LIMIT, || {
            proxy.assert_running();
            proxy.get("/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        });
        proxy
    }

    /// A configuration for which every key is given: see [`super::Database::config`] for the usual one.
    pub fn config(cluster: &Cluster, databases: &str) -> String {
        format!("{}{databases}", head(cluster))
    }

    /// The same with another port for each node, such as that of a [`super::Gate`] before it.
    pub fn config_via(cluster: &Cluster, port: impl Fn(&Node) -> u16, databases: &str) -> String {
        format!("{}{databases}", head_via(cluster, port))
    }

    fn launch(config: &str) -> Proxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pgweave-proxy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("creates a directory");
        let (port, http) = (free_port(), free_port());
        let head = "[server]\nlisten = [\"127.0.0.1:{port}\"]\nhttp = \"127.0.0.1:{http}\"\n\n";
        let config = if config.contains("[server]") { config.to_owned() } else { format!("{head}{config}") };
        let config = config.replace("{port}", &port.to_string()).replace("{http}", &http.to_string());
        std::fs::write(dir.join("pgweave.toml"), config).expect("writes the configuration");
        let child = Proxy::spawn(&dir);
        Proxy { port, http, dir, child, allowed: Vec::new() }
    }

    fn spawn(dir: &std::path::Path) -> Child {
        let log = File::options().create(true).append(true).open(dir.join("log")).expect("opens the log");
        Command::new(env!("CARGO_BIN_EXE_pgweave"))
            .args(["serve", "-c"])
            .arg(dir.join("pgweave.toml"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("copies a file handle"))
            .stderr(log)
            .spawn()
            .expect("starts pgweave serve")
    }

    fn wait_ready(mut self) -> Proxy {
        let end = Instant::now() + LIMIT;
        while !self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            self.assert_running();
            let answer = self.get("/readyz");
            assert!(Instant::now() < end, "the proxy is not ready within {LIMIT:?}: {answer:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("asks for the proxy's state");
        assert!(ended.is_none(), "the proxy ended with {ended:?}\n{}", self.log());
    }

    /// A session as the user `app`.
    pub async fn app(&self, dbname: &str) -> Session {
        app(self.port, dbname).await
    }

    /// The file it was started with.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("pgweave.toml")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        std::fs::read(self.dir.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Takes WARN and ERROR lines that contain `part` for expected.
    pub fn allow(&mut self, part: &str) -> &mut Proxy {
        self.allowed.push(part.to_owned());
        self
    }

    /// The whole answer to `GET path`, or `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The value of a metric by its full line up to the value, such as `pgweave_clients{database="shop"}`.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.get("/metrics")?;
        let line = answer.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("/bin/sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &self.pid().to_string()])
            .status()
            .expect("runs kill");
        assert!(status.success(), "kill -s {name}: {status}");
    }

    /// Waits until it ends by itself, as after SIGTERM.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut ended = None;
        let child = &mut self.child;
        eventually_blocking("the proxy ends", LIMIT, || {
            ended = child.try_wait().expect("asks for the proxy's state");
            ended.is_some()
        });
        ended.expect("it has ended")
    }

    /// Kills it (SIGKILL) and starts it again on the same ports and file.
    pub fn restart(mut self) -> Proxy {
        self.kill();
        self.child = Proxy::spawn(&self.dir);
        self.wait_ready()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The lines of level WARN or ERROR that no [`Proxy::allow`] covers.
    fn unexpected(&self) -> Vec<String> {
        let log = self.log();
        let loud = log.lines().filter(|line| {
            [" WARN ", " ERROR ", "\"level\":\"WARN\"", "\"level\":\"ERROR\"", "panicked at"]
                .iter()
                .any(|mark| line.contains(mark))
        });
        loud.filter(|line| !self.allowed.iter().any(|part| line.contains(part.as_str()))).map(str::to_owned).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill();
        let unexpected = self.unexpected();
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}---", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(unexpected.is_empty(), "unexpected lines in the proxy's log:\n{}", unexpected.join("\n"));
        }
    }
}

/// Below the ports that Linux gives to outgoing connections, so that the look and the use can hardly be parted.
fn free_port() -> u16 {
    let mut ports = (0..100).map(|_| rand::random_range(15_000..32_000));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
