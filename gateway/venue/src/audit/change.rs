//! A change: who did what, when and why; or what was asked for and refused.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use engine::canonical::{Code, FieldValue, Fields};
use engine::event::{BalanceCause, EventKind, Report};
use engine::instrument::PhaseCause;
use engine::{Command, Event, EventHeader, KeyId, RejectReason, Sequence};
use journal::{Key, Reader, Seek};
use serde_json::{Map, Value, json};

use super::names::Names;
use crate::admin::value::TimeText;
use crate::history_tool::ToolError;
use crate::history_tool::search::Happened;
use crate::records::add_word;

/// Who did what, when and why.
pub(super) struct Change {
    pub(super) header: EventHeader,
    event: Event,
    pub(super) author: KeyId,
    pub(super) reason: String,
    idempotency_key: u64,
    /// Why it was not done.
    refused: Option<Refused>,
}

/// What was asked for, and why it was not done.
struct Refused {
    command: Command,
    reason: RejectReason,
}

/// Whether events of this kind say that a command was refused.
pub(super) fn is_refusal(kind: EventKind) -> bool {
    matches!(kind, EventKind::CommandRejected | EventKind::MassCancelRejected)
}

/// Whether some events of this kind are changes.
pub(super) fn is_kind(kind: EventKind) -> bool {
    match kind {
        EventKind::MassCancelled
        | EventKind::MassCancelRejected
        | EventKind::CommandRejected
        | EventKind::RandomSeedSet
        | EventKind::BehaviourSet
        | EventKind::AssetAdded
        | EventKind::InstrumentListed
        | EventKind::InstrumentDelisted
        | EventKind::InstrumentLimitsSet
        | EventKind::PriceProtectionSet
        | EventKind::FeesSet
        | EventKind::PhaseChanged
        | EventKind::CalendarEntrySet
        | EventKind::CalendarEntryRemoved
        | EventKind::AccountOpened
        | EventKind::AccountModified
        | EventKind::AccountLimitsSet
        | EventKind::BalanceChanged
        | EventKind::KillSwitchSet
        | EventKind::TradeBusted
        | EventKind::KeyAdded
        | EventKind::KeyRevoked
        | EventKind::RoleGranted
        | EventKind::RoleRevoked
        | EventKind::AddressAllowed => true,
        EventKind::OrderAccepted
        | EventKind::OrderRejected
        | EventKind::OrderReplaced
        | EventKind::OrderCancelled
        | EventKind::CancelRejected
        | EventKind::Trade
        | EventKind::OrderTriggered
        | EventKind::OrderRestated
        | EventKind::MatchPrevented
        | EventKind::SessionNegotiated
        | EventKind::SessionEstablished
        | EventKind::SessionRejected
        | EventKind::SessionDisconnected
        | EventKind::NotApplied
        | EventKind::IndicativeChanged
        | EventKind::Uncrossed
        | EventKind::PriceBoundReached => false,
    }
}

/// Whether an event is a change or a refused one: not what a session asked for itself, and not what follows from another.
pub(super) fn may_be(event: &Event) -> bool {
    let outside = |report: &Report| report.session.is_none();
    match event {
        Event::MassCancelled(cancelled) => outside(&cancelled.report),
        Event::MassCancelRejected(rejected) => outside(&rejected.report),
        Event::PhaseChanged(changed) => changed.cause == PhaseCause::Administrator,
        Event::BalanceChanged(changed) => changed.cause != BalanceCause::TradeBust,
        _ => is_kind(event.kind()),
    }
}

impl Change {
    /// The change that an event says, if it says one.
    pub(super) fn of((header, event): &Happened, commands: &RefCell<Commands>) -> Result<Option<Self>, ToolError> {
        if !may_be(event) {
            return Ok(None);
        }
        let command = || commands.borrow_mut().find(header.id.sequence);
        let refused = match event {
            Event::CommandRejected(rejected) => command()?.map(|command| Refused { command, reason: rejected.reason }),
            Event::MassCancelRejected(rejected) => {
                command()?.map(|command| Refused { command, reason: rejected.reason })
            }
            _ => None,
        };
        let mut noted = Noted::default();
        noted.look_at(event.record());
        let author = match (event, &refused) {
            // Those that do not name it themselves.
            (Event::MassCancelled(_), _) => command()?.map_or(KeyId::NONE, |command| command.header.author),
            (Event::MassCancelRejected(_), Some(refused)) => {
                noted.look_at(refused.command.body.record());
                refused.command.header.author
            }
            _ => KeyId(u32::try_from(noted.author).unwrap_or(0)),
        };
        let Noted { reason, idempotency_key, .. } = noted;
        Ok(Some(Self { header: *header, event: *event, author, reason, idempotency_key, refused }))
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether it was done to this, or was to be.
    pub(super) fn concerns(&self, key: Key) -> bool {
        match &self.refused {
            Some(refused) => names(refused.command.body.record(), key),
            None => key.concerns(&self.event),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.event.kind().name()
    }

    /// What was asked for, if it was refused.
    pub(super) fn command(&self) -> Option<&'static str> {
        self.refused.as_ref().map(|refused| refused.command.body.kind().name())
    }

    /// Why it was refused.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.refused.as_ref().map(|refused| refused.reason.name())
    }

    pub(super) fn idempotency_key(&self) -> u64 {
        self.idempotency_key
    }

