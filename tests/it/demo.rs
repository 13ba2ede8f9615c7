//! `pgweave demo`, as a person or `make demo` runs it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{LIMIT, eventually_blocking};

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgweave"));
    command.arg("demo").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_tour_ends_well() {
    let output = demo(&["--tour"]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("the tour is complete: 8 steps"), "{out}");
}

#[test]
fn without_binaries_it_says_where_it_looked() {
    let output = demo(&["--tour", "--pg-bin", "/nonexistent/bin"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("/nonexistent/bin"), "{err}");
}

/// Starts a demo, waits until it is up, ends it with `signal`, and sees that nothing is left.
fn ended_by(signal: &str) {
    let mut child = demo(&["--shards", "1", "--replicas", "0"]).spawn().unwrap();
    let dir = directory(&mut child);
    assert!(Path::new(&dir).is_dir(), "{dir}");
    let running = processes(&dir);
    assert!(running >= 3, "a proxy and two servers, not {running}");
    let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), (signal != "KILL").then_some(0), "{signal}");
    eventually_blocking("everything is gone", LIMIT, || !Path::new(&dir).exists() && processes(&dir) == 0);
}

/// Reads until the demo says that it is up, and returns its directory.
fn directory(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.by_ref().find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("Configuration, logs and data: ").map(str::to_owned)
    });
    let Some(dir) = found else {
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        panic!("the demo did not come up: {err}");
    };
    // Keeps reading: a pipe that nobody empties would stop the demo.
    std::thread::spawn(move || lines.for_each(drop));
    dir
}

/// How many processes have the directory in their command line, the guard's shell not counted.
fn processes(dir: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.contains(dir) && !line.contains("pgweave-guard")
        })
        .count()
}

#[test]
fn ctrl_c_removes_everything() {
    ended_by("INT");
}

#[test]
fn a_demo_that_is_killed_leaves_nothing_either() {
    ended_by("KILL");
}
