//! From stamps to spans, and away.

use std::borrow::Cow;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use engine::canonical::Code;
use gateway::hops::{HOP_COUNT, HOP_NAMES, HopSample};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanExporter as Exports, SpanLinks,
};
use tokio::runtime::Runtime;
use tracing::warn;

use super::{TracePlan, TracesError};
use crate::hops::{HopTimes, Tap};
use crate::https;
use crate::ticks;

/// Traces that wait for the sender at most; the oldest make room.
const WAITING_MAX: usize = 4_096;
/// Traces that are sent at once, at most: some 200 kB.
const BATCH_MAX: usize = 256;
/// How often those that wait are sent.
const EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch, and how long batches are begun when the venue stops.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is said at most that traces are lost.
const SAID_EVERY: Duration = Duration::from_secs(60);
/// Bytes of a collector's answer that are read at most.
const ANSWER_MAX: u64 = 1 << 16;

/// Who sends traces, before there are any.
pub(crate) struct Exporter {
    exporter: SpanExporter,
    why_not: WhyNot,
    every: u32,
}

impl Exporter {
    /// Reads what is needed to reach the collector, and does not reach it yet.
    pub(crate) fn new(plan: TracePlan) -> Result<Self, TracesError> {
        let why_not = WhyNot::default();
        let mut exporter = exporter(&plan, why_not.clone())?;
        exporter.set_resource(&resource());
        Ok(Self { exporter, why_not, every: plan.every })
    }

    /// From now on sends what is sampled.
    pub(crate) fn start(self, hops: &HopTimes) -> io::Result<Traces> {
        let Self { exporter, why_not, every } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (goes_on, ended) = channel();
        let tap = hops.tap_every(every, WAITING_MAX);
        let mut sending = Sending { exporter, why_not, runtime, tap, lost: Lost::default() };
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let thread = thread.spawn(move || sending.run(End { ended, deadline: None }))?;
        Ok(Traces { thread, _goes_on: goes_on })
    }
}

/// Traces on their way, on a thread of their own.
pub(crate) struct Traces {
    thread: JoinHandle<()>,
    /// The thread sends what it has and ends when this is gone.
    _goes_on: Sender<()>,
}

impl Traces {
    /// Sends what is left, if somebody takes it in time.
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

fn exporter(plan: &TracePlan, why_not: WhyNot) -> Result<SpanExporter, TracesError> {
    // A token is for the endpoint that was named, and for no other that it names.
    let config = ureq::Agent::config_builder().max_redirects(0);
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
        .with_http_client(Client { agent: config.build().into(), why_not })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", plan.endpoint))
        .with_timeout(PATIENCE)
        // It would sleep for as long as the collector says.
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|error| TracesError::Exporter(error.to_string()))
}

/// Why the collector did not take the last batch: the exporter does not hand it on.
#[derive(Debug, Clone, Default)]
struct WhyNot(Arc<Mutex<Option<String>>>);

impl WhyNot {
    fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Blocks: nothing else runs on its thread.
#[derive(Debug)]
struct Client {
    agent: ureq::Agent,
    why_not: WhyNot,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.ask(request).inspect_err(|error| {
            self.why_not.set(match error {
                ureq::Error::Timeout(_) => format!("it does not answer within {} s", PATIENCE.as_secs()),
                other => other.to_string(),
            });
        })?;
        if !answer.status().is_success() {
            self.why_not.set(format!("it answers {}", answer.status()));
        }
        Ok(answer)
    }
}

impl Client {
    fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let (head, mut body) = self.agent.run(Request::from_parts(head, body.to_vec()))?.into_parts();
        Ok(Response::from_parts(head, body.with_config().limit(ANSWER_MAX).read_to_vec()?.into()))
    }
}

/// When the thread ends.
struct End {
    /// Disconnected: when what is there is sent, or too late to be.
    ended: Receiver<()>,
    deadline: Option<Instant>,
}

impl End {
    fn wait(&mut self, at_most: Duration) {
        if self.ended.recv_timeout(at_most) == Err(RecvTimeoutError::Disconnected) {
            self.deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
    }

    fn has_passed(&mut self) -> bool {
        self.wait(Duration::ZERO);
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// What the thread has.
struct Sending {
    exporter: SpanExporter,
    why_not: WhyNot,
    /// Only to wait for what never waits.
    runtime: Runtime,
    tap: Tap,
    lost: Lost,
}

impl Sending {
    fn run(&mut self, mut end: End) {
        let mut samples = Vec::new();
        loop {
            end.wait(EVERY);
            let is_last = end.deadline.is_some();
            self.tap.drain(&mut samples);
            self.lost.add(self.tap.lost(), || "the collector is too slow".to_owned());
            let clock = Clock::now();
            let mut goes_on = true;
            for batch in samples.chunks(BATCH_MAX) {
                // A collector that is gone is asked once a turn, not once a batch.
                goes_on = goes_on && !end.has_passed() && self.send(batch, &clock);
                if !goes_on {
                    self.lost.add(batch.len(), || "the venue stops".to_owned());
                }
            }
            samples.clear();
            self.lost.say(is_last);
            if is_last {
                return;
            }
        }
    }

    /// Whether they were taken.
    fn send(&mut self, samples: &[HopSample], clock: &Clock) -> bool {
        let spans = samples.iter().flat_map(|sample| trace(sample, clock)).collect();
        match self.runtime.block_on(self.exporter.export(spans)) {
            Ok(()) => true,
            Err(error) => {
                self.lost.why = self.why_not.take().or_else(|| Some(error.to_string()));
                false
            }
        }
    }
}

/// Traces that nobody has taken, since it was said last.
#[derive(Default)]
struct Lost {
    count: usize,
    /// Of the last that failed.
    why: Option<String>,
    said: Option<Instant>,
}

impl Lost {
    fn add(&mut self, count: usize, why: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 {
            self.why.get_or_insert_with(why);
        }
    }

    /// At once if it was not said for a while, or will not be said again.
    fn say(&mut self, is_last: bool) {
        let is_due = is_last || self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if self.count == 0 || !is_due {
            return;
        }
        let (lost, why) = (std::mem::take(&mut self.count), self.why.take().unwrap_or_default());
        warn!(lost, why, "{lost} traces are lost, and nothing else: {why}");
        self.said = Some(Instant::now());
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
