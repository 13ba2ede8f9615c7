//! Tests that cannot run here say so, and `make test` lists them.

use std::io::Write;

/// Notes that `name` was skipped because of `reason`: on standard error, and in the file named by `PGWEAVE_SKIPPED`.
pub fn skipped(name: &str, reason: &str) {
    let line = format!("SKIPPED: {name}: {reason}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("PGWEAVE_SKIPPED") {
        let mut file =
            std::fs::File::options().create(true).append(true).open(path).expect("opens the list of skipped tests");
        // One write of one line: several test processes append at once.
        file.write_all(line.as_bytes()).expect("writes to the list of skipped tests");
    }
}
