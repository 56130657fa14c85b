//! `rialto admin`: asks a running venue, as the holder of an administrator's key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use ed25519_dalek::SigningKey;
use engine::{IdempotencyKey, KeyId, Timestamp};
use rustls::pki_types::pem;
use serde_json::{Map, Value, json};

use super::access_log::{self, AccessLogError, Checked};
use super::requests::{
    AddAsset, AddKey, AdjustBalance, AllowAddress, BustTrade, Change, DelistInstrument, Deposit, Envelope, GrantRole,
    Halt, Kill, ListInstrument, MassCancel, ModifyAccount, OpenAccount, RemoveCalendarEntry, Resume, RevokeKey,
    RevokeRole, SetAccountLimits, SetCalendarEntry, SetFees, SetInstrumentLimits, SetPhase, SetPriceProtection,
    SetRandomSeed, Unblock, Withdraw,
};
use super::signature::{KEY_HEADER, REQUEST_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER};
use crate::console::TICKET_PATH;
use crate::data_folder::{DataFolderError, KeyFile, random};
use crate::exit::Exit;
use crate::https;
use crate::reach::reachable;
use crate::serve::Addresses;

/// Which venue, who asks, and what.
#[derive(Debug, Args)]
pub struct AdminArguments {
    /// Which venue, and who asks.
    #[command(flatten)]
    pub caller: Caller,
    /// What is asked.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// Which venue, and who asks.
#[derive(Debug, Args)]
pub struct Caller {
    /// The data folder of a venue on this machine: says where it listens, and has the administrator's key.
    #[arg(long, global = true, value_name = "DIR", default_value = "rialto-data")]
    pub data: PathBuf,
    /// The venue's HTTP address, instead of what the data folder says.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// The venue's certificate, PEM, which is then the only one that is trusted: the address speaks TLS. Left out: that of
    /// the data folder if its venue's HTTP does, and with --connect no TLS. Elsewhere it is --certificate; here that is a key's.
    #[arg(long, global = true, value_name = "FILE")]
    pub venue_certificate: Option<PathBuf>,
    /// The administrator's key file; left out: keys/administrator.json in the data folder.
    #[arg(long = "key", global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Why, for the journal: at most 24 characters of printable ASCII. Every change needs one.
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The change's own number; a change that is asked for again under the same number is made once. Left out: random.
    #[arg(long, global = true, value_name = "NUMBER")]
    pub idempotency_key: Option<u64>,
    /// Only say what a change would be and do: nothing is submitted.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Answer with one JSON object, or one array, on the last line.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What an administrator asks.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Say what there is.
    Show(Show),
    /// Assets.
    #[command(subcommand)]
    Asset(AssetCommand),
    /// Instruments.
    #[command(subcommand)]
    Instrument(InstrumentCommand),
    /// Accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Orders.
    #[command(subcommand)]
    Order(OrderCommand),
    /// Trades.
    #[command(subcommand)]
    Trade(TradeCommand),
    /// Keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The venue as a whole.
    #[command(subcommand)]
    Venue(VenueCommand),
    /// Changes that wait for a second key.
    #[command(subcommand)]
    Proposal(ProposalCommand),
    /// What was asked at the operator's door.
    #[command(subcommand)]
    AccessLog(AccessLogCommand),
}

/// What can be done with changes that wait for a second key.
#[derive(Debug, Subcommand)]
pub enum ProposalCommand {
    /// Approve of what another key has proposed, which makes the change.
    Approve {
        /// Its number.
        proposal: u64,
    },
    /// Reject what another key has proposed.
    Reject {
        /// Its number.
        proposal: u64,
    },
}

/// What can be done with the record of what was asked.
#[derive(Debug, Subcommand)]
pub enum AccessLogCommand {
    /// Check that every line holds the one in front of it, in the data folder of a venue on this machine, whether it runs or
    /// not.
    Verify,
}

/// Say what there is.
#[derive(Debug, Args)]
pub struct Show {
    /// Of what.
    pub list: List,
    /// Whose balances.
    #[arg(long)]
    pub account: Option<u32>,
}

/// What there are lists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum List {
    /// Assets.
    Assets,
    /// Instruments, with phase, limits and fees.
    Instruments,
    /// Accounts, with kill switch and limits.
    Accounts,
    /// What an account has, held or not; needs --account.
    Balances,
    /// Keys, their roles, and the networks that they may log in from.
    Keys,
    /// Sessions.
    Sessions,
    /// Changes that wait for a second key.
    Proposals,
}

