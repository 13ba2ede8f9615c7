//! One PostgreSQL server: its directory, its port, its process.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::account::Account;
use super::command::{run, wait_for};
use super::{Binaries, ClusterError};

/// How long a server may take to start, to stop, to promote, to pause.
const LIMIT: Duration = Duration::from_secs(60);

/// Ports tried for a new server before giving up.
const PORTS_TRIED: usize = 20;

/// How a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for clients to leave.
    Smart,
    /// Rolls back, disconnects, writes a checkpoint.
    Fast,
    /// Like a crash of the whole machine, but nothing is left running: the next start recovers.
    Immediate,
}

/// One PostgreSQL server on 127.0.0.1.
#[derive(Debug)]
pub struct Node {
    name: String,
    bin: Binaries,
    account: Account,
    /// Holds `data`, `log` and the socket.
    dir: PathBuf,
    port: u16,
    /// The postmaster, while it is a child of ours.
    child: Mutex<Option<Child>>,
}

/// What a server is at its first start.
#[derive(Clone, Debug)]
pub(super) struct Role<'a> {
    /// The port of the primary to follow; `None`: a primary.
    pub follows: Option<u16>,
    /// Settings beyond ours, name and value as in `postgresql.conf`.
    pub settings: &'a [(String, String)],
    /// Whether the server waits for the disk.
    pub fsync: bool,
}

impl Node {
    /// Configures and starts the server whose data directory lies ready in `dir/data`, on a port nobody has.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not start.
    pub(super) fn create(
        name: String,
        bin: &Binaries,
        account: &Account,
        dir: PathBuf,
        role: &Role<'_>,
    ) -> Result<Node, ClusterError> {
        let mut node = Node { name, bin: bin.clone(), account: account.clone(), dir, port: 0, child: Mutex::new(None) };
        node.write_settings(role)?;
        for _ in 0..PORTS_TRIED {
            node.port = free_port()?;
            match node.start() {
                // Somebody was quicker between our look at the port and the server's.
                Err(ClusterError::Ended { log, .. }) if log.contains("could not create any TCP/IP sockets") => {}
                result => return result.map(|()| node),
            }
        }
        Err(ClusterError::Ended { dir: node.dir.clone(), log: format!("no free port in {PORTS_TRIED} tries") })
    }

    /// A handle on a server that another process started.
    pub(super) fn attach(name: String, bin: &Binaries, account: &Account, dir: PathBuf, port: u16) -> Node {
        Node { name, bin: bin.clone(), account: account.clone(), dir, port, child: Mutex::new(None) }
    }

