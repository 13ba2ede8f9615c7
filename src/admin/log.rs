//! The log: lines for people or JSON for machines, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no filter.
    #[error("log.level: {0}")]
    Level(#[from] ParseError),
    /// Somebody set up a log before.
    #[error("the log is set up already: {0}")]
    Taken(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sets up the log of the process. Colours only on a terminal, and not when `NO_COLOR` is set.
///
/// # Errors
/// Every [`LogError`].
pub fn start(settings: &Log) -> Result<(), LogError> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(settings, colours, std::io::stderr)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

fn subscriber<W>(
    settings: &Log,
    colours: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    Ok(match settings.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = Log { level: level.into(), format };
        let subscriber = subscriber(&settings, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(shard = 1, "primary found");
            tracing::debug!("not at this level");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_for_people_and_for_machines() {
        let text = logged("info", LogFormat::Text);
        assert!(text.contains(" INFO ") && text.contains("primary found shard=1"), "{text}");
        assert_eq!(text.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!((&json["level"], &json["message"]), (&"INFO".into(), &"primary found".into()));
        assert_eq!(json["shard"], 1);
        assert_eq!(logged("debug", LogFormat::Text).lines().count(), 2);
        assert_eq!(logged("pgweave::nothing=info", LogFormat::Text), "");
    }

    #[test]
    fn a_level_that_is_none_is_told() {
        let settings = Log { level: "pgweave=loud".into(), format: LogFormat::Text };
        assert!(matches!(subscriber(&settings, false, std::io::sink), Err(LogError::Level(_))));
    }
}
