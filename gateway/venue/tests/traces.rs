//! Traces, as a collector takes them: whose spans they are, and what becomes of them where nobody takes any.
#![cfg(feature = "otlp")]

mod common {
    pub(crate) mod demo;
    pub(crate) mod session;
}

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::get;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use venue::data_folder::KeyFile;
use venue::serve::Running;
use wire::order_entry::NewOrderSingle;
use wire::{Block, ExecType};

use self::common::{demo, session};

/// What the hops are called, in their order; OPERATIONS has them.
const HOPS: [&str; 8] = ["decoded", "taken", "sequenced", "applied", "durable", "seen", "encoded", "sent"];
/// Commands that a venue founds itself with, and a login's two.
const BEFORE_ORDERS: i64 = 39 + 2;

/// Takes what it is sent, or refuses it.
struct Collector {
    address: SocketAddr,
    requests: Receiver<(HeaderMap, ExportTraceServiceRequest)>,
}

#[derive(Clone)]
struct Answering {
    status: StatusCode,
    location: String,
    requests: Sender<(HeaderMap, ExportTraceServiceRequest)>,
}

async fn take(
    State(answering): State<Answering>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(HeaderName, String); 1]) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    // Whoever listened has seen enough.
    let _ = answering.requests.send((headers, request));
    (answering.status, [(LOCATION, answering.location)])
}

impl Collector {
    /// One that says so, and where else to ask.
    fn start(status: StatusCode, location: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let answering = Answering { status, location: location.to_owned(), requests: sender };
        let router = Router::new().route("/v1/traces", get(take).post(take)).with_state(answering);
        // It goes with the test's process.
        std::thread::spawn(move || runtime.block_on(async { axum::serve(listener, router).await }));
        Self { address, requests }
    }
}

/// Enters resting orders as Alice, each behind the last one's report; the session's number.
fn enter(running: &Running, data: &Path, count: usize) -> i64 {
    let key = KeyFile::read(&data.join("keys/alice.json")).unwrap();
    let opened = session::open(data, running.addresses().order_entry, &key);
    let mut client = opened.map_err(|error| error.to_string()).unwrap();
    for _ in 0..count {
        let order = NewOrderSingle {
            account: wire::AccountId(2),
            security_id: wire::SecurityId(1),
            price: Some(wire::Price(5_000_000)),
            order_quantity: Some(wire::Quantity(1)),
            side: wire::Side::Buy,
            order_type: wire::OrderType::Limit,
            time_in_force: wire::TimeInForce::GoodTillCancel,
            on_disconnect: wire::OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        };
        client.send(&order).unwrap();
        assert_eq!(session::report(&mut client).exec_type, ExecType::New);
    }
    key.session.into()
}

fn attributes(pairs: &[KeyValue]) -> Vec<(&str, Value)> {
    pairs
        .iter()
        .map(|pair| match &pair.value {
            Some(AnyValue { value: Some(value) }) => (pair.key.as_str(), value.clone()),
            _ => panic!("{pair:?}"),
        })
        .collect()
}

/// Of each trace the whole, whose hops stand behind it.
fn check_traces(spans: &[Span], session: i64, numbers: &[i64]) {
    let traces: Vec<_> = spans.chunks(1 + HOPS.len()).collect();
    assert_eq!(traces.len(), numbers.len(), "{spans:#?}");
    for (trace, &number) in traces.into_iter().zip(numbers) {
        let (whole, hops) = trace.split_first().unwrap();
        assert_eq!((whole.name.as_str(), whole.kind()), ("NewOrder", SpanKind::Server));
        assert_eq!((whole.trace_id.len(), whole.span_id.len(), whole.parent_span_id.len()), (16, 8, 0));
        let expected = [
            ("rialto.sequence", Value::IntValue(BEFORE_ORDERS + number)),
            ("rialto.session", Value::IntValue(session)),
            ("rialto.client_sequence", Value::IntValue(number)),
        ];
        assert_eq!(attributes(&whole.attributes), expected);
        assert_eq!(hops.iter().map(|hop| hop.name.as_str()).collect::<Vec<_>>(), HOPS);
        let mut end = whole.start_time_unix_nano;
        for hop in hops {
            assert_eq!((&hop.trace_id, &hop.parent_span_id), (&whole.trace_id, &whole.span_id));
            assert_ne!(hop.span_id, whole.span_id);
            assert!(hop.start_time_unix_nano == end && hop.end_time_unix_nano >= end, "{trace:#?}");
            end = hop.end_time_unix_nano;
        }
        assert_eq!(end, whole.end_time_unix_nano);
    }
    let mut ids: Vec<_> = spans.iter().map(|span| &span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len());
}

#[test]
fn one_order_in_so_many_is_told_hop_by_hop() {
    let collector = Collector::start(StatusCode::OK, "");
    let endpoint = format!("http://{}", collector.address);
    let (running, folder) = demo::start(&["--otlp-endpoint", &endpoint, "--otlp-every", "2"]);
    let session = enter(&running, folder.path(), 4 * 32);
    // What was not sent by now is sent now.
    running.stop().unwrap();
    let mut spans = Vec::new();
    for (headers, request) in collector.requests.try_iter() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let [of_venue] = &request.resource_spans[..] else { panic!("{request:?}") };
        let resource = attributes(&of_venue.resource.as_ref().unwrap().attributes);
        assert!(resource.contains(&("service.name", Value::StringValue("rialto".to_owned()))), "{resource:?}");
        let [of_door] = &of_venue.scope_spans[..] else { panic!("{request:?}") };
        assert_eq!(of_door.scope.as_ref().unwrap().name, "rialto.order_entry");
        spans.extend_from_slice(&of_door.spans);
    }
    check_traces(&spans, session, &[64, 128]);
}

#[test]
fn a_venue_works_and_stops_where_nobody_takes_its_traces() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = Collector::start(StatusCode::OK, "");
    let other = format!("http://{}/v1/traces", elsewhere.address);
    let refusing = Collector::start(StatusCode::SERVICE_UNAVAILABLE, "");
    let pointing = Collector::start(StatusCode::FOUND, &other);
    for (address, asked) in [
        (nobody, [false, false]),
        (silent.local_addr().unwrap(), [false, false]),
        (refusing.address, [true, false]),
        (pointing.address, [false, true]),
    ] {
        let endpoint = format!("http://{address}");
        let (running, folder) = demo::start(&["--otlp-endpoint", &endpoint, "--otlp-every", "1"]);
        enter(&running, folder.path(), 2 * 32);
        running.stop().unwrap();
        assert_eq!([&refusing, &pointing].map(|collector| collector.requests.try_iter().count() > 0), asked);
    }
    // What is sent is for the endpoint that was named.
    assert_eq!(elsewhere.requests.try_iter().count(), 0);
}

#[test]
fn a_certificate_that_cannot_be_had_is_found_before_there_is_a_venue() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("ca.pem"));
    let options = ["--otlp-endpoint", "https://127.0.0.1:4318", "--otlp-ca", file.to_str().unwrap()];
    let refused = || {
        let started = Running::start(&demo::arguments(&data, &options), venue::demo::commands);
        started.map(|_| ()).unwrap_err().to_string()
    };
    let missing = refused();
    assert!(missing.starts_with("--otlp-ca ") && missing.contains("No such file"), "{missing}");
    std::fs::write(&file, "no certificate").unwrap();
    let empty = refused();
    assert!(empty.starts_with("--otlp-ca ") && empty.contains("no items found"), "{empty}");
    assert!(!data.exists());
}
