//! From stamps to spans, and away.

use std::borrow::Cow;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use engine::canonical::Code;
use gateway::hops::{HOP_COUNT, HOP_NAMES, HopSample};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanExporter as Exporter, SpanLinks,
};
use tokio::runtime::Runtime;
use tracing::{info, warn};

use super::{TracePlan, TracesError};
use crate::hops::{HopTimes, Tap};
use crate::https;
use crate::ticks;

/// Samples that wait for the sender at most; the oldest make room.
const WAITING_MAX: usize = 16_384;
/// Traces that are sent at once, at most: some 200 kB.
const BATCH_MAX: usize = 256;
/// How often waiting samples are sent.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch, and how long a stop may wait for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Traces on their way, on a thread of their own.
pub(crate) struct Traces {
    thread: JoinHandle<()>,
    /// The thread sends what it has and ends when this is gone.
    _goes_on: Sender<()>,
}

impl Traces {
    /// From now on sends what is sampled.
    pub(crate) fn start(plan: TracePlan, hops: &HopTimes) -> Result<Self, TracesError> {
        let mut exporter = exporter(&plan)?;
        exporter.set_resource(&resource());
        let failed = |error: io::Error| TracesError::Exporter(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let (goes_on, ended) = channel();
        let mut sending =
            Sending { exporter, runtime, tap: hops.tap(WAITING_MAX), every: plan.every as usize, skipped: 0, lost: 0 };
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let thread = thread.spawn(move || sending.run(&ended)).map_err(failed)?;
        Ok(Self { thread, _goes_on: goes_on })
    }

    /// Sends what is left, if somebody takes it.
    pub(crate) fn stop(self) {
        let Self { thread, _goes_on: goes_on } = self;
        drop(goes_on);
        if thread.join().is_err() {
            warn!("the thread that sends traces has panicked: the last of them are lost");
        }
    }
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_service_name("rialto").with_attribute(version).build()
}

fn exporter(plan: &TracePlan) -> Result<SpanExporter, TracesError> {
    let config = ureq::Agent::config_builder();
    let config = config.http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None);
    let config = match &plan.authority {
        None => config,
        Some(file) => config.tls_config(https::trusting(file).map_err(|error| {
            let file = file.display().to_string();
            TracesError::Authority { file, reason: error.to_string() }
        })?),
    };
    SpanExporter::builder()
        .with_http()
        .with_http_client(Client(config.build().into()))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", plan.endpoint))
        .build()
        .map_err(|error| TracesError::Exporter(error.to_string()))
}

/// Blocks: nothing else runs on its thread.
#[derive(Debug)]
struct Client(ureq::Agent);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let (head, mut body) = self.0.run(Request::from_parts(head, body.to_vec()))?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

/// What the thread has.
struct Sending {
    exporter: SpanExporter,
    /// Only to wait for what never waits.
    runtime: Runtime,
    tap: Tap,
    every: usize,
    /// Samples since the last that became a trace.
    skipped: usize,
    /// Traces that the collector has not taken since it took the last.
    lost: usize,
}

impl Sending {
    fn run(&mut self, ended: &Receiver<()>) {
        let mut samples = Vec::new();
        loop {
            let is_last = ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected);
            self.tap.drain(&mut samples);
            let clock = Clock::now();
            let chosen: Vec<_> = samples.drain(..).filter(|_| self.chooses()).collect();
            let mut batches = chosen.chunks(BATCH_MAX);
            // A collector that is gone is asked once a turn, not once a batch.
            let failed = batches.find(|batch| !self.send(batch, &clock));
            if failed.is_some() {
                self.lost += batches.map(<[_]>::len).sum::<usize>();
            }
            if is_last {
                return;
            }
        }
    }

    fn chooses(&mut self) -> bool {
        self.skipped += 1;
        let chooses = self.skipped >= self.every;
        if chooses {
            self.skipped = 0;
        }
        chooses
    }

    /// Whether they were taken.
    fn send(&mut self, samples: &[HopSample], clock: &Clock) -> bool {
        let spans = samples.iter().flat_map(|sample| trace(sample, clock)).collect();
        match (self.runtime.block_on(self.exporter.export(spans)), self.lost) {
            (Ok(()), 0) => true,
            (Ok(()), lost) => {
                info!(lost, "the collector takes traces again; {lost} are lost");
                self.lost = 0;
                true
            }
            (Err(error), lost) => {
                if lost == 0 {
                    warn!(%error, "the collector takes no traces: {error}; they are lost until it does, and nothing else is");
                }
                self.lost = lost + samples.len();
                false
            }
        }
    }
}

/// The counter of the stamps and the clock of the spans, at one moment.
struct Clock {
    ticks: u64,
    time: SystemTime,
}

impl Clock {
    fn now() -> Self {
        Self { ticks: ticks::now(), time: SystemTime::now() }
    }

    fn time(&self, stamp: u64) -> SystemTime {
        self.time - ticks::between(stamp, self.ticks)
    }
}

/// A span for the whole, and one for each hop.
fn trace(sample: &HopSample, clock: &Clock) -> Vec<SpanData> {
    let ids = RandomIdGenerator::default();
    let (trace, root) = (ids.new_trace_id(), ids.new_span_id());
    let times = sample.stamps.map(|stamp| clock.time(stamp));
    let mut whole = span(trace, root, SpanId::INVALID, sample.kind.name(), [times[0], times[HOP_COUNT - 1]]);
    whole.span_kind = SpanKind::Server;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    whole.attributes = vec![
        KeyValue::new("rialto.sequence", number(sample.sequence.0)),
        KeyValue::new("rialto.session", i64::from(sample.session.0)),
        KeyValue::new("rialto.client_sequence", number(sample.client_sequence.0)),
    ];
    let hops = times.windows(2).zip(&HOP_NAMES[1..]);
    let hops = hops.map(|(times, name)| span(trace, ids.new_span_id(), root, name, [times[0], times[1]]));
    [whole].into_iter().chain(hops).collect()
}

fn span(trace: TraceId, id: SpanId, parent: SpanId, name: &'static str, [start, end]: [SystemTime; 2]) -> SpanData {
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(name),
        start_time: start,
        end_time: end,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("rialto.order_entry").build(),
    }
}
