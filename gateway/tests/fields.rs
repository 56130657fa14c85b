//! Which fields an ExecutionReport has, by what it tells: the table in `docs/PROTOCOL.md`.
//!
//! It is counted in the reports of random streams of commands, of every profile. `BLESS=1 cargo test -p gateway --test
//! fields` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use engine::command::AdvanceTime;
use engine::{Capacity, Command, CommandBody, Engine, Event, EventHeader, Sequenced, Stamp, Timestamp};
use gateway::egress::{self, Outgoing, Sending};
use gateway::view::View;
use testkit::stream::References;
use testkit::workload::{PROFILES, Profile, Workload};
use wire::layout::FieldLayout;
use wire::order_entry::{ExecutionReport, OrderEntryMessage};
use wire::{Block, Durability, ExecType, Frame, Indicator};

const BEGIN: &str = "<!-- fields of reports: begin -->\n";
const END: &str = "<!-- fields of reports: end -->";
const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };
const SEEDS: u64 = 30;
const COMMANDS: usize = 800;

const TOLD: [(ExecType, &str); 9] = [
    (ExecType::New, "New"),
    (ExecType::Rejected, "Rejected"),
    (ExecType::Trade, "Trade"),
    (ExecType::Replaced, "Replaced"),
    (ExecType::Restated, "Restated"),
    (ExecType::Triggered, "Triggered"),
    (ExecType::Cancelled, "Cancelled"),
    (ExecType::Expired, "Expired"),
    (ExecType::TradeCancel, "TradeCancel"),
];

/// How many reports there were, and how many of them had which field.
#[derive(Default)]
struct Counted {
    reports: u64,
    present: Vec<u64>,
}

type Counts = BTreeMap<u8, Counted>;

#[test]
fn the_published_table_says_which_report_has_which_field() {
    let mut counts = Counts::new();
    for &profile in PROFILES {
        (1..=SEEDS).for_each(|seed| count(profile, seed, &mut counts));
    }
    let table = table(&counts);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md");
    let published = fs::read_to_string(&path).unwrap();
    let (head, rest) = published.split_once(BEGIN).expect("where the table begins");
    let (found, tail) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert!(found == table, "docs/PROTOCOL.md does not say so: run with BLESS=1\n{table}");
    }
}

/// The reports of one stream of commands.
fn count(profile: Profile, seed: u64, counts: &mut Counts) {
    let mut workload = Workload::new(profile, seed);
    let mut engine = Engine::new(CAPACITY);
    let mut view = View::of(&engine);
    let mut names = References::default();
    for _ in 0..COMMANDS {
        let step = workload.next_step();
        let time = engine.last().time.max(step.at);
        if engine.next_deadline() <= time {
            apply(&mut engine, &mut view, time, Command::from_venue(AdvanceTime {}), counts);
        }
        let command = names.resolve(&step.command);
        // Nothing of a trader reaches a venue without a number.
        let mut nobodys = Counts::new();
        let counts = if is_unnumbered_request(&command) { &mut nobodys } else { &mut *counts };
        let events = apply(&mut engine, &mut view, time, command, counts);
        names.learn(step.name, &events);
        workload.observe(&step, &events);
    }
}

fn is_unnumbered_request(command: &Command) -> bool {
    let is_request = matches!(
        command.body,
        CommandBody::NewOrder(_)
            | CommandBody::ReplaceOrder(_)
            | CommandBody::CancelOrder(_)
            | CommandBody::MassCancel(_)
    );
    is_request && command.header.client_sequence.is_none()
}

fn apply(engine: &mut Engine, view: &mut View, time: Timestamp, value: Command, counts: &mut Counts) -> Vec<Event> {
    let stamp = Stamp { sequence: engine.last().sequence.next(), time };
    let mut told: Vec<(EventHeader, Event)> = Vec::new();
    engine.apply(&Sequenced { stamp, value }, &mut told);
    let sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };
    for (header, event) in &told {
        view.apply(header, event);
        let mut messages: Vec<Outgoing> = Vec::new();
        egress::messages(header, event, view, sending, &mut messages);
        messages.iter().for_each(|message| look_at(&message.frame, counts));
    }
    told.into_iter().map(|(_, event)| event).collect()
}

fn look_at(bytes: &[u8], counts: &mut Counts) {
    let (frame, _) = Frame::split(bytes).unwrap();
    let Ok(OrderEntryMessage::ExecutionReport(report)) = OrderEntryMessage::try_from(frame) else { return };
    let counted = counts.entry(report.exec_type as u8).or_default();
    counted.reports += 1;
    counted.present.resize(ExecutionReport::FIELDS.len(), 0);
    for (count, field) in counted.present.iter_mut().zip(ExecutionReport::FIELDS) {
        *count += u64::from(is_present(field, frame.body));
    }
}

/// Whether it is not the null value; a field that cannot be absent is always there.
fn is_present(field: &FieldLayout, block: &[u8]) -> bool {
    let Some(null) = field.value.null else { return true };
    let (offset, length) = (usize::from(field.offset), usize::from(field.value.length()));
    block[offset..offset + length] != null.to_le_bytes()[..length]
}

fn table(counts: &Counts) -> String {
    let mut out = String::from("\n| field |");
    TOLD.iter().for_each(|(_, name)| write!(out, " {name} |").unwrap());
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(TOLD.len()));
    out.push('\n');
    for (index, field) in ExecutionReport::FIELDS.iter().enumerate() {
        if field.value.null.is_none() {
            continue;
        }
        write!(out, "| {} |", field.name).unwrap();
        for (exec_type, name) in TOLD {
            let Counted { reports, present } = counts.get(&(exec_type as u8)).unwrap_or_else(|| panic!("no {name}"));
            let mark = match present[index] {
                0 => "",
                count if count == *reports => "always",
                _ => "if any",
            };
            write!(out, " {mark} |").unwrap();
        }
        out.push('\n');
    }
    out.push('\n');
    out
}
