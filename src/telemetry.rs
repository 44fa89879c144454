//! Sets up logs, metrics and traces. Setting up logs and metrics again has no effect, so that tests can start many
//! servers in one process. `telemetry/names.rs` lists all metrics.

mod exporter;
mod model_calls;
pub mod names;
mod process;
pub mod traces;

use std::{
    fmt as text,
    io::{IsTerminal, stderr},
};

use tracing::span::Record;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::RecordFields,
    filter::{LevelFilter, Targets},
    fmt::{
        self, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::error::{Error, Result};
pub use exporter::{add_up_samples, prepare_metrics, render, start_metrics};
pub use model_calls::{MeasuredModels, ModelMeasures, ModelSeries};

/// Logs to standard error: as text on a terminal, otherwise as JSON. `filter` has the syntax of `RUNYARD_LOG`.
pub fn start_logging(filter: &str) -> Result<()> {
    // At every start, PostgreSQL reports that the migrations table already exists. This filter hides the notice.
    let filter = format!("sqlx::postgres::notice=warn,{}", of_our_targets(filter));
    let registry = tracing_subscriber::registry().with(read_filter(&filter)?);
    // The call fails if a subscriber is already installed. That subscriber stays in use.
    let _ = if stderr().is_terminal() {
        registry
            .with(fmt::layer().with_writer(stderr).with_target(false))
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    // A request or a run is never part of another one.
                    .with_span_list(false)
                    .fmt_fields(AppendedFields::default())
                    .with_writer(stderr),
            )
            .try_init()
    };
    Ok(())
}

/// Applies a level without a target to Runyard's own targets. Libraries, such as h2 or the migrations, log less: at INFO
/// they log warnings, and below INFO they log up to INFO. A filter can still name a library: `debug,h2=debug`.
fn of_our_targets(filter: &str) -> String {
    // Filters with spans may contain commas, so they are not split.
    if filter.contains('[') {
        return filter.to_owned();
    }
    let directives = filter
        .split(',')
        .map(|directive| match directive.parse::<LevelFilter>() {
            Ok(level) if !directive.is_empty() => {
                let libraries = match level {
                    LevelFilter::DEBUG | LevelFilter::TRACE => LevelFilter::INFO,
                    level => level.min(LevelFilter::WARN),
                };
                format!("{libraries},runyard={level}")
            }
            _ => directive.to_owned(),
        });
    directives.collect::<Vec<_>>().join(",")
}

/// Parses a log filter. [`EnvFilter`] takes a lock whenever a span is entered or left. A filter without span names
/// becomes [`Targets`], which takes no locks.
fn read_filter(filter: &str) -> Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let complete = EnvFilter::try_new(filter).map_err(|error| {
        Error::invalid(format!(
            "RUNYARD_LOG or --log is not a log filter such as info or runyard=debug: {error}"
        ))
    })?;
    let mut directives = filter.split(',');
    let is_simple = directives.all(|directive| !directive.is_empty() && !directive.contains(['[', ' ']));
    match filter.parse::<Targets>() {
        Ok(targets) if is_simple => Ok(targets.boxed()),
        _ => Ok(complete.boxed()),
    }
}

/// Formats the fields of spans as JSON. [`JsonFields`] alone would parse and rewrite the whole text for each field
/// that is recorded later.
#[derive(Default)]
struct AppendedFields {
    json: JsonFields,
}

impl<'w> FormatFields<'w> for AppendedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> text::Result {
        self.json.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> text::Result {
        let mut added = String::new();
        self.json.format_fields(Writer::new(&mut added), fields)?;
        match (current.fields.strip_suffix('}'), added.strip_prefix('{')) {
            (Some(before), Some(more)) if before.len() > 1 && more.len() > 1 => {
                current.fields = format!("{before},{more}");
            }
            (Some(_), _) if added.len() <= 2 => {}
            _ => current.fields = added,
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{field::Empty, info, info_span, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn fields(first: Option<&str>, later: &[(&'static str, &str)]) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let output = fmt::layer().json().fmt_fields(AppendedFields::default());
        let registry = tracing_subscriber::registry().with(output.with_writer(move || writer.clone()));
        with_default(registry, || {
            let span = info_span!("request", first, second = Empty, third = Empty);
            for (name, value) in later {
                span.record(*name, value);
            }
            span.in_scope(|| info!("a line"));
        });
        let line: serde_json::Value = serde_json::from_slice(&lines.0.lock().unwrap()).unwrap();
        line["span"].clone()
    }

    #[test]
    fn recorded_fields_are_added_to_the_fields_of_a_span() {
        let quoted = "a \"}, {";
        assert_eq!(fields(Some("1"), &[])["first"], "1");
        assert_eq!(fields(None, &[("second", quoted)])["second"], quoted);
        let all = fields(Some(quoted), &[("second", "2"), ("third", quoted)]);
        assert_eq!(
            (&all["first"], &all["second"], &all["third"]),
            (&quoted.into(), &"2".into(), &quoted.into())
        );
        assert_eq!(fields(None, &[("second", "1"), ("second", "2")])["second"], "2");
    }

    #[test]
    fn a_level_without_a_target_applies_to_our_targets() {
        for (filter, expected) in [
            ("info", "warn,runyard=info"),
            ("debug", "info,runyard=debug"),
            ("trace", "info,runyard=trace"),
            ("error", "error,runyard=error"),
            ("off", "off,runyard=off"),
            ("debug,h2=debug", "info,runyard=debug,h2=debug"),
            ("runyard=debug", "runyard=debug"),
            ("[request]=debug,info", "[request]=debug,info"),
            ("info,", "warn,runyard=info,"),
        ] {
            assert_eq!(of_our_targets(filter), expected);
            assert!(read_filter(&of_our_targets(filter)).is_ok(), "{filter}");
        }
    }

    #[test]
    fn filters_of_every_kind_are_read() {
        for filter in ["info", "off", "info,runyard=debug", "info,", "[request]=debug"] {
            assert!(read_filter(filter).is_ok(), "{filter}");
        }
        for filter in ["info=loud", "!"] {
            assert!(read_filter(filter).is_err(), "{filter}");
        }
    }
}
