//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::demo::DemoArgs;
use super::rows::OutputForm;
use crate::catalog::TablePlace;
use crate::config::parse_duration;

/// Weaves many stock PostgreSQL servers into one database
///
/// pgweave is a proxy: applications and psql connect to it and keep using plain SQL. Behind it are shards, each a primary
/// with its replicas. Writes go to primaries, reads to replicas, statements to the shard that owns their sharding key; what
/// cannot be answered as one PostgreSQL would is refused with an error that says so.
#[derive(Debug, Parser)]
#[command(name = "pgweave", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
First steps:
  pgweave demo                               a whole cluster on this machine, to try things on
  pgweave check -c pgweave.toml              what is wrong with a configuration and its servers
  pgweave serve -c pgweave.toml              run the proxy
  psql 'host=127.0.0.1 port=6432 dbname=shop user=app'
  psql 'host=127.0.0.1 port=6432 dbname=pgweave user=app' -c 'SHOW LAG'

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

const ROUTE_EXAMPLES: &str = "\
Examples:
  pgweave route -c pgweave.toml 'SELECT * FROM orders WHERE customer_id = 42'
  pgweave route -c pgweave.toml 'SELECT * FROM orders WHERE customer_id = $1' --param 42";

const TABLE_EXAMPLES: &str = "\
Examples:
  pgweave table add -c pgweave.toml orders --distribution customers --key customer_id
  pgweave table add -c pgweave.toml events --distribution tenants --key tenant_id,id
  pgweave table add -c pgweave.toml countries --reference
  pgweave table add -c pgweave.toml audit_log --shard s2";

const COMPLETIONS_EXAMPLES: &str = "\
Example:
  pgweave completions bash > ~/.local/share/bash-completion/completions/pgweave";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    ///
    /// Listens for clients until it is told to stop. SIGHUP reads the configuration again (a wrong file is refused whole),
    /// SIGTERM waits for open transactions to end and then stops, a second SIGTERM stops at once.
    Serve(ConfigArgs),
    // Its help is beside its options.
    #[allow(missing_docs)]
    Demo(DemoArgs),
    /// Look for everything that is wrong, in the file and at the servers
    ///
    /// Reads the configuration and lists all its problems. Then connects to every node as the monitor and as each user, and
    /// looks at versions, roles, settings, privileges and clocks, and at the placed tables: their columns on all shards, their
    /// sharding keys, their constraints and sequences. Changes nothing. Exits with 1 if there is an error; warnings alone
    /// are no failure.
    Check(CheckArgs),
    /// Create or migrate the catalog, and write the file into it
    ///
    /// Safe to repeat. An empty catalog takes the file's shards, databases and tables. After that the catalog counts: what
    /// differs in the file is listed and only taken with --apply, and never if rows would be left where no statement looks
    /// for them.
    Init(InitArgs),
    /// Show how a statement would be planned, without running it
    ///
    /// Reads the map and the home shard's schema and prints which shards would get the statement, or why it would be refused
    /// and what would work. The same as EXPLAIN (ROUTE) through the proxy, for a session that has changed no setting.
    #[command(after_long_help = ROUTE_EXAMPLES)]
    Route(RouteArgs),
    /// Say which table lives where
    #[command(subcommand)]
    Table(TableCommand),
    /// Show the shards and nodes of a running proxy
    ///
    /// The same as SHOW SHARDS and SHOW NODES in psql, connected to the database `pgweave` on the proxy's port.
    Status(ConsoleArgs),
    /// Show which shard owns which range
    ///
    /// The same as SHOW MAP in psql, connected to the database `pgweave` on the proxy's port.
    Map(ConsoleArgs),
    /// Show how far the replicas are behind
    ///
    /// The same as SHOW LAG in psql, connected to the database `pgweave` on the proxy's port.
    Lag(LagArgs),
    /// Print a script that completes this command in a shell
    #[command(after_long_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration; config/pgweave.toml of the source tree explains every key
    #[arg(short, long, value_name = "FILE", env = "PGWEAVE_CONFIG")]
    pub config: PathBuf,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArgs {
    /// How rows are printed
    #[arg(short = 'o', long = "output", value_name = "FORM", value_enum, default_value_t)]
    pub form: OutputForm,
}

