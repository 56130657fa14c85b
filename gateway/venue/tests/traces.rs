//! Traces, as a collector takes them: whose spans they are, and what becomes of them where nobody takes any.
#![cfg(feature = "otlp")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::Parser;
use client::{Client, Credentials, Incoming, Options, Resume, Trust};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tempfile::TempDir;
use venue::arguments::{Arguments, Tool};
use venue::data_folder::KeyFile;
use venue::demo;
use venue::serve::Running;
use wire::order_entry::{NewOrderSingle, OrderEntryMessage};
use wire::{Block, ExecType};

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
    requests: Sender<(HeaderMap, ExportTraceServiceRequest)>,
}

async fn take(State(answering): State<Answering>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    // Whoever listened has seen enough.
    let _ = answering.requests.send((headers, request));
    answering.status
}

impl Collector {
    fn start(status: StatusCode) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Answering { status, requests: sender });
        // It goes with the test's process.
        std::thread::spawn(move || runtime.block_on(async { axum::serve(listener, router).await }));
        Self { address, requests }
    }
}

fn serve(data: &Path, options: &[&str]) -> Running {
    let (path, any) = (data.to_str().unwrap(), "127.0.0.1:0");
    let words = ["rialto", "serve", "--data", path, "--head", path, "--order-entry", any, "--market-data", any];
    let security = ["--http", any, "--order-entry-security", "plain-loopback"];
    let parsed = Arguments::try_parse_from(words.iter().chain(&security).chain(options)).unwrap();
    let Tool::Serve(arguments) = parsed.tool else { unreachable!("serve was asked for") };
    Running::start(&arguments, demo::commands).unwrap()
}

/// Enters resting orders as Alice, each behind the last one's report; the session's number.
fn enter(running: &Running, data: &Path, count: usize) -> i64 {
    let file = data.join("keys/alice.json");
    let key = KeyFile::read(&file).unwrap();
    let credentials = Credentials {
        session: wire::SessionId(key.session.into()),
        key: wire::KeyId(key.key.into()),
        signing_key: key.signing_key(&file).unwrap(),
    };
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let anew = Resume::Anew(wire::SessionVersion(now));
    let address = running.addresses().order_entry;
    let connected = Client::connect(address, &Trust::PlainLoopback, credentials, Options::DEFAULT, anew);
    let mut client = connected.map_err(|error| error.to_string()).unwrap();
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
        loop {
            match client.receive().unwrap() {
                Incoming::Message(OrderEntryMessage::ExecutionReport(report)) => {
                    assert_eq!(report.exec_type, ExecType::New, "{report:?}");
                    break;
                }
                Incoming::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
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
    let (collector, folder) = (Collector::start(StatusCode::OK), TempDir::new().unwrap());
    let endpoint = format!("http://{}", collector.address);
    let running = serve(folder.path(), &["--otlp-endpoint", &endpoint, "--otlp-every", "2"]);
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
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (refusing, folder) = (Collector::start(StatusCode::SERVICE_UNAVAILABLE), TempDir::new().unwrap());
    for (address, asked) in [(nobody, false), (refusing.address, true)] {
        let endpoint = format!("http://{address}");
        let running = serve(folder.path(), &["--otlp-endpoint", &endpoint, "--otlp-every", "1"]);
        enter(&running, folder.path(), 2 * 32);
        running.stop().unwrap();
        assert_eq!(refusing.requests.try_iter().count() > 0, asked);
    }
}
