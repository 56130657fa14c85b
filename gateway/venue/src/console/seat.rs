//! A seat: the console's session at order entry for one key, and what it knows of the account.
//!
//! Open orders and balances are what the venue answers when it is asked, whichever session entered the orders; while a
//! page looks, they are asked for again as soon as a report says that something has happened, and a list that is longer
//! than what is shown of it every twenty seconds. So there is nothing here that could differ from
//! the venue. A wish is answered by the first report that names its number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::{Access, AsyncTrader, ConnectError, Decimal, Instrument, Policy, Start, TraderNews};
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use wire::order_entry::{
    AccountBalance, AccountBalanceRequest, BusinessMessageReject, ExecutionReport, NewOrderSingle, OrderCancelReject,
    OrderCancelRequest, OrderEntryMessage, OrderMassActionReport, OrderMassActionRequest, OrderMassStatusRequest,
};
use wire::{
    AccountId, Block, ClientOrderId, ExecInst, ExecType, Indicator, MassActionResponse, MassActionType, OrderId,
    RequestId, SecurityId, SessionSequence, Side, TimeInForce,
};

use super::{locked, show};
use crate::order::{Definitions, is_named};
use crate::reasons;

/// The questions, by their names.
const ORDERS: RequestId = RequestId(1);
const BALANCES: RequestId = RequestId(2);
/// Open orders that are shown; how many more there are is told.
const ORDERS_SHOWN: usize = 500;
/// Wishes that wait to be sent, and those that wait for an answer.
const WISHES_MAX: usize = 64;
/// News that a page may be behind; one that is further is cut off.
const NEWS_MAX: usize = 256;
/// How often something is asked for at most.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is asked for at least, while somebody looks: other sessions trade for the account, too.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// The same, where there is a long list to tell.
const LONG_EVERY: Duration = Duration::from_secs(20);

/// What a trader wishes.
#[derive(Debug)]
pub(super) enum Wish {
    New(NewOrder),
    Cancel(OrderId),
    /// In this instrument, or in all.
    CancelAll(Option<String>),
}

/// An order as the page writes it.
#[derive(Debug)]
pub(super) struct NewOrder {
    pub(super) name: ClientOrderId,
    pub(super) instrument: String,
    pub(super) side: Side,
    pub(super) quantity: Decimal,
    /// None: at market.
    pub(super) price: Option<Decimal>,
    pub(super) time_in_force: TimeInForce,
    pub(super) instructions: ExecInst,
}

/// What came of a wish.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The venue did it.
    Done(Value),
    /// The venue refused: the reason's name, and in words.
    Refused(String, String),
    /// It cannot be said to the venue.
    Invalid(String),
    /// There is no connection, or no room: nothing was sent.
    NotSent(String),
    /// Nobody can tell.
    Unknown(String),
}

struct Asked {
    wish: Wish,
    answer: oneshot::Sender<Verdict>,
}

/// A wish that was sent.
struct Pending {
    /// It ends orders of which nobody knows how many: each is reported, and then the whole.
    is_mass: bool,
    answer: oneshot::Sender<Verdict>,
}

/// What everybody who looks at the account sees first.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) connection: Option<Arc<str>>,
    pub(super) orders: Option<Arc<str>>,
    pub(super) balances: Option<Arc<str>>,
}

/// A seat, from the side of the pages.
pub(super) struct Seat {
    account: AccountId,
    asked: mpsc::Sender<Asked>,
    news: broadcast::Sender<Arc<str>>,
    picture: Arc<Mutex<Picture>>,
    is_over: Arc<AtomicBool>,
    leaves: Arc<Notify>,
}

impl Seat {
    /// Takes a seat. Its session is open until the seat is left or dropped.
    pub(super) fn take(access: Access, account: AccountId) -> Self {
        let (asked, wishes) = mpsc::channel(WISHES_MAX);
        let (news, _) = broadcast::channel(NEWS_MAX);
        let (picture, is_over) = (Arc::default(), Arc::<AtomicBool>::default());
        let sitter = Sitter {
            account,
            news: news.clone(),
            picture: Arc::clone(&picture),
            definitions: Definitions::default(),
            pending: BTreeMap::new(),
            orders: Question::default(),
            balances: Question::default(),
        };
        let trader = AsyncTrader::new(access, Start::Anew, Policy::DEFAULT);
        let (over, leaves) = (Arc::clone(&is_over), Arc::<Notify>::default());
        let left = Arc::clone(&leaves);
        tokio::spawn(async move {
            sitter.sit(trader, wishes, &left).await;
            over.store(true, Ordering::Release);
        });
        Self { account, asked, news, picture, is_over, leaves }
    }

