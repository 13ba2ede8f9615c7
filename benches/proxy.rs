//! What the proxy costs: pgbench through pgweave, through a raw relay and through PgBouncer, turn and turn about.
//!
//! Run it by `make bench`. It starts two PostgreSQL servers of its own, fills both by `pgbench -i`, and then lets every
//! contestant serve `pgbench -S` in three protocols at 16 and 64 clients, several rounds of each. The figure is the
//! contestant's CPU time per transaction (all its threads, user and system, from `/proc/PID/stat`), because TPS on a small
//! machine mostly measures how the scheduler shares the cores; TPS is given beside it. All are ratios within one run.
//!
//! The relay is `tokio::io::copy_bidirectional` with TCP_NODELAY, one server connection a client, once on a current-thread
//! runtime and once on a multi-thread one: the better of the two counts. If that is not within 1.3 times of PgBouncer's
//! CPU, the run says that it is void.
//!
//! Environment: `BENCH_SECONDS` (3), `BENCH_ROUNDS` (3), `BENCH_CLIENTS` ("16 64"), `BENCH_IDLE` (2000),
//! `BENCH_WORKERS` (1: pgweave's threads, as PgBouncer has one and the better relay usually, too).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use pgweave::cluster::{Cluster, Spec};

/// CPU and TPS of every turn, by protocol, load and contestant.
type Cells = BTreeMap<(usize, usize, usize), Vec<(f64, f64)>>;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MODES: [&str; 3] = ["simple", "extended", "prepared"];
const POOL: usize = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let outcome = match args.iter().position(|arg| arg == "--relay") {
        Some(at) => relay(&args[at + 1..]),
        None => bench(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The floor: bytes from here to there and back.
fn relay(args: &[String]) -> Outcome<()> {
    let [listen, target, threads] = args else { return Err("--relay LISTEN TARGET THREADS".into()) };
    let runtime = match threads.as_str() {
        "1" => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
    };
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        loop {
            let (mut client, _) = listener.accept().await?;
            let target = target.clone();
            tokio::spawn(async move {
                let Ok(mut server) = tokio::net::TcpStream::connect(&target).await else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    })
}

struct Contestant {
    name: &'static str,
    port: u16,
    database: &'static str,
    pid: u32,
    /// The database to use for prepared statements, where it is another one.
    prepared: Option<&'static str>,
}

struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn bench() -> Outcome<()> {
    let seconds: u64 = setting("BENCH_SECONDS", 3);
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let clients: Vec<usize> =
        setting("BENCH_CLIENTS", "16 64".to_owned()).split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let settings = vec![("max_connections".to_owned(), "400".to_owned())];
    let cluster = Cluster::start(&Spec { settings, ..Spec::new(2, 0) })?;
    let servers: Vec<u16> = cluster.nodes().map(|node| node.port()).collect();
    let servers = &servers[servers.len() - 2..];
    cluster.create_database("bench")?;
    let psql = |program: &str| cluster.binaries().program(program);
    for port in servers {
        run(Command::new(psql("pgbench"))
            .env("PGPASSWORD", "postgres")
            .args(pgbench_target(*port, "bench"))
            .args(["-i", "-q", "-s", "10"]))?;
    }

    let dir = scratch()?;
    let mut running = Running(Vec::new());
    let pgweave = start_pgweave(&dir, &cluster, &mut running)?;
    let bouncer = start_pgbouncer(&dir, servers[0], &mut running)?;
    let single = start_relay(servers[0], "1", &mut running)?;
    let multi = start_relay(servers[0], "2", &mut running)?;
    let contestant = |name, (port, pid), database| Contestant { name, port, database, pid, prepared: None };
    let (bouncer, prepared) = bouncer;
    let bouncer = Contestant { prepared, ..contestant("PgBouncer", bouncer, "bench") };
    let contestants = [
        contestant("relay, one thread", single, "bench"),
        contestant("relay, two threads", multi, "bench"),
        bouncer,
        contestant("pgweave, unsharded", pgweave, "bench"),
        contestant("pgweave, two shards", pgweave, "sharded"),
    ];

    println!("{seconds} s a turn, {rounds} rounds, medians; CPU of the proxy in us per transaction (TPS)\n");
    let mut cells: Cells = BTreeMap::new();
    for _ in 0..rounds {
        for (mode, protocol) in MODES.iter().enumerate() {
            for (load, count) in clients.iter().enumerate() {
                for (who, contestant) in contestants.iter().enumerate() {
                    let found = turn(&psql("pgbench"), contestant, protocol, *count, seconds)?;
                    cells.entry((mode, load, who)).or_default().push(found);
                }
            }
        }
    }
    report(&contestants, &clients, &cells);
    idle(pgweave)?;
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(contestants: &[Contestant], clients: &[usize], cells: &Cells) {
    print!("{:<22}", "");
    for protocol in MODES {
        for count in clients {
            print!("{:>22}", format!("{protocol}, {count}"));
        }
    }
    println!();
    let cell = |mode, load, who| {
        let found = &cells[&(mode, load, who)];
        (median(found.iter().map(|f| f.0)), median(found.iter().map(|f| f.1)))
    };
    for (who, contestant) in contestants.iter().enumerate() {
        print!("{:<22}", contestant.name);
        for mode in 0..MODES.len() {
            for load in 0..clients.len() {
                let (cpu, tps) = cell(mode, load, who);
                print!("{:>22}", format!("{cpu:.1} ({tps:.0})"));
            }
        }
        println!();
    }
    println!("\nCPU, and TPS, as ratios to the better relay:");
    let mut void = false;
    for (who, contestant) in contestants.iter().enumerate().skip(2) {
        print!("{:<22}", contestant.name);
        for mode in 0..MODES.len() {
            for load in 0..clients.len() {
                let relay = if cell(mode, load, 0).0 <= cell(mode, load, 1).0 { 0 } else { 1 };
                let ((floor, floor_tps), (cpu, tps)) = (cell(mode, load, relay), cell(mode, load, who));
                void |= who == 2 && floor > 1.3 * cpu;
                print!("{:>22}", format!("{:.2} ({:.2})", cpu / floor, tps / floor_tps));
            }
        }
        println!();
    }
    if void {
        println!("\nVOID: the relay is not within 1.3 times of PgBouncer's CPU.");
    }
}

/// One contestant, one protocol, one load: microseconds of its CPU per transaction, and transactions per second.
fn turn(pgbench: &Path, who: &Contestant, protocol: &str, clients: usize, seconds: u64) -> Outcome<(f64, f64)> {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let database = match (who.prepared, protocol) {
        (Some(database), "prepared") => database,
        _ => who.database,
    };
    let before = cpu(who.pid)?;
    let output = Command::new(pgbench)
        .env("PGPASSWORD", "postgres")
        .args(pgbench_target(who.port, database))
        .args(["-S", "-n", "-M", protocol, "-c", &clients, "-j", "1", "-T", &seconds])
        .stderr(Stdio::inherit())
        .output()?;
    let used = cpu(who.pid)? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |prefix: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(prefix))?;
        line[prefix.len()..].split(['/', ' ']).find(|word| !word.is_empty())?.parse().ok()
    };
    match (output.status.success(), number("number of transactions actually processed:"), number("tps =")) {
        (true, Some(count), Some(tps)) if count > 0.0 => Ok((used.as_secs_f64() * 1e6 / count, tps)),
        _ => Err(format!("pgbench through {} failed:\n{text}", who.name).into()),
    }
}

fn pgbench_target(port: u16, database: &str) -> [String; 7] {
    ["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", database].map(str::to_owned)
}

/// CPU time a process has used, all its threads.
fn cpu(pid: u32) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux that runs PostgreSQL.
    Ok(Duration::from_millis(ticks * 10))
}

fn resident_kb(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?)
}