/// What can be done with assets.
#[derive(Debug, Subcommand)]
pub enum AssetCommand {
    /// Add an asset.
    Add(AddAsset),
}

/// What can be done with instruments.
#[derive(Debug, Subcommand)]
pub enum InstrumentCommand {
    /// List an instrument: it can be traded from then on.
    List(ListInstrument),
    /// Bound an instrument's orders. A bound that is left out is the engine's own.
    Limits(SetInstrumentLimits),
    /// Set the fee rates of orders that are accepted from now on.
    Fees(SetFees),
    /// Protect an instrument's prices. What is left out goes back to its default.
    Protect(SetPriceProtection),
    /// An instrument's calendar: what happens at which time.
    #[command(subcommand)]
    Calendar(CalendarCommand),
    /// Change an instrument's phase.
    Phase(SetPhase),
    /// Halt an instrument: orders may only leave or shrink.
    Halt(Halt),
    /// Resume continuous trading in an instrument.
    Resume(Resume),
    /// Delist an instrument, for ever: its orders are cancelled.
    Delist(DelistInstrument),
}

/// What can be done with an instrument's calendar.
#[derive(Debug, Subcommand)]
pub enum CalendarCommand {
    /// Add or change an entry.
    Set(SetCalendarEntry),
    /// Remove an entry.
    Remove(RemoveCalendarEntry),
}

/// What can be done with trades.
#[derive(Debug, Subcommand)]
pub enum TradeCommand {
    /// Reverse a trade: amounts and fees go back, the orders stay as they are.
    Bust(BustTrade),
}

/// What can be done with the venue as a whole.
#[derive(Debug, Subcommand)]
pub enum VenueCommand {
    /// Seed what is drawn at random from now on, such as when a call ends.
    Seed(SetRandomSeed),
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Open an account.
    Open(OpenAccount),
    /// Change an account's self-trade prevention, group and fee tier. What is left out goes back to its default.
    Modify(ModifyAccount),
    /// Bound an account's orders, in every instrument. A bound that is left out is lifted.
    Limits(SetAccountLimits),
    /// Bring an amount into the venue.
    Deposit(Deposit),
    /// Take an amount out of the venue.
    Withdraw(Withdraw),
    /// Correct a balance.
    Adjust(AdjustBalance),
    /// Block an account and cancel everything it has.
    Kill(Kill),
    /// Lift an account's kill switch.
    Unblock(Unblock),
}

/// What can be done with orders.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Cancel every order to which all that is given applies.
    MassCancel(MassCancel),
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key pair in a new file. The venue is not asked.
    New(NewKey),
    /// Make a key known. It may do nothing before it is granted a role.
    Add(AddKey),
    /// Forget a key, at once and for ever: its sessions end.
    Revoke(RevokeKey),
    /// Let a key log in from a network. A key with networks logs in from them alone, one without from anywhere.
    Allow(AllowAddress),
    /// Let a key act.
    Grant(GrantRole),
    /// Stop a key from acting.
    RevokeRole(RevokeRole),
}

