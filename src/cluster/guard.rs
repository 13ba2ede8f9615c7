//! What ends the servers when their owner is gone, however it went.
//!
//! A shell waits on a pipe whose other end only we hold (or on the end of another process, for a cluster that several
//! processes share). The pipe closes when we close it and when we are killed; then the shell stops every server under the
//! directory, and every process with a pid file in it (`DIR/NAME.pid`), and removes it, with the lock file beside it (`DIR.lock`) if there is one. The kernel's parent-death signal would be shorter but follows the *thread* that started the
//! server, and test threads end long before their process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ClusterError;

/// A file of this name in the cluster's directory keeps the directory; the servers are stopped all the same.
pub const KEEP: &str = "keep";

/// Whose end the guard waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The value that holds the guard: its drop or the end of this process.
    Us,
    /// Another process.
    Process(u32),
}

/// The waiting shell.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    owner: Owner,
}

// $1 is the directory, $2 the process to wait for, or empty. A server's process is recognised by its command line, which
// has the data directory in it, so that a pid file that a killed server left behind cannot point at a stranger. A zombie
// has no command line and so counts as gone.
const SCRIPT: &str = r#"
if [ -n "$2" ]; then
  while kill -0 "$2" 2>/dev/null; do sleep 1; done
else
  cat >/dev/null
fi
running() {
  for file in "$1"/*.pid "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] || continue
    read -r pid <"$file"
    grep -qsF "$1/" "/proc/$pid/cmdline" && echo "$pid"
  done
}
for pid in $(running "$1"); do kill -CONT "$pid"; kill -QUIT "$pid"; done
left=100
while [ -n "$(running "$1")" ] && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.05; done
for pid in $(running "$1"); do kill -KILL "$pid"; done
[ -e "$1/keep" ] || rm -rf "$1" "$1.lock"
"#;

impl Guard {
    /// Starts guarding `dir`, the directory of a cluster.
    ///
    /// # Errors
    /// [`ClusterError::Io`] when the shell cannot be started.
    pub fn start(dir: &Path, owner: Owner) -> Result<Guard, ClusterError> {
        let process = match owner {
            Owner::Us => String::new(),
            Owner::Process(pid) => pid.to_string(),
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "pgweave-guard"]).arg(dir).arg(process);
        command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        command.stdin(if owner == Owner::Us { Stdio::piped() } else { Stdio::null() });
        // A group of its own: Ctrl-C on a terminal goes to the whole foreground group, and the guard must outlive us.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let shell = command.spawn().map_err(ClusterError::io("start the guard of the cluster"))?;
        Ok(Guard { shell, owner })
    }

    /// Whose end it waits for.
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.owner == Owner::Us {
            drop(self.shell.stdin.take());
            // It always ends: every step of it is bounded. There is nothing to do about an error here.
            let _ = self.shell.wait();
        }
    }
}

/// Marks the cluster in `dir` as one to keep.
///
/// # Errors
/// [`ClusterError::Io`].
pub fn keep(dir: &Path) -> Result<PathBuf, ClusterError> {
    let path = dir.join(KEEP);
    std::fs::write(&path, "").map_err(ClusterError::io(format!("write {}", path.display())))?;
    Ok(path)
}