/// `pgweave check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How findings are printed.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Look at the file only and connect to nothing
    #[arg(long)]
    pub offline: bool,
}

/// `pgweave init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How differences are printed.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Take the file's side in what differs
    #[arg(long)]
    pub apply: bool,
}

/// `pgweave route`.
#[derive(Clone, Debug, Args)]
pub struct RouteArgs {
    /// One statement, or several with semicolons between them
    pub sql: String,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The value of $1; once more for $2, and so on [default: as at a Parse, when no value is known]
    #[arg(short, long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// The database, as clients name it [default: the only one]
    #[arg(short, long, value_name = "NAME")]
    pub database: Option<String>,
    /// How plans are printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `pgweave table`.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Place a table that is empty or not there yet
    ///
    /// Exactly one of --distribution (with --key), --reference and --shard says where. A table without a place lives on the
    /// home shard, so a table with rows can only be given a place that leaves them there.
    #[command(after_long_help = TABLE_EXAMPLES)]
    Add(TableAddArgs),
    /// List the tables that have a place
    List(TableListArgs),
}

/// `pgweave table add`.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["distribution", "reference", "shard"]))]
pub struct TableAddArgs {
    /// The table, as in SQL: orders, sales.orders, '"Sales"."Orders"'
    pub table: String,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The database, as clients name it [default: the only one]
    #[arg(short, long, value_name = "NAME")]
    pub database: Option<String>,
    /// Spread its rows as those of this distribution
    #[arg(long, value_name = "NAME", requires = "key")]
    pub distribution: Option<String>,
    /// Its sharding key: columns in the order of the distribution's key
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "distribution")]
    pub key: Vec<String>,
    /// The same rows on every shard
    #[arg(long)]
    pub reference: bool,
    /// Only on this shard
    #[arg(long, value_name = "SHARD")]
    pub shard: Option<String>,
}

impl TableAddArgs {
    /// Where the table is to live.
    pub fn place(&self) -> TablePlace {
        match (&self.distribution, &self.shard) {
            (Some(distribution), _) => {
                TablePlace::Distributed { distribution: distribution.clone(), key: self.key.clone() }
            }
            (None, Some(shard)) => TablePlace::Local(shard.clone()),
            (None, None) => TablePlace::Reference,
        }
    }
}

/// `pgweave table list`.
#[derive(Clone, Debug, Args)]
pub struct TableListArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The database, as clients name it [default: the only one]
    #[arg(short, long, value_name = "NAME")]
    pub database: Option<String>,
    /// How rows are printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How to reach the console of a running proxy.
#[derive(Clone, Debug, Args)]
pub struct ConsoleArgs {
    /// The proxy's configuration: says where it listens, and who may log in
    #[arg(short, long, value_name = "FILE", env = "PGWEAVE_CONFIG", required_unless_present = "dsn")]
    pub config: Option<PathBuf>,
    /// Where the proxy listens, instead of a configuration: postgres://USER:PASSWORD@HOST:PORT (the password may be in
    /// PGPASSWORD)
    #[arg(long, value_name = "URL", conflicts_with = "user")]
    pub dsn: Option<String>,
    /// Which of the configuration's users [default: the first admin, or else the first with a password]
    #[arg(short = 'U', long, value_name = "NAME")]
    pub user: Option<String>,
    /// How rows are printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `pgweave lag`.
#[derive(Clone, Debug, Args)]
pub struct LagArgs {
    /// Which proxy.
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// Ask again and again, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
    /// How often --watch asks, at least 50ms
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    let bounds = Duration::from_millis(50)..=Duration::from_secs(86_400);
    if bounds.contains(&interval) { Ok(interval) } else { Err("must be between 50ms and 1d".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_explained() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} has no help", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&command);
    }
}
