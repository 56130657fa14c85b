//! What happens beside the venue's work, on standard error: words for people, or an object a line for programs.
//!
//! Both are made of the same events, each with a message in whole sentences and the values in it as fields. The core says
//! nothing: it counts, and others look.

use std::fmt;
use std::io;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Sentences.
    Text,
    /// One JSON object a line, with time, level, message and fields.
    Json,
}

/// From now on writes events of this process to standard error, as the first who calls this says.
pub fn start(format: LogFormat) {
    let builder = tracing_subscriber::fmt().with_writer(io::stderr);
    // An error says that somebody was first.
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(builder.event_format(Sentences).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(
            builder.json().flatten_event(true).with_current_span(false).finish(),
        ),
    };
}

/// `rialto: ` and the message: the fields are in its words.
struct Sentences;

impl<S, N> FormatEvent<S, N> for Sentences
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        writeln!(out, "rialto: {}", message.0)
    }
}

/// An event's message.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