    /// Whether it is this account's, and its session has not ended for good.
    pub(super) fn is_of(&self, account: AccountId) -> bool {
        self.account == account && !self.is_over.load(Ordering::Acquire)
    }

    /// Gives it up, whoever still looks.
    pub(super) fn leave(&self) {
        self.leaves.notify_one();
    }

    /// What there is, and what happens from then on.
    pub(super) fn watch(&self) -> (Vec<Arc<str>>, broadcast::Receiver<Arc<str>>) {
        let picture = locked(&self.picture);
        let news = self.news.subscribe();
        let Picture { connection, orders, balances } = &*picture;
        ([connection, orders, balances].into_iter().flatten().cloned().collect(), news)
    }

    /// Hands a wish to the venue; what comes of it.
    pub(super) async fn ask(&self, wish: Wish, patience: Duration) -> Verdict {
        let (answer, answered) = oneshot::channel();
        if self.asked.try_send(Asked { wish, answer }).is_err() {
            return Verdict::NotSent("the console has no session at order entry at the moment".to_owned());
        }
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) | Err(_) => {
                Verdict::Unknown("the venue has not answered in time: look at the open orders".to_owned())
            }
        }
    }
}

/// A question that is asked again and again.
#[derive(Debug)]
struct Question {
    is_due: bool,
    is_asked: bool,
    asked_at: Option<Instant>,
    found: Vec<Value>,
    count: usize,
}

impl Default for Question {
    fn default() -> Self {
        Self { is_due: true, is_asked: false, asked_at: None, found: Vec::new(), count: 0 }
    }
}

impl Question {
    /// Whether it is to be asked now.
    fn is_ready(&self, is_watched: bool) -> bool {
        let is_long = self.count > ORDERS_SHOWN;
        let every = if is_long { LONG_EVERY } else { AT_LEAST_EVERY };
        let is_old = self.asked_at.is_none_or(|at| at.elapsed() >= every);
        is_watched && !self.is_asked && (is_old || (self.is_due && !is_long))
    }

    fn asked(&mut self) {
        (self.is_due, self.is_asked, self.asked_at) = (false, true, Some(Instant::now()));
        self.found.clear();
        self.count = 0;
    }

    /// One more is there, which is written out if it is shown.
    fn take(&mut self, show: impl FnOnce() -> Value) {
        self.count += 1;
        if self.found.len() < ORDERS_SHOWN {
            self.found.push(show());
        }
    }

    /// It was not answered, or by a session that is over.
    fn again(&mut self) {
        (self.is_due, self.is_asked, self.count) = (true, false, 0);
    }
}

/// A seat, from the side of the venue.
struct Sitter {
    account: AccountId,
    news: broadcast::Sender<Arc<str>>,
    picture: Arc<Mutex<Picture>>,
    definitions: Definitions,
    pending: BTreeMap<SessionSequence, Pending>,
    orders: Question,
    balances: Question,
}

impl Sitter {
    async fn sit(mut self, mut trader: AsyncTrader, mut wishes: mpsc::Receiver<Asked>, left: &Notify) {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.connection("connecting", "");
        loop {
            tokio::select! {
                news = trader.receive() => match news {
                    Ok(news) => self.hear(news),
                    Err(error) => return self.end(&error),
                },
                asked = wishes.recv() => match asked {
                    Some(asked) => self.wish(asked, &mut trader).await,
                    None => break,
                },
                () = left.notified() => break,
                _ = ticks.tick() => self.question(&mut trader).await,
            }
        }
        trader.close().await;
    }

    fn end(&mut self, error: &ConnectError) {
        self.connection("over", &error.to_string());
    }

    fn is_watched(&self) -> bool {
        self.news.receiver_count() > 0
    }

    async fn question(&mut self, trader: &mut AsyncTrader) {
        if !trader.is_open() {
            return;
        }
        let (account, is_watched) = (self.account, self.is_watched());
        if self.orders.is_ready(is_watched) {
            self.orders.asked();
            let request = OrderMassStatusRequest { account, request_id: Some(ORDERS), security_id: None };
            // Without a connection it is asked again behind the next opening.
            let _ = trader.ask(&request).await;
        }
        if self.balances.is_ready(is_watched) {
            self.balances.asked();
            let _ = trader.ask(&AccountBalanceRequest { account, request_id: Some(BALANCES) }).await;
        }
    }