    /// Everything but author and note, in decimals, and what is named by its number with its name.
    pub(super) fn details(&self, known: &mut Names) -> Result<Map<String, Value>, ToolError> {
        let record = self.refused.as_ref().map_or(self.event.record(), |refused| refused.command.body.record());
        let mut object = known.object(record)?;
        if let Some(Value::Object(command)) = object.shift_remove("command") {
            let (before, after) = (command, object);
            object = before.into_iter().chain(after).collect();
        }
        // Whoever knows the seed knows what is drawn at random. An administrator's name for a mass cancel is in the note.
        for left_out in ["author", "note", "report", "seed"] {
            object.shift_remove(left_out);
        }
        if matches!(self.event, Event::MassCancelled(_) | Event::MassCancelRejected(_)) {
            object.shift_remove("client_order_id");
        }
        Ok(object)
    }

    /// All of it, for JSON.
    pub(super) fn object(&self, known: &mut Names) -> Result<Map<String, Value>, ToolError> {
        let object = json!({
            "sequence": self.header.id.sequence.0,
            "index": self.header.id.index,
            "time": self.header.time.0,
            "time_utc": TimeText(self.header.time).to_string(),
            "author": self.author.0,
            "author_name": known.key(self.author),
            "event": self.kind(),
            "command": self.command(),
            "refused": self.refusal(),
            "reason": self.reason,
            "idempotency_key": (self.idempotency_key > 0).then_some(self.idempotency_key),
            "details": self.details(known)?,
        });
        let Value::Object(object) = object else { unreachable!("an object was made") };
        Ok(object)
    }

    /// All of it, on a line.
    pub(super) fn line(&self, known: &mut Names) -> Result<String, ToolError> {
        let id = format!("{}.{}", self.header.id.sequence, self.header.id.index);
        let author = match (self.author, known.key(self.author)) {
            (KeyId::VENUE, _) => "venue".to_owned(),
            (key, Some(name)) => format!("{name} ({key})"),
            (key, None) => format!("key {key}"),
        };
        let what = match (self.command(), self.refusal()) {
            (Some(command), Some(refusal)) => format!("{command} refused: {refusal}"),
            _ => self.kind().to_owned(),
        };
        let time = TimeText(self.header.time).to_string();
        let mut line = format!("{time:<30}  {id:>10}  {author:<18}  {what:<20} ");
        say(&mut line, "", &self.details(known)?);
        if !self.reason.is_empty() {
            line += &format!("  {:?}", self.reason);
        }
        Ok(line)
    }
}

/// Fields whose zero is nobody, or all.
const IDENTITIES: [&str; 5] = ["account", "instrument", "entered_by", "client_order_id", "stp_group"];

/// Adds what an object says; a name stands for its number, and what names nothing is left out.
fn say(line: &mut String, prefix: &str, object: &Map<String, Value>) {
    for (name, value) in object {
        let is_named = |name: &str| object.contains_key(&format!("{name}_name"));
        match (value, name.strip_suffix("_name")) {
            (_, None) if is_named(name) => {}
            (Value::Number(number), _) if IDENTITIES.contains(&name.as_str()) && number.as_u64() == Some(0) => {}
            (value, Some(named)) if object.contains_key(named) => add_word(line, &format!("{prefix}{named}"), value),
            (Value::Object(inner), _) => say(line, &format!("{prefix}{name}."), inner),
            (value, _) => add_word(line, &format!("{prefix}{name}"), value),
        }
    }
}

/// Author and note, wherever in a record they are.
#[derive(Default)]
struct Noted {
    author: u64,
    reason: String,
    idempotency_key: u64,
}

impl Noted {
    fn look_at(&mut self, record: &dyn Fields) {
        record.fields(&mut |name, value| match (name, value) {
            ("author", FieldValue::Unsigned(author)) => self.author = author,
            ("idempotency_key", FieldValue::Unsigned(key)) => self.idempotency_key = key,
            ("reason", FieldValue::Text(reason)) => reason.clone_into(&mut self.reason),
            ("note" | "command", FieldValue::Record(inner)) => self.look_at(inner),
            _ => {}
        });
    }
}

/// Whether a command's record has a field that means this.
fn names(record: &dyn Fields, key: Key) -> bool {
    let (fields, id): (&[&str], u64) = match key {
        Key::Order(order) => (&["order_id"], order.0),
        Key::Session(session) => (&["session", "entered_by"], session.0.into()),
        Key::Account(account) => (&["account"], account.0.into()),
        Key::Instrument(instrument) => (&["instrument"], instrument.0.into()),
    };
    let mut found = false;
    record.fields(&mut |name, value| {
        found |= matches!(value, FieldValue::Unsigned(value) if value == id) && fields.contains(&name);
    });
    found
}

/// Commands of a journal, by sequence.
pub(super) struct Commands {
    directory: PathBuf,
    /// A change is looked at more than once.
    last: Option<(Sequence, Command)>,
}

impl Commands {
    pub(super) fn of(directory: &Path) -> RefCell<Self> {
        RefCell::new(Self { directory: directory.to_owned(), last: None })
    }

    fn find(&mut self, sequence: Sequence) -> Result<Option<Command>, ToolError> {
        if let Some((found, command)) = self.last
            && found == sequence
        {
            return Ok(Some(command));
        }
        let next = Reader::open_at(&self.directory, Seek::Sequence(sequence))?.commands().next().transpose()?;
        self.last = next.map(|command| (command.stamp.sequence, command.value));
        Ok(self.last.filter(|(found, _)| *found == sequence).map(|(_, command)| command))
    }
}