/// Make a key pair.
#[derive(Debug, Args)]
pub struct NewKey {
    /// The number that it will have at the venue.
    pub number: u32,
    /// The new file; readable by its owner only.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The session that it will open; left out: the key's number.
    #[arg(long)]
    pub session: Option<u32>,
    /// The account that it will trade for; left out: none.
    #[arg(long, default_value_t = 0)]
    pub account: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Usage(String),
    #[error("no venue runs on {}: {source}", file.display())]
    NotRunning { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error("{file}: {source}", file = file.display())]
    Certificate { file: PathBuf, source: pem::Error },
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    #[error("{origin}: {source}; where HTTP is over TLS, the venue's certificate has to be named")]
    Http { origin: String, source: ureq::Error },
    #[error("{origin} answered what is no JSON: {text:?}; is it a venue's HTTP address, with the admin door open?")]
    NotJson { origin: String, text: String },
    #[error("{0}")]
    Refused(String),
}

impl AskError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Folder(_) | Self::Certificate { .. } | Self::NotJson { .. } => Exit::Usage,
            Self::Refused(_) => Exit::Differs,
            Self::AccessLog(AccessLogError::Broken { .. }) => Exit::Damaged,
            Self::NotRunning { .. } | Self::AccessLog(AccessLogError::Io { .. }) | Self::Http { .. } => {
                Exit::InputOutput
            }
        }
    }
}