    async fn wish(&mut self, Asked { wish, answer }: Asked, trader: &mut AsyncTrader) {
        if self.pending.len() >= WISHES_MAX {
            self.pending.retain(|_, waiting| !waiting.answer.is_closed());
        }
        let is_mass = matches!(wish, Wish::CancelAll(_));
        let sent = match self.message(wish) {
            Ok(Message::New(message)) => trader.send(&message).await,
            Ok(Message::Cancel(message)) => trader.send(&message).await,
            Ok(Message::MassCancel(message)) => trader.send(&message).await,
            Err(text) => return drop(answer.send(Verdict::Invalid(text))),
        };
        match sent {
            Ok(number) => drop(self.pending.insert(number, Pending { is_mass, answer })),
            Err(error) => drop(answer.send(Verdict::NotSent(error.to_string()))),
        }
    }

    fn message(&self, wish: Wish) -> Result<Message, String> {
        let account = self.account;
        Ok(match wish {
            Wish::New(order) => Message::New(self.order(&order)?),
            Wish::Cancel(order_id) => {
                Message::Cancel(OrderCancelRequest { account, order_id: Some(order_id), ..OrderCancelRequest::BLANK })
            }
            Wish::CancelAll(instrument) => Message::MassCancel(OrderMassActionRequest {
                account: Some(account),
                security_id: instrument.map(|name| self.instrument(&name)).transpose()?.map(|(id, _)| id),
                action: MassActionType::CancelOrders,
                ..OrderMassActionRequest::BLANK
            }),
        })
    }

    fn order(&self, order: &NewOrder) -> Result<NewOrderSingle, String> {
        let &NewOrder { name, side, quantity, price, time_in_force, instructions, .. } = order;
        let (_, instrument) = self.instrument(&order.instrument)?;
        let made = match price {
            Some(price) => instrument.limit(self.account, name, side, quantity, price),
            None => instrument.market(self.account, name, side, quantity),
        };
        let made = made.map_err(|error| error.to_string())?;
        Ok(NewOrderSingle { time_in_force, instructions, ..made })
    }

    fn instrument(&self, name: &str) -> Result<(SecurityId, Instrument), String> {
        let named = self.definitions.instruments().iter().find(|it| is_named(it.symbol, it.security_id, name));
        let definition = named.ok_or_else(|| format!("instrument: the venue has no {name}"))?;
        Ok((definition.security_id, Instrument::new(*definition)))
    }

    fn hear(&mut self, news: TraderNews) {
        match news {
            TraderNews::Opened(_) => {
                self.connection("open", "");
                self.orders.again();
                self.balances.again();
            }
            TraderNews::Message(message) => self.message_of_venue(&message),
            TraderNews::NotApplied(number, _) => {
                let text = "the connection was lost for too long: the command was not sent again".to_owned();
                self.answer(number, Verdict::NotSent(text));
            }
            TraderNews::Unknown(number, _) => {
                let text = "the session was lost: look at the open orders".to_owned();
                self.answer(number, Verdict::Unknown(text));
            }
            TraderNews::Disconnected(error) => {
                self.connection("lost", &error.to_string());
                self.orders.again();
                self.balances.again();
            }
            TraderNews::CaughtUp | TraderNews::Lost(_) => {}
        }
    }

    fn message_of_venue(&mut self, message: &OrderEntryMessage) {
        match message {
            OrderEntryMessage::ExecutionReport(report) if report.request_id == Some(ORDERS) => self.an_order(report),
            OrderEntryMessage::ExecutionReport(report) => self.executed(report),
            OrderEntryMessage::AccountBalance(balance) if balance.request_id == Some(BALANCES) => {
                self.a_balance(balance);
            }
            OrderEntryMessage::OrderCancelReject(reject) => self.cancel_refused(reject),
            OrderEntryMessage::OrderMassActionReport(report) => self.cancelled_all(report),
            OrderEntryMessage::BusinessMessageReject(reject) => self.refused(reject),
            OrderEntryMessage::AccountBalance(_) | OrderEntryMessage::KillSwitchReport(_) => self.something_changed(),
            other => self.definitions.take(other),
        }
    }

    fn something_changed(&mut self) {
        self.orders.is_due = true;
        self.balances.is_due = true;
    }

    // Answers to questions.

