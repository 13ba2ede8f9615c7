//! `pgweave serve`: the file, the log, the runtime, then [`crate::server`].

use std::process::ExitCode;

use super::args::ConfigArgs;
use super::error::CliError;
use crate::{admin, config, server};

/// Bytes of stack for each worker: parsing runs on stacks of its own beyond some depth.
const STACK_BYTES: usize = 2 << 20;

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// [`CliError::Config`] for a file that is wrong, [`CliError::Failed`] when the proxy cannot start.
pub fn run(args: &ConfigArgs) -> Result<ExitCode, CliError> {
    let config = config::load(&args.config)?;
    admin::log::start(&config.log).map_err(|error| CliError::Failed(error.to_string()))?;
    let workers = config.server.workers.max(1);
    let mut builder = if workers == 1 {
        // One thread needs no other to be woken for it.
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.worker_threads(workers).thread_stack_size(STACK_BYTES).enable_all().build()?;
    let served = runtime.block_on(server::run(args.config.clone(), config));
    // What is still running is to end with us, not to be waited for.
    runtime.shutdown_background();
    served.map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