/// Asks, and prints the answer on standard output, or why there is none on standard error.
pub fn run(arguments: &AdminArguments) -> Exit {
    match answer(arguments) {
        Ok(answer) => answer.print(&arguments.caller),
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

fn answer(AdminArguments { caller, command }: &AdminArguments) -> Result<Answer, AskError> {
    use {AccountCommand as Account, InstrumentCommand as Instrument, KeyCommand as Key};
    match command {
        AdminCommand::Show(show) => caller.read(show),
        AdminCommand::Asset(AssetCommand::Add(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::List(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Limits(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Fees(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Protect(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Calendar(CalendarCommand::Set(change))) => caller.change(change),
        AdminCommand::Instrument(Instrument::Calendar(CalendarCommand::Remove(change))) => caller.change(change),
        AdminCommand::Instrument(Instrument::Phase(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Halt(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Resume(change)) => caller.change(change),
        AdminCommand::Instrument(Instrument::Delist(change)) => caller.change(change),
        AdminCommand::Account(Account::Open(change)) => caller.change(change),
        AdminCommand::Account(Account::Modify(change)) => caller.change(change),
        AdminCommand::Account(Account::Limits(change)) => caller.change(change),
        AdminCommand::Account(Account::Deposit(change)) => caller.change(change),
        AdminCommand::Account(Account::Withdraw(change)) => caller.change(change),
        AdminCommand::Account(Account::Adjust(change)) => caller.change(change),
        AdminCommand::Account(Account::Kill(change)) => caller.change(change),
        AdminCommand::Account(Account::Unblock(change)) => caller.change(change),
        AdminCommand::Order(OrderCommand::MassCancel(change)) => caller.change(change),
        AdminCommand::Trade(TradeCommand::Bust(change)) => caller.change(change),
        AdminCommand::Venue(VenueCommand::Seed(change)) => caller.change(change),
        AdminCommand::Proposal(ProposalCommand::Approve { proposal }) => caller.decide("approve", *proposal),
        AdminCommand::Proposal(ProposalCommand::Reject { proposal }) => caller.decide("reject", *proposal),
        AdminCommand::AccessLog(AccessLogCommand::Verify) => verify(&caller.data),
        AdminCommand::Key(Key::New(new)) => new_key(new),
        AdminCommand::Key(Key::Add(change)) => caller.change(change),
        AdminCommand::Key(Key::Revoke(change)) => caller.change(change),
        AdminCommand::Key(Key::Allow(change)) => caller.change(change),
        AdminCommand::Key(Key::Grant(change)) => caller.change(change),
        AdminCommand::Key(Key::RevokeRole(change)) => caller.change(change),
    }
}

fn new_key(NewKey { number, out, session, account }: &NewKey) -> Result<Answer, AskError> {
    if out.exists() {
        return Err(AskError::Usage(format!("{}: there is a file already", out.display())));
    }
    let key = KeyFile::make(out, KeyId(*number), session.unwrap_or(*number), *account)?;
    let public_key: String = key.verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({ "key": number, "file": out.display().to_string(), "public_key": public_key });
    Ok(Answer { status: OK, body })
}

fn verify(data: &Path) -> Result<Answer, AskError> {
    let file = data.join(access_log::FILE);
    let Checked { count, last, torn } = access_log::read(&file, |_| {})?;
    let body = json!({
        "file": file.display().to_string(),
        "lines": count,
        "last": last.to_hex().as_str(),
        "torn_bytes": torn,
    });
    Ok(Answer { status: OK, body })
}

const OK: u16 = 200;
/// It waits for a second key.
const ACCEPTED: u16 = 202;

/// What the venue, or this machine, said.
struct Answer {
    /// As in HTTP.
    status: u16,
    body: Value,
}

/// Why rows are not there.
#[derive(Debug, Clone)]
pub(crate) struct NoRows {
    /// In words.
    pub(crate) text: String,
    /// The request proved nothing: whoever goes on so is locked out, and everybody else at the address.
    pub(crate) is_turned_away: bool,
}

impl Caller {
    /// One that only reads.
    pub(crate) fn reading(
        data: PathBuf,
        connect: Option<String>,
        venue_certificate: Option<PathBuf>,
        key_file: Option<PathBuf>,
    ) -> Self {
        let (reason, idempotency_key, dry_run, json) = (None, None, false, false);
        Self { data, connect, venue_certificate, key_file, reason, idempotency_key, dry_run, json }
    }

    /// The first rows of a list, or why there are none.
    pub(crate) fn rows(&self, list: &str) -> Result<Vec<Map<String, Value>>, NoRows> {
        let no_rows = |error: AskError| NoRows { text: error.to_string(), is_turned_away: false };
        match self.get(&format!("/admin/v1/{list}")).map_err(no_rows)? {
            Answer { status: OK, body: Value::Array(rows) } => {
                Ok(rows.iter().filter_map(Value::as_object).cloned().collect())
            }
            Answer { status, body } => {
                Err(NoRows { text: refusal(&body), is_turned_away: matches!(status, 401 | 429) })
            }
        }
    }

    /// The file of the key that asks.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data.join("keys/administrator.json"))
    }

    /// Asks for a ticket to the console; the link that lets in with it.
    pub(crate) fn console_link(&self) -> Result<String, AskError> {
        let answer = self.ask("POST", TICKET_PATH, self.number()?, Some("{}".to_owned()))?;
        match answer.body.get("ticket").and_then(Value::as_str) {
            // Behind the #: no server and no proxy ever sees it, and it is in no log.
            Some(ticket) => Ok(format!("{}/console/#ticket={ticket}", self.place()?.origin)),
            None => Err(AskError::Refused(refusal(&answer.body))),
        }
    }

    fn read(&self, Show { list, account }: &Show) -> Result<Answer, AskError> {
        let name = list.to_possible_value().expect("every list has a name").get_name().to_owned();
        match (list, account) {
            (List::Balances, Some(account)) => self.get(&format!("/admin/v1/{name}?account={account}")),
            (List::Balances, None) => Err(AskError::Usage("--account is missing: whose balances?".to_owned())),
            (_, Some(_)) => Err(AskError::Usage("--account is for balances only".to_owned())),
            (_, None) => self.read_all(&name),
        }
    }

    /// All rows of a list, which come a thousand at a time.
    fn read_all(&self, name: &str) -> Result<Answer, AskError> {
        let mut rows = Vec::new();
        let mut after = 0;
        loop {
            let answer = self.get(&format!("/admin/v1/{name}?after={after}"))?;
            let Answer { status: OK, body: Value::Array(more) } = answer else { return Ok(answer) };
            // A row begins with its number.
            let last = more.last().and_then(Value::as_object).and_then(|row| row.values().next()?.as_u64());
            rows.extend(more);
            match last {
                Some(last) => after = last,
                None => return Ok(Answer { status: OK, body: Value::Array(rows) }),
            }
        }
    }

    fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.ask("GET", path, IdempotencyKey::NONE, None)
    }

    fn change<T: Change + Clone>(&self, change: &T) -> Result<Answer, AskError> {
        let reason = self.reason.clone().ok_or_else(|| {
            AskError::Usage("--reason is missing: every change is journalled with why it is made".to_owned())
        })?;
        let envelope = Envelope { reason, change: change.clone() };
        let body = serde_json::to_string(&envelope).expect("a plain record");
        match self.dry_run {
            true => self.ask("POST", &format!("{}?dry-run=true", T::PATH), IdempotencyKey::NONE, Some(body)),
            false => self.ask("POST", T::PATH, self.number()?, Some(body)),
        }
    }

    fn decide(&self, verb: &str, proposal: u64) -> Result<Answer, AskError> {
        if self.dry_run {
            return Err(AskError::Usage("--dry-run is for changes: see `rialto admin show proposals`".to_owned()));
        }
        let body = json!({ "proposal": proposal }).to_string();
        self.ask("POST", &format!("/admin/v1/proposal/{verb}"), self.number()?, Some(body))
    }

    fn number(&self) -> Result<IdempotencyKey, AskError> {
        Ok(IdempotencyKey(match self.idempotency_key {
            Some(number) => number,
            // Zero names nothing; 53 bits are what every reader of JSON keeps.
            None => (u64::from_le_bytes(random()?) >> 11).max(1),
        }))
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        idempotency_key: IdempotencyKey,
        body: Option<String>,
    ) -> Result<Answer, AskError> {
        let place = self.place()?;
        let key_file = self.key_file();
        let file = KeyFile::read(&key_file)?;
        let key: SigningKey = file.signing_key(&key_file)?;
        let bytes = body.as_deref().unwrap_or_default().as_bytes();
        let (key_id, time) = (KeyId(file.key), now());
        let signed = SignedRequest { method, path, key: key_id, time, idempotency_key, body: bytes };
        let headers = [
            (KEY_HEADER, key_id.to_string()),
            (TIME_HEADER, time.0.to_string()),
            (REQUEST_HEADER, idempotency_key.to_string()),
            (SIGNATURE_HEADER, signed.sign(&key)),
        ];
        send(&place, path, headers, body)
    }

    /// Where the venue's HTTP port is, and how it is reached.
    pub(crate) fn place(&self) -> Result<Place, AskError> {
        Place::of(&self.data, self.connect.as_deref(), self.venue_certificate.as_deref())
    }
}

/// Where a venue's HTTP is, and how it is reached.
pub(crate) struct Place {
    /// What every address there begins with.
    pub(crate) origin: String,
    agent: ureq::Agent,
}

/// How long the venue may take; it answers sooner, if only to say that it does not know.
const PATIENCE: Duration = Duration::from_secs(15);

impl Place {
    /// Of a venue that is named by its address, or by its data folder, which says the address and has the certificate.
    pub(crate) fn of(data: &Path, connect: Option<&str>, certificate: Option<&Path>) -> Result<Self, AskError> {
        if let Some(authority) = connect {
            return Self::new(authority, certificate);
        }
        let file = data.join("venue.json");
        let text =
            fs::read_to_string(&file).map_err(|source| AskError::NotRunning { file: data.to_owned(), source })?;
        let announced: Addresses =
            serde_json::from_str(&text).map_err(|error| AskError::Usage(format!("{}: {error}", file.display())))?;
        let own = announced.http_tls.then(|| data.join("certificate.pem"));
        Self::new(&reachable(announced.http).to_string(), certificate.or(own.as_deref()))
    }

    /// Over TLS with one certificate that is trusted, or without.
    fn new(authority: &str, certificate: Option<&Path>) -> Result<Self, AskError> {
        let config = ureq::Agent::config_builder();
        let config = config.http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None);
        let (scheme, config) = match certificate {
            None => ("http", config),
            Some(file) => {
                let unusable = |source| AskError::Certificate { file: file.to_owned(), source };
                ("https", config.tls_config(https::trusting(file).map_err(unusable)?))
            }
        };
        Ok(Self { origin: format!("{scheme}://{authority}"), agent: config.build().into() })
    }

    /// What anybody may read there: the status, and the text.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, String), AskError> {
        let failed = |source| AskError::Http { origin: self.origin.clone(), source };
        let mut response = self.agent.get(format!("{}{path}", self.origin)).call().map_err(failed)?;
        let text = response.body_mut().read_to_string().map_err(failed)?;
        Ok((response.status().as_u16(), text))
    }
}

fn send(
    Place { origin, agent }: &Place,
    path: &str,
    headers: [(&str, String); 4],
    body: Option<String>,
) -> Result<Answer, AskError> {
    let url = format!("{origin}{path}");
    let failed = |source| AskError::Http { origin: origin.clone(), source };
    let mut response = match body {
        None => headers.iter().fold(agent.get(&url), |request, (name, value)| request.header(*name, value)).call(),
        Some(body) => {
            let request = headers.iter().fold(agent.post(&url), |request, (name, value)| request.header(*name, value));
            request.header("content-type", "application/json").send(body)
        }
    }
    .map_err(failed)?;
    let text = response.body_mut().read_to_string().map_err(failed)?;
    let body = serde_json::from_str(&text).map_err(|_| AskError::NotJson { origin: origin.clone(), text })?;
    Ok(Answer { status: response.status().as_u16(), body })
}

impl Answer {
    fn print(&self, caller: &Caller) -> Exit {
        match (caller.json, self.status, &self.body) {
            (true, ..) => println!("{}", self.body),
            (false, OK, Value::Array(rows)) => print_rows(rows),
            (false, OK | ACCEPTED, body) => print_fields(body),
            (false, _, body) => eprintln!("rialto: {}", refusal(body)),
        }
        self.exit()
    }

    fn exit(&self) -> Exit {
        match self.status {
            OK | ACCEPTED => Exit::Done,
            403 | 409 | 422 => Exit::Differs,
            400 | 401 | 404 | 405 | 413 | 415 => Exit::Usage,
            _ => Exit::InputOutput,
        }
    }
}

fn refusal(body: &Value) -> String {
    let field = |name| body.get(name).and_then(Value::as_str);
    match (field("error"), field("reason"), field("text")) {
        (_, Some(reason), _) => format!("the venue refused: {reason} ({})", body["code"]),
        (Some(error), None, Some(text)) => format!("{error}: {text}"),
        _ => body.to_string(),
    }
}

/// One field a line.
fn print_fields(value: &Value) {
    let mut table = Vec::new();
    name_fields("", value, &mut table);
    print_table(&table);
}

/// Every field with its value; what is inside a field is named with it.
fn name_fields(prefix: &str, value: &Value, table: &mut Vec<Vec<String>>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => name_fields(&format!("{prefix}{name}."), value, table),
            Value::Null => {}
            value => table.push(vec![format!("{prefix}{name}"), cell(value)]),
        }
    }
}

/// One row a line, in columns as wide as what is in them.
fn print_rows(rows: &[Value]) {
    let Some(names) = rows.first().and_then(Value::as_object).map(|row| row.keys().collect::<Vec<_>>()) else {
        println!("none");
        return;
    };
    let heading: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    let cells = rows.iter().map(|row| names.iter().map(|name| cell(&row[name.as_str()])).collect());
    print_table(&std::iter::once(heading).chain(cells).collect::<Vec<_>>());
}

fn print_table(table: &[Vec<String>]) {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        println!("{}", line.join("  ").trim_end());
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| format!("{name} {}", cell(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
