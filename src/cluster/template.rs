//! Fresh data directories, made once by `initdb` and copied from then on.
//!
//! `initdb` takes a second or more, a copy a few hundredths. Each slot has a template of its own: copies share their
//! system identifier, which two shards must not.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::command::run;
use super::{APP_PASSWORD, APP_USER, Binaries, ClusterError};

/// Changes when what is inside a template changes.
const EDITION: &str = "1";

/// Who may connect how: anyone on the socket (its directory is ours), by SCRAM over TCP.
const HBA: &str = "\
local all         all              trust
local replication all              trust
host  all         all 127.0.0.1/32 scram-sha-256
host  replication all 127.0.0.1/32 scram-sha-256
";

/// Copies the template of `slot` to `target`, making the template first if this machine has none.
pub(super) fn copy(bin: &Binaries, account: &Account, slot: usize, target: &Path) -> Result<(), ClusterError> {
    let template = ensure(bin, account, slot)?;
    run(account.command("cp").args(["-a", "--reflink=auto"]).arg(template).arg(target)).map(drop)
}

fn ensure(bin: &Binaries, account: &Account, slot: usize) -> Result<PathBuf, ClusterError> {
    let home = home(account)?;
    let template = home.join(format!("{}-{EDITION}-{slot}", bin.major()));
    // Two test processes may come here at once; the lock goes with its file handle.
    let lock_path = home.join(format!("{}-{EDITION}-{slot}.lock", bin.major()));
    let lock = File::create(&lock_path).map_err(ClusterError::io(format!("create {}", lock_path.display())))?;
    lock.lock().map_err(ClusterError::io(format!("lock {}", lock_path.display())))?;
    if !template.is_dir() {
        let unfinished = template.with_extension("new");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)
                .map_err(ClusterError::io(format!("remove {}", unfinished.display())))?;
        }
        initdb(bin, account, &unfinished)?;
        std::fs::rename(&unfinished, &template)
            .map_err(ClusterError::io(format!("rename {}", unfinished.display())))?;
    }
    Ok(template)
}

/// The directory of templates. Its name can be guessed, so it must be ours to be trusted.
fn home(account: &Account) -> Result<PathBuf, ClusterError> {
    let home = std::env::temp_dir().join(format!("pgweave-templates-{}", account.uid));
    match std::fs::create_dir(&home) {
        Ok(()) => give(account, &home)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(ClusterError::Io { doing: format!("create {}", home.display()), source }),
    }
    // The process that made it may be about to give it away; its owner is root or us until then, never a third.
    let owner = std::fs::symlink_metadata(&home).map_err(ClusterError::io(format!("read {}", home.display())))?;
    if owner.is_dir() && (owner.uid() == account.uid || owner.uid() == 0) {
        return Ok(home);
    }
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Err(ClusterError::Io { doing: format!("use {}, which belongs to user {}", home.display(), owner.uid()), source })
}

/// Hands a path to the servers' account, closed to all others but root.
pub(super) fn give(account: &Account, path: &Path) -> Result<(), ClusterError> {
    if let Some((uid, gid)) = account.ids {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .map_err(ClusterError::io(format!("change the owner of {}", path.display())))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .map_err(ClusterError::io(format!("change the permissions of {}", path.display())))
}

fn initdb(bin: &Binaries, account: &Account, dir: &Path) -> Result<(), ClusterError> {
    let mut command = account.command(bin.program("initdb"));
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
    // 1 MiB segments: a copy has one less of 16 MiB to move.
    run(command.args(["--no-instructions", "--wal-segsize=1", "-D"]).arg(dir))?;
    std::fs::write(dir.join("pg_hba.conf"), HBA).map_err(ClusterError::io("write pg_hba.conf"))?;
    single_user(
        account.command(bin.program("postgres")).args(["--single", "-c", "fsync=off", "-D"]).arg(dir).arg("postgres"),
        &format!(
            "ALTER ROLE postgres PASSWORD 'postgres'\n\
             CREATE ROLE {APP_USER} LOGIN PASSWORD '{APP_PASSWORD}'\n\
             GRANT pg_monitor TO {APP_USER}\n"
        ),
    )
}

/// Feeds statements, one a line, to a server in single-user mode.
fn single_user(command: &mut Command, statements: &str) -> Result<(), ClusterError> {
    let failed = |output: String| ClusterError::Program { program: "postgres --single".to_owned(), output };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(ClusterError::io("run postgres --single"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(statements.as_bytes()).map_err(ClusterError::io("write to postgres --single"))?;
    }
    let output = child.wait_with_output().map_err(ClusterError::io("wait for postgres --single"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && !text.contains("ERROR:") { Ok(()) } else { Err(failed(text)) }
}