    /// Its name, such as `s1-primary` or `s2-replica1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its TCP port on 127.0.0.1; the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory: `data`, `log` and the socket are in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What it has logged since it was made.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Starts it and waits until it takes connections. Nothing happens when it runs.
    ///
    /// # Errors
    /// [`ClusterError::Ended`] with the end of its log, [`ClusterError::Deadline`], [`ClusterError::Io`].
    pub fn start(&self) -> Result<(), ClusterError> {
        let mut child = self.lock();
        if self.running_pid().is_some() {
            return Ok(());
        }
        // Of a server that was killed, backends may live on for a moment and hold its shared memory; a start in that
        // moment ends at once and is tried again.
        wait_for(&format!("the start of {}", self.name), LIMIT, || {
            let logged = self.log().len();
            *child = Some(self.spawn()?);
            match self.wait_ready(child.as_mut()) {
                Ok(()) => Ok(Some(())),
                Err(ClusterError::Ended { dir, .. }) => {
                    let log = self.log().split_off(logged);
                    if log.contains("pre-existing shared memory block") || log.contains("is still in use") {
                        return Ok(None);
                    }
                    Err(ClusterError::Ended { dir, log: last_lines(&log) })
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Stops it and waits until its process is gone. Nothing happens when it does not run.
    ///
    /// # Errors
    /// [`ClusterError::Deadline`] when it does not end, for instance because a client stays ([`StopMode::Smart`]).
    pub fn stop(&self, mode: StopMode) -> Result<(), ClusterError> {
        let signal = match mode {
            StopMode::Smart => "TERM",
            StopMode::Fast => "INT",
            StopMode::Immediate => "QUIT",
        };
        self.end(signal)
    }

    /// Kills the postmaster with SIGKILL and waits until it is gone; its backends notice and end.
    ///
    /// # Errors
    /// [`ClusterError::Deadline`] when it does not end.
    pub fn kill9(&self) -> Result<(), ClusterError> {
        self.end("KILL")
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        let mut child = self.lock();
        if let Some(child) = child.as_mut() {
            // Reaps it if it has ended, so that it is not taken for running.
            let _ = child.try_wait();
        }
        self.running_pid().is_some()
    }

    /// Suspends the server with all its backends (SIGSTOP): connections stay open and nothing answers, as when a machine
    /// hangs or its network is gone.
    ///
    /// # Errors
    /// [`ClusterError::Program`] when the signal cannot be sent.
    pub fn freeze(&self) -> Result<(), ClusterError> {
        self.signal_all("STOP")
    }

    /// Ends what [`Node::freeze`] began.
    ///
    /// # Errors
    /// [`ClusterError::Program`] when the signal cannot be sent.
    pub fn thaw(&self) -> Result<(), ClusterError> {
        self.signal_all("CONT")
    }

    /// Runs SQL as the superuser over the server's own socket and returns the rows as text: columns separated by `|`, rows
    /// by line feeds, nothing around them.
    ///
    /// # Errors
    /// [`ClusterError::Program`] with the server's message.
    pub fn sql(&self, dbname: &str, sql: &str) -> Result<String, ClusterError> {
        self.sql_as("postgres", dbname, sql)
    }

    /// Like [`Node::sql`], as another user.
    ///
    /// # Errors
    /// [`ClusterError::Program`] with the server's message.
    pub fn sql_as(&self, user: &str, dbname: &str, sql: &str) -> Result<String, ClusterError> {
        let mut command = self.account.command(self.bin.program("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        command.arg("--host").arg(&self.dir).arg("--port").arg(self.port.to_string());
        command.args(["--username", user, "--dbname", dbname, "--command", sql]);
        command.stdin(Stdio::null());
        run(&mut command).map(|text| text.trim_end_matches('\n').to_owned())
    }

    /// Stops a replica from replaying what it receives, and waits until it has stopped.
    ///
    /// # Errors
    /// [`ClusterError::Program`] on a primary; [`ClusterError::Deadline`].
    pub fn pause_replay(&self) -> Result<(), ClusterError> {
        self.sql("postgres", "SELECT pg_wal_replay_pause()")?;
        wait_for(&format!("the pause of {}", self.name), LIMIT, || {
            let state = self.sql("postgres", "SELECT pg_get_wal_replay_pause_state()")?;
            Ok((state == "paused").then_some(()))
        })
    }

    /// Lets a replica replay again.
    ///
    /// # Errors
    /// [`ClusterError::Program`] on a primary.
    pub fn resume_replay(&self) -> Result<(), ClusterError> {
        self.sql("postgres", "SELECT pg_wal_replay_resume()").map(drop)
    }

    /// Makes a replica a primary and waits until it is one.
    ///
    /// # Errors
    /// [`ClusterError::Program`] on a primary; [`ClusterError::Deadline`].
    pub fn promote(&self) -> Result<(), ClusterError> {
        self.sql("postgres", &format!("SELECT pg_promote(true, {})", LIMIT.as_secs()))?;
        wait_for(&format!("the promotion of {}", self.name), LIMIT, || {
            Ok((self.sql("postgres", "SELECT pg_is_in_recovery()")? == "f").then_some(()))
        })
    }

    /// Where a primary writes, or up to where a replica has replayed, as `pg_lsn` text.
    ///
    /// # Errors
    /// [`ClusterError::Program`] when it does not answer.
    pub fn position(&self) -> Result<String, ClusterError> {
        self.sql(
            "postgres",
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END",
        )
    }

    /// Waits until this replica has replayed everything up to `lsn`.
    ///
    /// # Errors
    /// [`ClusterError::Deadline`] after a minute; [`ClusterError::Program`] when it does not answer.
    pub fn wait_replayed(&self, lsn: &str) -> Result<(), ClusterError> {
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'");
        wait_for(&format!("replay of {lsn} at {}", self.name), LIMIT, || {
            Ok((self.sql("postgres", &question)? == "t").then_some(()))
        })
    }

    /// Takes note of the end of a server that the guard has stopped.
    pub(super) fn reap(&self) {
        if let Some(mut child) = self.lock().take() {
            // It has ended or was killed; an error here would mean that it never was a child of ours.
            let _ = child.wait();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_settings(&self, role: &Role<'_>) -> Result<(), ClusterError> {
        let data = self.data();
        let path = data.join("postgresql.conf");
        let mut text = settings_text(&self.dir, role.fsync);
        if let Some(port) = role.follows {
            text.push_str(&format!(
                "primary_conninfo = 'host=127.0.0.1 port={port} user=postgres password=postgres application_name={}'\n",
                self.name.replace('-', "_")
            ));
            let signal = data.join("standby.signal");
            std::fs::write(&signal, "").map_err(ClusterError::io(format!("write {}", signal.display())))?;
            if let Some((uid, gid)) = self.account.ids {
                std::os::unix::fs::chown(&signal, Some(uid), Some(gid))
                    .map_err(ClusterError::io(format!("change the owner of {}", signal.display())))?;
            }
        }
        for (name, value) in role.settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        std::fs::write(&path, text).map_err(ClusterError::io(format!("write {}", path.display())))
    }

    fn spawn(&self) -> Result<Child, ClusterError> {
        let path = self.log_path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ClusterError::io(format!("open {}", path.display())))?;
        let errors = log.try_clone().map_err(ClusterError::io("copy a file handle"))?;
        let mut command = self.account.command(self.bin.program("postgres"));
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // Ctrl-C on a terminal is for us; the servers are told in our own order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(ClusterError::io("start postgres"))
    }

    /// Waits for "ready" in `postmaster.pid` beside the pid of `child`, as `pg_ctl` does: a port that answers could be
    /// anybody's.
    fn wait_ready(&self, child: Option<&mut Child>) -> Result<(), ClusterError> {
        let Some(child) = child else { return Ok(()) };
        let pid = child.id().to_string();
        wait_for(&format!("the start of {}", self.name), LIMIT, || {
            if child.try_wait().map_err(ClusterError::io("wait for postgres"))?.is_some() {
                return Err(ClusterError::Ended { dir: self.dir.clone(), log: last_lines(&self.log()) });
            }
            let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let mut lines = file.lines();
            let ready = lines.next() == Some(pid.as_str()) && lines.nth(6).map(str::trim) == Some("ready");
            Ok(ready.then_some(()))
        })
    }

    /// The process in `postmaster.pid`, if it is a server on our directory.
    fn running_pid(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let pid: u32 = file.lines().next()?.trim().parse().ok()?;
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&command_line).contains(&*self.data().to_string_lossy()).then_some(pid)
    }

    fn end(&self, signal: &str) -> Result<(), ClusterError> {
        let mut child = self.lock();
        let Some(pid) = self.running_pid() else { return Ok(()) };
        // It may end by itself before the signal comes; that it is gone is what counts.
        let sent = send_signal(signal, &[pid]);
        let ended = wait_for(&format!("the end of {}", self.name), LIMIT, || match child.as_mut() {
            Some(child) if child.id() == pid => {
                Ok(child.try_wait().map_err(ClusterError::io("wait for postgres"))?.map(drop))
            }
            _ => Ok(self.running_pid().is_none().then_some(())),
        });
        match ended {
            Ok(()) => {
                *child = None;
                Ok(())
            }
            Err(late) => sent.and(Err(late)),
        }
    }

    fn signal_all(&self, signal: &str) -> Result<(), ClusterError> {
        let _child = self.lock();
        let Some(pid) = self.running_pid() else { return Ok(()) };
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        // The postmaster first: it cannot start backends any more while its children are told.
        send_signal(signal, &[pid])?;
        let children: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        for child in children {
            // A backend that has ended meanwhile is no error.
            let _ = send_signal(signal, &[child]);
        }
        Ok(())
    }
}

fn send_signal(signal: &str, pids: &[u32]) -> Result<(), ClusterError> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "kill -s \"$@\"", "kill", signal]).args(pids.iter().map(u32::to_string));
    run(&mut command).map(drop)
}

/// A port that nobody listens on now. Below 32768, where Linux takes the ports of outgoing connections from: one of those
/// could otherwise hold the port of a server that is just being restarted.
///
/// # Errors
/// [`ClusterError::Io`] when a hundred random ports are all taken.
pub(super) fn free_port() -> Result<u16, ClusterError> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..100 {
        let port = rand::random_range(15_000..32_000);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(ClusterError::Io { doing: "find a free port".to_owned(), source: last })
}

/// Small, quick, and able to do what the proxy needs: logical decoding, prepared transactions, replicas that come back.
fn settings_text(dir: &Path, fsync: bool) -> String {
    let mut text = Vec::new();
    let mut set = |name: &str, value: &str| writeln!(text, "{name} = {value}").expect("writing to memory");
    set("listen_addresses", "'127.0.0.1'");
    set("unix_socket_directories", &format!("'{}'", dir.display()));
    set("max_connections", "100");
    set("superuser_reserved_connections", "5");
    set("shared_buffers", "'16MB'");
    set("jit", "off");
    set("wal_level", "logical");
    set("max_wal_senders", "10");
    set("max_replication_slots", "10");
    set("max_prepared_transactions", "20");
    set("wal_keep_size", "'256MB'");
    set("max_wal_size", "'128MB'");
    set("min_wal_size", "'8MB'");
    set("hot_standby", "on");
    set("wal_retrieve_retry_interval", "'100ms'");
    set("wal_receiver_status_interval", "'1s'");
    set("password_encryption", "'scram-sha-256'");
    set("timezone", "'UTC'");
    set("log_timezone", "'UTC'");
    set("log_line_prefix", "'%m [%p] %q%u@%d %a '");
    if !fsync {
        set("fsync", "off");
        set("full_page_writes", "off");
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
