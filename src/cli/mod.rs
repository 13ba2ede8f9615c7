//! The command line: what can be typed, what is printed, and how it ends.
//!
//! Commands that look at a running proxy are plain clients of its console; `check` is a plain client of the servers. This
//! room decides nothing about routing, pools or maps.
//!
//! Start at [`main`]; `args` has every command with its help.

pub mod args;
mod check;
pub mod client;
mod console;
pub mod demo;
mod error;
mod init;
mod route;
mod rows;
mod serve;
mod state;
mod table;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use self::error::CliError;
pub use self::rows::{Kind, OutputForm, Rows};

use self::args::{Cli, Command, TableCommand};

/// Runs what was typed. 0: done; 1: failed; 2: wrong usage or configuration.
pub fn main() -> ExitCode {
    // Ends the process with 0 for --help and --version, with 2 for what cannot be understood.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            error.tell();
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => wait(check::run(&args)),
        Command::Status(args) => wait(console::status(&args)),
        Command::Map(args) => wait(console::map(&args)),
        Command::Lag(args) => wait(console::lag(&args)),
        Command::Demo(args) => Ok(demo::run(&args)),
        Command::Init(args) => wait(init::run(&args)),
        Command::Route(args) => wait(route::run(&args)),
        Command::Table(TableCommand::Add(args)) => wait(table::add(&args)),
        Command::Table(TableCommand::List(args)) => wait(table::list(&args)),
        Command::Completions { shell } => completions(shell),
    }
}

/// Runs a command that does one thing after the other.
fn wait(command: impl Future<Output = Result<(), CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command).map(|()| ExitCode::SUCCESS)
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pgweave", &mut script);
    console::write(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