    fn an_order(&mut self, report: &ExecutionReport) {
        if report.reject_reason.is_none() && report.order_id.is_some() {
            self.orders.take(|| show::order(&self.definitions, report));
        }
        if report.last_report_requested != Some(Indicator::Yes) {
            return;
        }
        self.orders.is_asked = false;
        let (orders, count) = (std::mem::take(&mut self.orders.found), self.orders.count);
        let said = json!({ "type": "orders", "orders": orders, "count": count });
        self.tell_if_new(&said, |picture| &mut picture.orders);
    }

    fn a_balance(&mut self, balance: &AccountBalance) {
        if let Some(shown) = show::balance(&self.definitions, balance) {
            self.balances.take(|| shown);
        }
        if balance.last_report_requested != Some(Indicator::Yes) {
            return;
        }
        self.balances.is_asked = false;
        let said = json!({ "type": "balances", "balances": std::mem::take(&mut self.balances.found) });
        self.tell_if_new(&said, |picture| &mut picture.balances);
    }

    // Reports.

    fn executed(&mut self, report: &ExecutionReport) {
        self.something_changed();
        let waits = |number: &SessionSequence| self.pending.get(number).is_some_and(|waiting| !waiting.is_mass);
        let awaited = report.answered_sequence.filter(waits);
        if awaited.is_none() && !self.is_watched() {
            return;
        }
        let shown = show::report(&self.definitions, report);
        if let Some(number) = awaited {
            self.answer(number, verdict(report, &shown));
        }
        match report.exec_type {
            ExecType::Trade => self.tell(&json!({ "type": "fill", "fill": show::fill(&self.definitions, report) })),
            _ => self.tell(&json!({ "type": "report", "report": shown })),
        }
    }

    fn cancel_refused(&mut self, reject: &OrderCancelReject) {
        self.something_changed();
        let (reason, text) = (reject.reject_reason.to_string(), reasons::why_refused(reject.reject_reason));
        if let Some(number) = reject.answered_sequence {
            self.answer(number, Verdict::Refused(reason, text));
        }
    }

    fn cancelled_all(&mut self, report: &OrderMassActionReport) {
        self.something_changed();
        let Some(number) = report.answered_sequence else { return };
        let verdict = match report.reject_reason {
            Some(reason) if report.response != MassActionResponse::Completed => {
                Verdict::Refused(reason.to_string(), reasons::why_refused(reason))
            }
            _ => Verdict::Done(json!({ "cancelled": report.affected_orders.0 })),
        };
        self.answer(number, verdict);
    }

    fn refused(&mut self, reject: &BusinessMessageReject) {
        match (reject.reference_id, reject.answered_sequence) {
            (Some(ORDERS), None) => self.orders.again(),
            (Some(BALANCES), None) => self.balances.again(),
            (_, Some(number)) => {
                let mut text = reasons::why_refused(reject.reject_reason);
                if let Some(more) = reject.text.as_str().filter(|more| !more.is_empty()) {
                    text = format!("{text} ({more})");
                }
                self.answer(number, Verdict::Refused(reject.reject_reason.to_string(), text));
            }
            (_, None) => {}
        }
    }

    fn answer(&mut self, number: SessionSequence, verdict: Verdict) {
        if let Some(waiting) = self.pending.remove(&number) {
            // Who asked may have gone.
            let _ = waiting.answer.send(verdict);
        }
    }

    // To the pages.

    fn connection(&mut self, state: &str, text: &str) {
        let said = json!({ "type": "connection", "state": state, "text": text });
        self.tell_if_new(&said, |picture| &mut picture.connection);
    }

    /// Keeps it for who comes later, and tells those who are here if they do not know it.
    fn tell_if_new(&self, said: &Value, place: impl FnOnce(&mut Picture) -> &mut Option<Arc<str>>) {
        let text: Arc<str> = said.to_string().into();
        let mut picture = locked(&self.picture);
        let place = place(&mut picture);
        if place.as_ref() != Some(&text) {
            *place = Some(Arc::clone(&text));
            // Under the lock: who begins to watch misses nothing. Nobody may be there.
            let _ = self.news.send(text);
        }
    }

    fn tell(&self, said: &Value) {
        // Nobody may be there.
        let _ = self.news.send(said.to_string().into());
    }
}

/// A message for the venue.
enum Message {
    New(NewOrderSingle),
    Cancel(OrderCancelRequest),
    MassCancel(OrderMassActionRequest),
}

fn verdict(report: &ExecutionReport, shown: &Value) -> Verdict {
    match report.reject_reason {
        Some(reason) if report.exec_type == ExecType::Rejected => {
            Verdict::Refused(reason.to_string(), reasons::why_refused(reason))
        }
        _ => Verdict::Done(shown.clone()),
    }
}
