//! The market over WebSocket: who reads JSON has the engine's books, and nobody who does not read harms another.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use journal::Durability;
use marketdata::quic::{Clock, CloseReason, Config, Identity, Limits, Publisher, loopback};
use marketdata::{Door, Entitlement, Feed, OpenDoor, Refusal};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};
use venue::http::{Http, HttpConfig, Protection, Status, StreamConfig, stream_limits};
use venue::topology::{Topology, Venue};
use wire::FeedLevel;

const PRODUCTS: [(InstrumentId, &str); 2] = [(InstrumentId(1), "ONE-USD"), (InstrumentId(2), "TWO-USD")];
const CHANNELS: [&str; 8] = ["heartbeat", "status", "ticker", "level2", "level2_batch", "matches", "full", "auction"];
const ACCOUNT: AccountId = AccountId(2);
/// Steps that are not one, so that ticks are not taken for mantissas: prices are in quarters, sizes in hundredths.
const TICK: u64 = 25;
const LOT: u64 = 10;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// At this price nothing but the last order of a test rests.
const MARK: Price = Price(1);
/// More than a packet may wait.
const OVERDUE_NS: u64 = 11_000_000_000;

/// A venue with its feed and its HTTP port, and a clock of the test's.
struct Running {
    venue: Venue,
    publisher: Publisher,
    http: Http,
    clock: Arc<AtomicU64>,
    _folder: TempDir,
}

/// How a venue is to be.
struct Setting {
    limits: Limits,
    door: Arc<dyn Door>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { limits: stream_limits(), door: Arc::new(OpenDoor) }
    }
}

impl Running {
    fn start(setting: Setting) -> Self {
        Self::start_unseen(setting, PRODUCTS.len())
    }

    /// One of which an address sees so many products.
    fn start_unseen(Setting { limits, door }: Setting, product_count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology {
            capacity: Capacity { orders: 1 << 14, ..Capacity::SMALL },
            durability: Durability::Buffered,
            reader_count: 1,
            segment_bytes: 1 << 20,
            head_directory: Some(folder.path().to_owned()),
            ..Topology::default()
        };
        let mut views = None;
        let seen = |engine: &Engine| views = Some(Feed::of(engine));
        let mut venue = Venue::start(folder.path(), &topology, seen).unwrap();
        let events = venue.take_readers().pop().unwrap();
        let feed = views.unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let identity = Identity { certificates: vec![signed.cert.der().clone()], key };
        let clock = Arc::new(AtomicU64::new(1_000_000_000_000));
        let time = Arc::clone(&clock);
        let give_time: Clock = Arc::new(move || wire::Timestamp(time.load(Ordering::Acquire)));
        let config = Config {
            listen: loopback(),
            identity,
            client_verifier: None,
            clock: Arc::clone(&give_time),
            door,
            limits,
            threads: 1,
            seats: 1,
        };
        let mut publisher = Publisher::start(config, events, feed).unwrap();
        let seat = publisher.take_seats().pop().unwrap();
        let stream = StreamConfig { seat, crowd: Arc::clone(publisher.crowd()), clock: give_time, limits };
        let config = HttpConfig { listen: loopback(), protection: Protection::Plain, door: None, console: None };
        let http = Http::start(config, Status::new(venue.space().clone()), stream).unwrap();
        let running = Self { venue, publisher, http, clock, _folder: folder };
        for (instrument, name) in PRODUCTS {
            running.submit(listing(instrument, name));
        }
        running.submit(account());
        while running.products().as_array().unwrap().len() < product_count {
            std::thread::yield_now();
        }
        running
    }

    fn submit(&self, body: impl Into<CommandBody>) {
        let command = Command::from_venue(body);
        while self.venue.commands().submit(command).is_err() {
            std::thread::yield_now();
        }
    }

    /// The last order of each product: what comes before it has been told when it has.
    fn mark(&self, name: u64) {
        for (number, (instrument, _)) in (0..).zip(PRODUCTS) {
            self.submit(order(instrument, Side::Buy, MARK, 1, name + number));
        }
    }

    fn address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn products(&self) -> Value {
        serde_json::from_str(&self.get("/products").1).unwrap()
    }

    /// So much later.
    fn pass(&self, nanoseconds: u64) {
        self.clock.fetch_add(nanoseconds, Ordering::AcqRel);
    }

    fn closed(&self, reason: CloseReason) -> u64 {
        self.publisher.crowd().closed_by_reason().find(|&(it, _)| it == reason).unwrap().1
    }

