//! Where logs go and how they look: lines on standard error, for people or as JSON.
//!
//! A subscriber is the one thing that is global to a process; only a binary's `main` installs it.
//! Nothing secret is logged by anybody: tokens, passwords and message texts have no place in a line.

use std::io;

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Filter, LogFormat};

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("telemetry.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// This process has a subscriber already.
    #[error("logs were set up before in this process")]
    Twice,
}

/// A subscriber that writes to `writer`; tests and second nodes use it by `tracing::dispatcher::with_default`.
///
/// # Errors
/// The filter cannot be read; never one that came out of a checked configuration.
pub fn subscriber<W>(filter: &Filter, format: LogFormat, writer: W) -> Result<Dispatch, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter.compiled()?).with_ansi(false).with_writer(writer);
    Ok(match format {
        LogFormat::Text => builder.into(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).into(),
    })
}

/// Sends the logs of this process to standard error from now on.
///
/// # Errors
/// The filter cannot be read, or logs were set up before.
pub fn init(filter: &Filter, format: LogFormat) -> Result<(), TelemetryError> {
    let dispatch = subscriber(filter, format, io::stderr)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let dispatch = subscriber(&Filter(filter.to_owned()), format, move || writer.clone()).expect("a good filter");
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(partition = 3, "took over");
            tracing::debug!("not shown");
        });
        let bytes = lines.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_beside_the_message() {
        let text = logged("info", LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one object");
        assert_eq!((&line["message"], &line["partition"]), (&"took over".into(), &3.into()));
    }

    #[test]
    fn text_lines_follow_the_filter() {
        let text = logged("info", LogFormat::Text);
        assert!(text.contains("took over partition=3") && !text.contains("not shown"), "{text}");
        assert!(logged("warn", LogFormat::Text).is_empty());
    }
}
