//! Where PostgreSQL's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// The oldest major version that is used.
const OLDEST: u32 = 14;

/// A directory with `initdb`, `postgres`, `psql` and their kin, all of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// Looks into `pg_bin` alone if given, else into the directories of `PATH` and `/usr/lib/postgresql/*/bin`, and takes the
    /// newest version found.
    ///
    /// # Errors
    /// [`ClusterError::NoBinaries`] with where it looked.
    pub fn find(pg_bin: Option<&Path>) -> Result<Binaries, ClusterError> {
        let candidates = match pg_bin {
            Some(dir) => vec![dir.to_path_buf()],
            None => usual_places(),
        };
        let found = candidates.iter().filter_map(|dir| Binaries::in_dir(dir)).max_by_key(|found| found.major);
        found.ok_or_else(|| ClusterError::NoBinaries {
            searched: candidates.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", "),
        })
    }

    fn in_dir(dir: &Path) -> Option<Binaries> {
        let complete = ["initdb", "postgres", "psql", "pg_basebackup"].iter().all(|name| dir.join(name).is_file());
        if !complete {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(std::str::from_utf8(&output.stdout).ok()?)?;
        (major >= OLDEST).then(|| Binaries { dir: dir.to_path_buf(), major })
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, 14 or above.
    pub fn major(&self) -> u32 {
        self.major
    }
}

fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    places
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)` or `... 19beta1` to the major version.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major_version("postgres\n"), None);
    }

    #[test]
    fn a_directory_without_them_is_named() {
        let error = Binaries::find(Some(Path::new("/nonexistent/bin"))).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/bin"), "{error}");
    }
}