    fn stop(self) -> Engine {
        let engine = self.venue.stop().unwrap().engine;
        self.publisher.stop();
        self.http.stop();
        engine
    }
}

fn listing(instrument: InstrumentId, name: &str) -> ListInstrument {
    ListInstrument {
        instrument,
        name: Text::new(name).unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: TICK,
        tick_decimals: 2,
        lot: LOT,
        lot_decimals: 3,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

fn account() -> OpenAccount {
    let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
    OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note: AdminNote::NONE }
}

fn order(instrument: InstrumentId, side: Side, price: Price, quantity: u64, name: u64) -> NewOrder {
    NewOrder {
        account: ACCOUNT,
        instrument,
        client_order_id: ClientOrderId(name),
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price,
        quantity: Quantity(quantity),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// Command number `name` of a random day: orders, icebergs, cancels, amends.
fn command(random: &mut fastrand::Rng, name: u64) -> CommandBody {
    let instrument = PRODUCTS[random.usize(..2)].0;
    let side = Side::BOTH[random.usize(..2)];
    let shift = if side == Side::Buy { 0 } else { 25 };
    let new = order(instrument, side, Price(60 + shift + random.u64(..55)), random.u64(1..10), name);
    let earlier = ClientOrderId(1 + random.u64(..name));
    let (account, order_id, client_order_id) = (ACCOUNT, OrderId::NONE, ClientOrderId::NONE);
    match random.u8(..20) {
        0 => NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..new }.into(),
        1 | 2 => NewOrder { display_quantity: Quantity(1 + random.u64(..new.quantity.0)), ..new }.into(),
        3..8 => CancelOrder { account, order_id, original_client_order_id: earlier, client_order_id }.into(),
        8..10 => ReplaceOrder {
            account,
            order_id,
            original_client_order_id: earlier,
            client_order_id,
            order_type: None,
            time_in_force: None,
            price: new.price,
            quantity: new.quantity,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
        .into(),
        _ => new.into(),
    }
}

/// A subscriber that reads JSON.
struct Reader {
    socket: WebSocket<TcpStream>,
    markets: BTreeMap<String, Market>,
    /// Text that came, in bytes.
    bytes: u64,
    gaps: Vec<Value>,
    /// Heartbeats come forever: when what is waited for does not.
    gives_up_at: Instant,
}

/// What a subscriber knows of a product. Numbers are texts without their point, as integers.
#[derive(Debug, Default)]
struct Market {
    next: BTreeMap<String, u64>,
    level2: Levels,
    batch: Levels,
    orders: BTreeMap<(bool, i64), Vec<(String, i64)>>,
    matches: Vec<Value>,
    full_matches: Vec<Value>,
    ticker: Value,
    status: Value,
    heartbeat: Value,
    /// Books whose hash was the venue's.
    proven: u64,
}

/// By side, buys first, and price: size and count of orders.
type Levels = BTreeMap<(bool, i64), (i64, u64)>;

fn number(text: &Value) -> i64 {
    let text = text.as_str().unwrap_or_else(|| panic!("{text} is no decimal in a text"));
    assert!(text.contains('.'), "{text} has not the decimals of its instrument");
    text.replace('.', "").parse().unwrap()
}

/// Sells come behind buys, each best first.
fn key(is_sell: bool, price: i64) -> (bool, i64) {
    (is_sell, if is_sell { price } else { -price })
}

fn is_sell(side: &Value) -> bool {
    match side.as_str() {
        Some("buy") => false,
        Some("sell") => true,
        _ => panic!("{side} is no side"),
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn letter(is_sell: bool) -> char {
    if is_sell { 'S' } else { 'B' }
}

impl Market {
    fn take(&mut self, message: &Value) {
        let channel = message["channel"].as_str().unwrap().to_owned();
        let sequence = message["sequence"].as_u64().unwrap();
        if let Some(next) = self.next.insert(channel.clone(), sequence + 1) {
            assert_eq!(sequence, next, "{message}");
        }
        assert!(message["time"].as_str().unwrap().ends_with('Z'), "{message}");
        match (message["type"].as_str().unwrap(), channel.as_str()) {
            ("snapshot", "full") => self.all_orders(message),
            ("snapshot", _) => {
                *self.levels(&channel) = all_levels(message);
                assert!(self.prove(&channel, message), "{message}");
            }
            ("l2update", _) => {
                let levels = self.levels(&channel);
                for change in message["changes"].as_array().unwrap() {
                    let at = key(is_sell(&change[0]), number(&change[1]));
                    match number(&change[2]) {
                        0 => drop(levels.remove(&at)),
                        size => drop(levels.insert(at, (size, change[3].as_u64().unwrap()))),
                    }
                }
            }
            ("checksum", _) => assert!(self.prove(&channel, message), "{message}"),
            ("open", _) => {
                let queue = self.orders.entry(key(is_sell(&message["side"]), number(&message["price"]))).or_default();
                queue.push((message["order_id"].as_str().unwrap().to_owned(), number(&message["remaining_size"])));
            }
            ("change", _) => {
                let queue = self.queue(message);
                let order = queue.iter_mut().find(|(id, _)| message["order_id"] == id.as_str()).unwrap();
                order.1 = number(&message["new_size"]);
            }
            ("done", _) => {
                let queue = self.queue(message);
                let place = queue.iter().position(|(id, _)| message["order_id"] == id.as_str()).unwrap();
                queue.remove(place);
                self.orders.retain(|_, queue| !queue.is_empty());
            }
            ("match", "matches") => self.matches.push(trade(message)),
            ("match", _) => self.full_matches.push(trade(message)),
            ("ticker", _) => self.ticker = message.clone(),
            ("status", _) => self.status = message.clone(),
            ("heartbeat", _) => self.heartbeat = message.clone(),
            ("last_match", "matches") => {}
            _ => panic!("{message}"),
        }
    }

    fn levels(&mut self, channel: &str) -> &mut Levels {
        if channel == "level2" { &mut self.level2 } else { &mut self.batch }
    }

    fn queue(&mut self, message: &Value) -> &mut Vec<(String, i64)> {
        self.orders.get_mut(&key(is_sell(&message["side"]), number(&message["price"]))).unwrap()
    }

    fn all_orders(&mut self, message: &Value) {
        self.orders.clear();
        for (is_sell, side) in [(false, "bids"), (true, "asks")] {
            for entry in message[side].as_array().unwrap() {
                let queue = self.orders.entry(key(is_sell, number(&entry[0]))).or_default();
                queue.push((entry[2].as_str().unwrap().to_owned(), number(&entry[1])));
            }
        }
        assert!(self.prove("full", message), "{message}");
    }

    /// Whether the book has the hash that the message says.
    fn prove(&mut self, channel: &str, message: &Value) -> bool {
        let text = match channel {
            "full" => self.text_of_orders(),
            "level2" => text_of_levels(&self.level2),
            _ => text_of_levels(&self.batch),
        };
        self.proven += 1;
        message["checksum"] == hash(&text).as_str()
    }

    fn text_of_orders(&self) -> String {
        let mut text = String::new();
        for is_sell in [false, true] {
            let prices = self.orders.iter().filter(|((side, _), _)| *side == is_sell).take(10);
            for ((_, price), queue) in prices {
                for (id, size) in queue {
                    text.push_str(&format!("{} {id} {} {size}\n", letter(is_sell), price.abs()));
                }
            }
        }
        text
    }

    fn is_marked(&self) -> bool {
        let mark = key(false, (MARK.0 * TICK) as i64);
        self.level2.contains_key(&mark) && self.batch.contains_key(&mark) && self.orders.contains_key(&mark)
    }

    /// Whether every channel is there up to the orders, the last that begins with something: what trades before is on none.
    fn has_begun(&self) -> bool {
        ["level2", "level2_batch", "full"].iter().all(|&channel| self.next.contains_key(channel))
    }

    /// Whether every channel has come to the same trades.
    fn agrees(&self) -> bool {
        let last = self.full_matches.last().map(|trade| &trade["trade_id"]);
        last.is_none_or(|last| self.matches.last().is_some_and(|trade| trade["trade_id"] == *last))
            && last.is_none_or(|last| self.ticker["trade_id"] == *last)
    }
}

fn text_of_levels(levels: &Levels) -> String {
    let mut text = String::new();
    for is_sell in [false, true] {
        for ((_, price), (size, count)) in levels.iter().filter(|((side, _), _)| *side == is_sell).take(10) {
            text.push_str(&format!("{} {} {size} {count}\n", letter(is_sell), price.abs()));
        }
    }
    text
}

fn all_levels(message: &Value) -> Levels {
    let side = |is_sell, name: &str| {
        let entries = message[name].as_array().unwrap().clone();
        entries
            .into_iter()
            .map(move |entry| (key(is_sell, number(&entry[0])), (number(&entry[1]), entry[2].as_u64().unwrap())))
    };
    side(false, "bids").chain(side(true, "asks")).collect()
}

fn trade(message: &Value) -> Value {
    let names = ["trade_id", "maker_order_id", "taker_order_id", "side", "size", "price", "time"];
    json!(names.map(|name| (name, message[name].clone())).into_iter().collect::<BTreeMap<_, _>>())
}

impl Reader {
    fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address)
    }

    /// One whose system takes little for it.
    fn with_little_room(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(8 << 10).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        Self::over(stream, address)
    }

    fn over(stream: TcpStream, address: SocketAddr) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = client(format!("ws://{address}/ws"), stream).unwrap();
        let gives_up_at = Instant::now() + PATIENCE;
        Self { socket, markets: BTreeMap::new(), bytes: 0, gaps: Vec::new(), gives_up_at }
    }

    fn send(&mut self, request: &Value) {
        self.socket.send(Message::text(request.to_string())).unwrap();
    }

    fn subscribe(&mut self, channels: &[&str]) {
        let products: Vec<&str> = PRODUCTS.iter().map(|(_, name)| *name).collect();
        self.send(&json!({ "type": "subscribe", "product_ids": products, "channels": channels }));
        let answer = self.next().unwrap();
        assert_eq!(answer["type"], "subscriptions", "{answer}");
    }

    /// The next message; the last words of the venue, if it ends here.
    fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            assert!(Instant::now() < self.gives_up_at, "what is waited for does not come");
            match self.socket.read().unwrap() {
                Message::Text(text) => {
                    self.bytes += text.len() as u64;
                    return Ok(serde_json::from_str(&text).unwrap());
                }
                Message::Close(frame) => return Err(frame),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn refusal(&mut self) -> (String, String) {
        let answer = self.next().unwrap();
        assert_eq!(answer["type"], "error", "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("message"), text("reason"))
    }

    /// Takes a message in.
    fn take(&mut self) {
        let message = self.next().unwrap();
        self.take_in(&message);
    }

    fn take_in(&mut self, message: &Value) {
        let market = self.markets.entry(message["product_id"].as_str().unwrap().to_owned()).or_default();
        if message["type"] == "gap" {
            let next = market.next.remove(message["channel"].as_str().unwrap());
            assert_eq!(message["from"].as_u64(), next, "{message}");
            self.gaps.push(message.clone());
        } else {
            market.take(message);
        }
    }

    fn take_until(&mut self, is_there: impl Fn(&Market) -> bool) {
        while self.markets.len() < PRODUCTS.len() || !self.markets.values().all(&is_there) {
            self.take();
        }
    }
}

/// The engine's book as a reader should have it.
fn engines_levels(engine: &Engine, instrument: InstrumentId) -> Levels {
    let of_side = |side| {
        engine.levels(instrument, side).map(move |level| {
            let price = (level.price.0 * TICK) as i64;
            (key(side == Side::Sell, price), (level.shown as i64 * LOT as i64, u64::from(level.order_count)))
        })
    };
    of_side(Side::Buy).chain(of_side(Side::Sell)).collect()
}

fn engines_orders(engine: &Engine, instrument: InstrumentId) -> BTreeMap<(bool, i64), Vec<(String, i64)>> {
    let mut orders: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for side in Side::BOTH {
        for order in engine.orders(instrument, side) {
            let queue = orders.entry(key(side == Side::Sell, (order.price.0 * TICK) as i64)).or_default();
            queue.push((order.order_id.0.to_string(), (order.shown.0 * LOT) as i64));
        }
    }
    orders
}

fn assert_is_engines(reader: &Reader, engine: &Engine) {
    for (instrument, name) in PRODUCTS {
        let market = &reader.markets[name];
        assert_eq!(market.level2, engines_levels(engine, instrument));
        assert_eq!(market.batch, engines_levels(engine, instrument));
        assert_eq!(market.orders, engines_orders(engine, instrument));
    }
}

#[test]
fn an_early_and_a_late_reader_of_every_channel_end_with_the_engines_books_and_all_trades() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let running = Running::start(roomy());
    let address = running.address();
    let mut early = Reader::connect(address);
    early.subscribe(&CHANNELS);
    early.take_until(Market::has_begun);
    let (early, late) = std::thread::scope(|scope| {
        let early = scope.spawn(move || {
            early.take_until(|market| market.is_marked() && market.agrees() && !market.heartbeat.is_null());
            early
        });
        (1..3_000).for_each(|name| running.submit(command(&mut random, name)));
        let late = scope.spawn(move || {
            let mut late = Reader::connect(address);
            late.subscribe(&CHANNELS);
            late.take_until(|market| market.is_marked() && market.agrees());
            late
        });
        (3_000..6_000).for_each(|name| running.submit(command(&mut random, name)));
        running.mark(6_000);
        (early.join().unwrap(), late.join().unwrap())
    });
    let engine = running.stop();
    for reader in [&early, &late] {
        assert_is_engines(reader, &engine);
        assert_eq!(reader.gaps, [] as [Value; 0]);
    }

    // Trades are numbered without gaps in the venue: the early one has them all.
    let trades = |matches: fn(&Market) -> &Vec<Value>| -> Vec<u64> {
        let all = early.markets.values().flat_map(matches).map(|trade| trade["trade_id"].as_u64().unwrap());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let all = trades(|market| &market.matches);
    assert!(all.len() > 100, "{} trades", all.len());
    assert_eq!(all, (all[0]..all[0] + all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all, trades(|market| &market.full_matches));

    for market in early.markets.values() {
        assert!(market.proven > 3, "{}", market.proven);
        let prices: Vec<i64> = market.matches.iter().map(|trade| number(&trade["price"])).collect();
        let day = &market.ticker["day"];
        assert_eq!(number(&day["open"]), prices[0]);
        assert_eq!(number(&day["high"]), *prices.iter().max().unwrap());
        assert_eq!(number(&day["low"]), *prices.iter().min().unwrap());
        assert_eq!(number(&day["volume"]), market.matches.iter().map(|trade| number(&trade["size"])).sum::<i64>());
        assert_eq!(day["trades"], market.matches.len());
        let last = market.matches.last().unwrap();
        assert_eq!((&market.ticker["price"], &market.ticker["last_size"]), (&last["price"], &last["size"]));
        assert_ne!(market.ticker["side"], last["side"]);
        assert_eq!((&market.status["status"], &market.ticker["status"]), (&json!("Continuous"), &json!("Continuous")));
        assert_eq!(
            (&market.status["quote_increment"], &market.status["base_increment"]),
            (&json!("0.25"), &json!("0.010"))
        );
        let best = |is_sell: bool| market.level2.iter().find(|((side, _), _)| *side == is_sell).unwrap();
        for (is_sell, price, size) in [(false, "best_bid", "best_bid_size"), (true, "best_ask", "best_ask_size")] {
            let ((_, at), (amount, _)) = best(is_sell);
            assert_eq!((number(&market.ticker[price]), number(&market.ticker[size])), (at.abs(), *amount));
        }
    }
}

#[test]
fn a_call_and_its_auction_are_told_and_so_is_the_phase() {
    let running = Running::start(Setting::default());
    let mut reader = Reader::connect(running.address());
    let (instrument, name) = PRODUCTS[0];
    reader.send(&json!({ "type": "subscribe", "product_ids": [name], "channels": ["auction", "status"] }));
    let messages: Vec<Value> = (0..2).map(|_| reader.next().unwrap()).collect();
    assert_eq!(
        messages[0]["channels"],
        json!([
            { "name": "status", "product_ids": [name] }, { "name": "auction", "product_ids": [name] },
        ])
    );
    assert_eq!((&messages[1]["type"], &messages[1]["sequence"]), (&json!("status"), &json!(0)));
    let set = |phase| SetPhase { instrument, phase, note: AdminNote::NONE };
    running.submit(set(Phase::OpeningCall));
    running.submit(order(instrument, Side::Buy, Price(100), 5, 1));
    running.submit(order(instrument, Side::Sell, Price(100), 3, 2));
    running.submit(set(Phase::Continuous));
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &Value| last["status"] != "Continuous") {
        seen.push(reader.next().unwrap());
    }
    let auctions: Vec<_> = seen.iter().filter(|message| message["type"] == "auction").collect();
    assert!(auctions.iter().any(|it| it["auction_state"] == "indicative" && it["price"] == "25.00"), "{seen:?}");
    let last = auctions.last().unwrap();
    assert_eq!(
        (&last["auction_state"], &last["price"], &last["size"]),
        (&json!("result"), &json!("25.00"), &json!("0.030"))
    );
    assert_eq!((&last["surplus"], &last["surplus_side"]), (&json!("0.020"), &json!("buy")));
    assert_eq!(seen.iter().filter(|it| it["type"] == "status").count(), 2);
    running.stop();
}

#[test]
fn who_takes_and_leaves_channels_in_turns_always_begins_with_a_whole_book() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let running = Running::start(roomy());
    let mut reader = Reader::connect(running.address());
    let products = PRODUCTS.map(|(_, name)| name);
    let mut name = 1;
    for _ in 0..40 {
        for _ in 0..20 {
            running.submit(command(&mut random, name));
            name += 1;
        }
        let channels: Vec<&str> = CHANNELS.into_iter().filter(|_| random.bool()).chain(["status"]).collect();
        let kind = ["subscribe", "unsubscribe"][random.usize(..2)];
        // Nothing is waited for: answers come in the order of the requests.
        reader.send(&json!({ "type": kind, "product_ids": products, "channels": channels }));
    }
    reader.send(&json!({ "type": "unsubscribe", "channels": CHANNELS }));
    reader.send(&json!({ "type": "subscribe", "product_ids": products, "channels": CHANNELS }));
    let mut unanswered = 42;
    while unanswered > 0 {
        let message = reader.next().unwrap();
        assert_ne!(message["type"], "error", "{message}");
        unanswered -= u32::from(message["type"] == "subscriptions");
    }
    running.mark(name);
    reader.take_until(Market::is_marked);
    let engine = running.stop();
    assert_is_engines(&reader, &engine);
    assert_eq!(reader.gaps, [] as [Value; 0]);
}

#[test]
fn who_asks_without_end_and_reads_no_answer_holds_up_nobody() {
    /// A frame of text, masked with zeros: `{}`, which is no request.
    const NO_REQUEST: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'{', b'}'];
    let running = Running::start(Setting::default());
    let asking = Reader::connect(running.address());
    let mut connection = asking.socket.get_ref().try_clone().unwrap();
    let flood = std::thread::spawn(move || while connection.write_all(&NO_REQUEST.repeat(4_096)).is_ok() {});
    let mut reader = Reader::connect(running.address());
    reader.subscribe(&["level2", "level2_batch", "full"]);
    (1..100).for_each(|name| running.submit(order(PRODUCTS[0].0, Side::Buy, Price(1 + name), 1, name)));
    running.mark(100);
    reader.take_until(Market::is_marked);
    assert!(running.get("/health/live").0.starts_with("HTTP/1.1 200"));
    asking.socket.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
    flood.join().unwrap();
    let engine = running.stop();
    assert_is_engines(&reader, &engine);
}

/// A reader that stands still until more is on its way to it than its connection takes; another one goes on.
fn stand_still(running: &Running) -> (Reader, Reader, u64) {
    let channels = ["heartbeat", "level2", "level2_batch", "full", "ticker", "matches"];
    let mut still = Reader::with_little_room(running.address());
    still.subscribe(&channels);
    let mut reader = Reader::connect(running.address());
    reader.subscribe(&channels);
    reader.take_until(Market::has_begun);
    let sizes = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap();
    let taken: u64 = sizes.split_whitespace().last().unwrap().parse().unwrap();
    let mut name = 1;
    while reader.bytes < taken + (2 << 20) {
        name = trade_a_little(running, name);
        let before = name;
        reader.take_until(|market| market.full_matches.len() as u64 * 2 + 2 > before);
    }
    (still, reader, name)
}

/// Some trades in both products, each of two orders.
fn trade_a_little(running: &Running, name: u64) -> u64 {
    for pair in 0..50 {
        for (instrument, _) in PRODUCTS {
            for (number, side) in (0..).zip(Side::BOTH) {
                let name = (name + 2 * pair + number) * 4 + u64::from(instrument.0);
                running.submit(order(instrument, side, Price(100), 1, name));
            }
        }
    }
    name + 100
}

/// The time has passed, and it was looked who waits for too long since: a reader has a heartbeat of then.
fn pass_and_look(running: &Running, reader: &mut Reader) {
    running.pass(OVERDUE_NS);
    let time = jiff::Timestamp::from_nanosecond(running.clock.load(Ordering::Acquire).into()).unwrap();
    let time = format!("{time:.9}");
    reader.take_until(|market| market.heartbeat["time"] == time.as_str());
}

/// Nobody's backlog is full, however slowly it is read; only its age may be too much.
fn roomy() -> Setting {
    Setting { limits: Limits { backlog_bytes_max: 64 << 20, ..stream_limits() }, ..Setting::default() }
}

#[test]
fn who_reads_too_slowly_is_told_what_it_missed_and_goes_on_with_a_new_book() {
    let running = Running::start(roomy());
    let (mut still, mut reader, name) = stand_still(&running);
    pass_and_look(&running, &mut reader);
    running.mark(4 * name + 100);
    for reader in [&mut still, &mut reader] {
        reader.take_until(Market::is_marked);
    }
    let engine = running.stop();
    assert_eq!(reader.gaps, [] as [Value; 0]);
    assert!(!still.gaps.is_empty());
    for gap in &still.gaps {
        assert!(gap["count"].as_u64() > Some(0) && gap["cause"] == "slow_reader", "{gap}");
    }
    for reader in [&still, &reader] {
        assert_is_engines(reader, &engine);
    }
}

#[test]
fn who_reads_nothing_is_cut_and_told_why_and_nobody_else_notices() {
    let running = Running::start(roomy());
    let (mut still, mut reader, name) = stand_still(&running);
    pass_and_look(&running, &mut reader);
    let name = trade_a_little(&running, name);
    reader.take_until(|market| market.full_matches.len() as u64 * 2 + 2 > name);
    assert_eq!(running.closed(CloseReason::TooSlow), 0);
    pass_and_look(&running, &mut reader);
    while running.closed(CloseReason::TooSlow) == 0 {
        std::thread::yield_now();
    }
    let frame = loop {
        match still.next() {
            Ok(message) => assert!(message.is_object()),
            Err(frame) => break frame.unwrap(),
        }
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, CloseReason::TooSlow.text()));
    assert!(running.get("/health/live").0.starts_with("HTTP/1.1 200"));
    running.mark(4 * name + 100);
    reader.take_until(Market::is_marked);
    let engine = running.stop();
    assert_eq!(reader.gaps, [] as [Value; 0]);
    assert_is_engines(&reader, &engine);
}

#[test]
fn a_bad_request_is_refused_with_its_reason_and_changes_nothing() {
    let limits = Limits { channels_max: 3, ..stream_limits() };
    let running = Running::start(Setting { limits, ..Setting::default() });
    let mut reader = Reader::connect(running.address());
    let [(_, one), (_, two)] = PRODUCTS;
    for (request, message, reason) in [
        ("{", "Malformed request", "EOF"),
        (r#"{"type":"buy"}"#, "Malformed request", "unknown variant `buy`"),
        (
            r#"{"type":"subscribe","product_ids":["ONE-USD"],"channels":["level3"]}"#,
            "Failed to subscribe",
            "channels: \"level3\" is no channel",
        ),
        (
            r#"{"type":"subscribe","product_ids":["ONE-USD","NONE"],"channels":["full"]}"#,
            "Failed to subscribe",
            "product_ids: \"NONE\" is no product",
        ),
        (r#"{"type":"subscribe","channels":["full"]}"#, "Failed to subscribe", "product_ids: name at least one"),
        (
            r#"{"type":"subscribe","product_ids":["ONE-USD","TWO-USD"],"channels":["full","ticker"]}"#,
            "Failed to subscribe",
            "channels: at most 3",
        ),
    ] {
        reader.socket.send(Message::text(request)).unwrap();
        let refusal = reader.refusal();
        assert_eq!(refusal.0, message, "{request}");
        assert!(refusal.1.contains(reason), "{request}: {}", refusal.1);
    }
    reader.socket.send(Message::binary(vec![0])).unwrap();
    assert_eq!(reader.refusal(), ("Malformed request".to_owned(), "requests are text".to_owned()));

    // Channels as names and as objects, twice the same, and the end of one.
    let channels = json!(["status", { "name": "heartbeat", "product_ids": [two] }]);
    reader.send(&json!({ "type": "subscribe", "product_ids": [one], "channels": channels }));
    let subscribed = json!([
        { "name": "heartbeat", "product_ids": [one, two] }, { "name": "status", "product_ids": [one] },
    ]);
    assert_eq!(reader.next().unwrap()["channels"], subscribed);
    reader.send(&json!({ "type": "subscribe", "product_ids": [one], "channels": ["status"] }));
    let answer = std::iter::from_fn(|| reader.next().ok()).find(|message| message["type"] == "subscriptions");
    assert_eq!(answer.unwrap()["channels"], subscribed);
    reader.send(&json!({ "type": "unsubscribe", "channels": ["heartbeat"] }));
    let answer = std::iter::from_fn(|| reader.next().ok()).find(|message| message["type"] == "subscriptions");
    assert_eq!(answer.unwrap()["channels"], json!([{ "name": "status", "product_ids": [one] }]));

    // Longer than any request: the connection ends, and the venue does not.
    let long = Message::text("x".repeat(32 << 10));
    let sent = reader.socket.send(long);
    assert!(sent.is_err() || std::iter::from_fn(|| Some(reader.socket.read())).any(|read| read.is_err()));
    assert!(running.get("/health/live").0.starts_with("HTTP/1.1 200"));
    running.stop();
}

/// Shows trades of the first product, and nothing else.
#[derive(Debug)]
struct TradesOfOne;

impl Door for TradesOfOne {
    fn event(&self, _: &Event) -> bool {
        false
    }

    fn anonymous(&self, _: IpAddr) -> Option<Entitlement> {
        let levels = vec![FeedLevel::Trades, FeedLevel::Reference];
        Some(Entitlement { rules: vec![(levels, Some(BTreeSet::from([PRODUCTS[0].0])))] })
    }

    fn certificate(&self, _: &[u8], _: IpAddr) -> Result<(KeyId, Entitlement), Refusal> {
        Err(Refusal::NotProven)
    }

    fn challenge(&self) -> [u64; 2] {
        [0; 2]
    }

    fn knock(&self, _: KeyId, _: IpAddr) -> Result<(), Refusal> {
        Err(Refusal::NotProven)
    }

    fn logon(&self, _: KeyId, _: &[u8], _: &[u8; 64], _: IpAddr) -> Result<Entitlement, Refusal> {
        Err(Refusal::NotProven)
    }

    fn entitlement(&self, _: KeyId) -> Option<Entitlement> {
        None
    }
}

#[test]
fn who_may_see_less_is_refused_the_rest() {
    let running = Running::start_unseen(Setting { door: Arc::new(TradesOfOne), ..Setting::default() }, 1);
    assert_eq!(running.products()[0]["id"], PRODUCTS[0].1);
    let mut reader = Reader::connect(running.address());
    for (product, channel) in [(0, "level2"), (0, "ticker"), (1, "matches")] {
        let name = PRODUCTS[product].1;
        reader.send(&json!({ "type": "subscribe", "product_ids": [name], "channels": [channel] }));
        let reason = format!("channel {channel:?} of {name:?} is not open to you");
        assert_eq!(reader.refusal(), ("Failed to subscribe".to_owned(), reason));
    }
    reader.send(&json!({ "type": "subscribe", "product_ids": [PRODUCTS[0].1], "channels": ["matches"] }));
    assert_eq!(reader.next().unwrap()["channels"][0]["name"], "matches");
    running.stop();
}

#[test]
fn too_many_connections_of_an_address_are_refused_and_a_stop_is_told() {
    let limits = Limits { connections_per_address: 2, ..stream_limits() };
    let running = Running::start(Setting { limits, ..Setting::default() });
    let mut readers = [0; 2].map(|_| Reader::connect(running.address()));
    readers.iter_mut().for_each(|reader| reader.subscribe(&["status"]));
    let third = client(format!("ws://{}/ws", running.address()), TcpStream::connect(running.address()).unwrap());
    assert!(third.err().unwrap().to_string().contains("503"));
    let stopping = std::thread::spawn(|| running.stop());
    for reader in &mut readers {
        let frame = std::iter::from_fn(|| Some(reader.next())).find_map(Result::err).unwrap().unwrap();
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, CloseReason::Stopped.text()));
    }
    stopping.join().unwrap();
}

#[test]
fn subscribers_take_no_place_from_who_asks_over_http() {
    let running = Running::start(Setting::default());
    let mut readers: Vec<Reader> = (0..100).map(|_| Reader::connect(running.address())).collect();
    readers.iter_mut().for_each(|reader| reader.subscribe(&["level2"]));
    assert!(running.get("/health/live").0.starts_with("HTTP/1.1 200"));
    assert_eq!(running.publisher.crowd().count(), readers.len());
    drop(readers);
    while running.publisher.crowd().count() > 0 {
        std::thread::yield_now();
    }
    running.stop();
}

#[test]
fn the_page_and_its_files_come_with_headers_that_let_nothing_else_in() {
    let running = Running::start(Setting::default());
    let (_, page) = running.get("/");
    let named: Vec<&str> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert!(named.len() > 4, "{named:?}");
    for path in std::iter::once("/").chain(named).chain(["/assets/uplot/LICENSE"]) {
        let (head, body) = running.get(path);
        assert!(head.starts_with("HTTP/1.1 200 OK") && !body.is_empty(), "{path}: {head}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.lines().any(|line| line == header), "{path} without {header}: {head}");
        }
    }
    // What the policy forbids would not run: there is none of it.
    assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("<style"));
    assert!(page.split("<script").skip(1).all(|script| script.contains("src=\"/assets/")));
    assert!(running.get("/assets/nothing").0.starts_with("HTTP/1.1 404"));
    assert!(running.get("/ws").0.starts_with("HTTP/1.1 4"), "no handshake");
    assert_eq!(
        running.products(),
        json!([
            { "id": "ONE-USD", "quote_increment": "0.25", "base_increment": "0.010", "status": "Continuous" },
            { "id": "TWO-USD", "quote_increment": "0.25", "base_increment": "0.010", "status": "Continuous" },
        ])
    );
    running.stop();
}