/// Memory per idle client: resident memory with and without them.
fn idle((port, pid): (u16, u32)) -> Outcome<()> {
    let count: usize = setting("BENCH_IDLE", 2000);
    let before = resident_kb(pid)?;
    let clients: Vec<TcpStream> = (0..count).map(|_| log_in(port, "bench")).collect::<Outcome<_>>()?;
    let after = resident_kb(pid)?;
    println!(
        "\n{count} idle clients: {:.2} kB each (from {before} to {after} kB resident)",
        (after.saturating_sub(before)) as f64 / count as f64
    );
    drop(clients);
    Ok(())
}

/// A client that has logged in and rests.
fn log_in(port: u16, database: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let params = format!("user\0postgres\0database\0{database}\0\0");
    let mut packet = (params.len() as u32 + 8).to_be_bytes().to_vec();
    packet.extend(196_608u32.to_be_bytes());
    packet.extend(params.as_bytes());
    stream.write_all(&packet)?;
    let mut seen = Vec::new();
    let mut part = [0; 1024];
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err("the proxy closed an idle client".into());
        }
        seen.extend(&part[..read]);
    }
    Ok(stream)
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn scratch() -> Outcome<PathBuf> {
    let dir = std::env::temp_dir().join(format!("pgweave-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16) -> Outcome<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err(format!("nobody listens on port {port}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn start_relay(target: u16, threads: &str, running: &mut Running) -> Outcome<(u16, u32)> {
    let port = free_port()?;
    let child = Command::new(std::env::current_exe()?)
        .args(["--relay", &format!("127.0.0.1:{port}"), &format!("127.0.0.1:{target}"), threads])
        .spawn()?;
    let pid = child.id();
    running.0.push(child);
    wait_for(port)?;
    Ok((port, pid))
}

fn start_pgweave(dir: &Path, cluster: &Cluster, running: &mut Running) -> Outcome<(u16, u32)> {
    let (port, http) = (free_port()?, free_port()?);
    let shards: Vec<String> = cluster
        .nodes()
        .map(|node| node.port())
        .enumerate()
        .map(|(number, port)| {
            format!("[[shards]]\nname = \"s{}\"\nnodes = [{{ host = \"127.0.0.1\", port = {port} }}]\n", number + 1)
        })
        .collect();
    let workers = format!("workers = {}\n", setting("BENCH_WORKERS", 1));
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nhttp = \"127.0.0.1:{http}\"\n{workers}\n[auth]\nmethod = \"trust\"\n\n\
         [[users]]\nname = \"postgres\"\npassword = \"postgres\"\n\n{}\n\
         [databases.bench]\nshards = [\"s1\"]\npool_size = {POOL}\n\n\
         [databases.sharded]\ndbname = \"bench\"\npool_size = {POOL}\n\n\
         [[databases.sharded.distributions]]\nname = \"accounts\"\nmethod = \"hash\"\n\
         tables = {{ pgbench_accounts = [\"aid\"] }}\n",
        shards.concat()
    );
    let file = dir.join("pgweave.toml");
    std::fs::write(&file, text)?;
    let program = std::env::var("PGWEAVE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pgweave").to_owned());
    let child = Command::new(program).arg("serve").arg("-c").arg(&file).spawn()?;
    let pid = child.id();
    running.0.push(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    while log_in(port, "bench").and_then(|_| log_in(port, "sharded")).is_err() {
        if Instant::now() > deadline {
            return Err("pgweave does not become ready".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((port, pid))
}

fn start_pgbouncer(dir: &Path, target: u16, running: &mut Running) -> Outcome<((u16, u32), Option<&'static str>)> {
    let port = free_port()?;
    let file = dir.join("pgbouncer.ini");
    let text = format!(
        "[databases]\nbench = host=127.0.0.1 port={target} dbname=bench user=postgres password=postgres\n\
         session = host=127.0.0.1 port={target} dbname=bench user=postgres password=postgres pool_mode=session pool_size=100\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
         default_pool_size = {POOL}\nmax_client_conn = 4000\nlog_connections = 0\nlog_disconnections = 0\n\
         max_prepared_statements = 200\nignore_startup_parameters = extra_float_digits\n"
    );
    // Versions before 1.21 do not know prepared statements in transaction mode, and refuse the key: those run in session
    // mode, which costs PgBouncer less.
    let version = Command::new("pgbouncer").arg("--version").output().map_err(|_| "pgbouncer is not installed")?;
    let knows = version_of(&version.stdout) >= (1, 21);
    let text = if knows { text } else { text.replace("max_prepared_statements = 200\n", "") };
    std::fs::write(&file, text)?;
    let account = pgweave::cluster::Account::find()?;
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(dir))?;
    let child = account.command("pgbouncer").arg("-q").arg(&file).spawn()?;
    let pid = child.id();
    running.0.push(child);
    wait_for(port)?;
    Ok(((port, pid), (!knows).then_some("session")))
}

fn version_of(output: &[u8]) -> (u32, u32) {
    let text = String::from_utf8_lossy(output);
    let word = text.split_whitespace().nth(1).unwrap_or("0.0").to_owned();
    let mut parts = word.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
