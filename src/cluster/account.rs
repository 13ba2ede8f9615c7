//! Which account the servers run as.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::ClusterError;

/// The account of the servers' processes: ours, or an unprivileged one when we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Numeric user and group to change to; `None` stays with ours.
    pub ids: Option<(u32, u32)>,
    /// The numeric user that owns the files.
    pub uid: u32,
}

impl Account {
    /// Finds it from `/proc/self` and `/etc/passwd`.
    ///
    /// # Errors
    /// [`ClusterError::NoAccount`] when we are root and there is no other account; [`ClusterError::Io`].
    pub fn find() -> Result<Account, ClusterError> {
        let uid = std::fs::metadata("/proc/self").map_err(ClusterError::io("read /proc/self"))?.uid();
        if uid != 0 {
            return Ok(Account { ids: None, uid });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(ClusterError::io("read /etc/passwd"))?;
        let (uid, gid) = unprivileged(&passwd).ok_or(ClusterError::NoAccount)?;
        Ok(Account { ids: Some((uid, gid)), uid })
    }

    /// A command that will run as this account, in the root directory (ours may be closed to it), with plain locale.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command.current_dir("/").env("LC_ALL", "C");
        // Settings of the person's own servers must not reach these.
        for name in
            ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGOPTIONS", "PGDATA", "PGSSLMODE"]
        {
            command.env_remove(name);
        }
        command
    }
}

/// User and group of `postgres`, else of `nobody`.
fn unprivileged(passwd: &str) -> Option<(u32, u32)> {
    let find = |wanted: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(wanted)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (uid != 0).then_some((uid, gid))
        })
    };
    find("postgres").or_else(|| find("nobody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_postgres_is_preferred_and_root_never_taken() {
        let nobody = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
        assert_eq!(unprivileged(nobody), Some((65534, 65534)));
        let both = format!("{nobody}postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n");
        assert_eq!(unprivileged(&both), Some((101, 104)));
        assert_eq!(unprivileged("postgres:x:0:0::/:/bin/sh\n"), None);
        assert_eq!(unprivileged("postgresql:x:7:7::/:/bin/sh\n"), None);
    }
}
