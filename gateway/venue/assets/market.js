// The market as /ws tells it: a book that is kept, numbered and proven, and drawn ten times a second.
"use strict";

const ROWS = 16;
const TAPE_ROWS = 40;
const POINTS_MAX = 3000;
const DRAW_EVERY_MS = 100;
const STALE_AFTER_MS = 3000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10000;
const CHECKED_LEVELS = 10;
const CHANNELS = ["heartbeat", "status", "ticker", "level2", "matches", "auction"];

const $ = (id) => document.getElementById(id);

// ---- what is known ----

/** One side's levels by price, as texts; numbers are for drawing only. */
class Side {
  constructor(sign) {
    this.sign = sign;
    this.levels = new Map();
    this.sorted = null;
  }

  set(price, size, orders) {
    if (orders === 0) this.levels.delete(price);
    else this.levels.set(price, { price, size, orders, at: Number(price), amount: Number(size) });
    this.sorted = null;
  }

  /** Best first. */
  best() {
    this.sorted ??= [...this.levels.values()].sort((one, other) => this.sign * (one.at - other.at));
    return this.sorted;
  }
}

class Market {
  constructor(product) {
    this.product = product;
    this.bids = new Side(-1);
    this.asks = new Side(1);
    this.hasBook = false;
    this.ticker = null;
    this.status = null;
    this.auction = null;
    this.matches = [];
    this.points = [[], []];
    this.expected = new Map();
    this.missing = 0;
    this.gaps = 0;
    this.proven = null;
    this.shownRows = 1;
    this.messages = 0;
  }

  /** Whether a message is the next of its channel. The first one of a channel says where it stands. */
  isNext({ channel, sequence }) {
    const expected = this.expected.get(channel);
    this.expected.set(channel, sequence + 1);
    if (expected === undefined || expected === sequence) return true;
    this.gaps += 1;
    this.missing += Math.max(0, sequence - expected);
    return false;
  }

  gap({ channel, count }) {
    this.gaps += 1;
    this.missing += count;
    this.expected.delete(channel);
    if (channel === "level2") this.hasBook = false;
  }

  snapshot({ bids, asks }) {
    this.bids = new Side(-1);
    this.asks = new Side(1);
    for (const level of bids) this.bids.set(...level);
    for (const level of asks) this.asks.set(...level);
    this.hasBook = true;
  }

  update({ changes }) {
    for (const [side, price, size, orders] of changes) (side === "buy" ? this.bids : this.asks).set(price, size, orders);
  }

  match(match) {
    this.matches.unshift(match);
    this.matches.length = Math.min(this.matches.length, TAPE_ROWS);
    this.point(match);
  }

  point({ time, price }) {
    const at = Date.parse(time) / 1000;
    const [times, prices] = this.points;
    // Several trades of one moment stand at one place: the last one counts.
    if (times.at(-1) === at) prices[prices.length - 1] = Number(price);
    else {
      times.push(at);
      prices.push(Number(price));
    }
    if (times.length > POINTS_MAX) {
      times.shift();
      prices.shift();
    }
  }

  /** What is hashed: the best ten levels of each side, numbers without their point. */
  canonicalText() {
    const digits = (number) => number.replace(".", "").replace(/^0+(?=\d)/, "");
    const lines = (letter, side) =>
      side.best().slice(0, CHECKED_LEVELS).map((it) => `${letter} ${digits(it.price)} ${digits(it.size)} ${it.orders}\n`);
    return [...lines("B", this.bids), ...lines("S", this.asks)].join("");
  }
}

// ---- the connection ----

let market = null;
let socket = null;
let retryMs = RETRY_FIRST_MS;
let heardAt = 0;
/** Requests without an answer yet: until they have one, what comes is of before. */
let unanswered = 0;
let lost = null;
/** What the venue said last when it closed. */
let farewell = "";

function connect() {
  lost = null;
  say("connecting", "");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const current = new WebSocket(`${scheme}//${location.host}/ws`);
  socket = current;
  current.onopen = () => {
    retryMs = RETRY_FIRST_MS;
    heardAt = Date.now();
    unanswered = 0;
    farewell = "";
    say("connected", "good");
    begin(market.product);
  };
  current.onmessage = ({ data }) => {
    heardAt = Date.now();
    take(JSON.parse(data));
  };
  current.onclose = ({ code, reason }) => {
    if (socket !== current) return;
    socket = null;
    const wait = retryMs * (0.75 + Math.random() / 2);
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    farewell = reason || farewell || `code ${code}`;
    lost = { why: farewell, until: Date.now() + wait };
    setTimeout(connect, wait);
  };
}

const ask = (type, product, channels) => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  unanswered += 1;
  socket.send(JSON.stringify({ type, product_ids: [product], channels }));
};

/** Everything of a product, from nothing. */
function begin(product) {
  const former = market;
  market = new Market(product);
  if (former?.product === product) {
    market.points = former.points;
    market.matches = former.matches;
    market.gaps = former.gaps;
    market.missing = former.missing;
  }
  ask("subscribe", product, CHANNELS);
}

function choose(product) {
  if (!product || product === market?.product) return;
  if (market) ask("unsubscribe", market.product, CHANNELS);
  location.hash = encodeURIComponent(product);
  document.title = `${product} · Rialto`;
  note("");
  if (socket?.readyState === WebSocket.OPEN) begin(product);
  else market = new Market(product);
}

/** The book cannot be trusted: another one. */
function beginAgain(why) {
  note(why);
  ask("unsubscribe", market.product, CHANNELS);
  begin(market.product);
}

function take(message) {
  if (message.type === "error") note(`${message.message}: ${message.reason}`);
  if (message.type === "error" || message.type === "subscriptions") unanswered -= 1;
  if (unanswered > 0 || message.product_id !== market.product) return;
  market.messages += 1;
  if (message.type === "gap") {
    market.gap(message);
    return note(`${message.count} messages of ${message.channel} from #${message.from} were left out (${message.cause}).`);
  }
  if (!market.isNext(message)) {
    return beginAgain(`Messages of ${message.channel} before #${message.sequence} are missing: all is asked for again.`);
  }
  switch (message.type) {
    case "snapshot":
      market.snapshot(message);
      prove(message);
      break;
    case "l2update":
      market.update(message);
      break;
    case "checksum":
      prove(message);
      break;
    case "ticker":
      market.ticker = message;
      break;
    case "status":
      market.status = message;
      break;
    case "auction":
      market.auction = message;
      break;
    case "last_match":
      if (market.points[0].length === 0) market.point(message);
      break;
    case "match":
      market.match(message);
      break;
    case "match_cancel":
      market.matches = market.matches.filter(({ trade_id }) => trade_id !== message.trade_id);
      note(`Trade ${message.trade_id} was reversed.`);
      break;
  }
}

/** Compares the book's hash with the venue's. Browsers hash on secure origins only: HTTPS, or this machine. */
async function prove({ checksum, sequence }) {
  if (!checksum || !globalThis.crypto?.subtle) return;
  const proving = market;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(proving.canonicalText()));
  const found = [...new Uint8Array(hash, 0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (proving !== market) return;
  if (found === checksum) {
    market.proven = sequence;
  } else {
    beginAgain(`The book differed from the venue's at #${sequence}: all is asked for again.`);
  }
}

// ---- drawing ----

function say(text, kind) {
  const tag = $("connection");
  if (tag.textContent !== text) tag.textContent = text;
  tag.className = `tag ${kind}`;
}

function note(text) {
  const notice = $("notice");
  notice.hidden = !text;
  notice.textContent = text ? `${clock(new Date())}  ${text}` : "";
}

function write(id, text) {
  const element = typeof id === "string" ? $(id) : id;
  const shown = text ?? "–";
  if (element.textContent !== shown) element.textContent = shown;
}

/** A decimal whose needless zeros are faint. */
function writeDecimal(cell, text) {
  if (cell.dataset.text === text) return;
  cell.dataset.text = text;
  const end = text.includes(".") ? text.replace(/\.?0+$/, "").length : text.length;
  cell.firstChild.textContent = text.slice(0, end);
  cell.lastChild.textContent = text.slice(end);
}

function decimalCell() {
  const cell = document.createElement("span");
  cell.append(document.createElement("span"), document.createElement("span"));
  cell.lastChild.className = "zeros";
  return cell;
}

function ladderRow(body) {
  const row = body.insertRow();
  const bar = document.createElement("div");
  bar.className = "bar";
  const cells = [row.insertCell(), row.insertCell(), row.insertCell()];
  cells[0].append(bar);
  const orders = document.createElement("span");
  cells[0].append(orders);
  const size = decimalCell();
  cells[1].append(size);
  const price = document.createElement("span");
  cells[2].append(price);
  return { row, bar, orders, size, price };
}

function drawSide(rows, levels) {
  let sum = 0;
  const sums = levels.map((level) => (sum += level.amount));
  // A row that was shown once stays: a book that breathes does not move the page.
  market.shownRows = Math.max(market.shownRows, levels.length);
  rows.forEach((row, index) => {
    const level = levels[index];
    row.row.hidden = index >= market.shownRows;
    write(row.orders, level ? String(level.orders) : "");
    writeDecimal(row.size, level?.size ?? "");
    write(row.price, level?.price ?? "");
    row.share = level ? sums[index] : 0;
  });
  return sum;
}

function drawLadder() {
  const bids = drawSide(rows.bids, market.bids.best().slice(0, ROWS));
  const asks = drawSide(rows.asks, market.asks.best().slice(0, ROWS));
  const most = Math.max(bids, asks);
  for (const row of [...rows.bids, ...rows.asks]) row.bar.style.width = most ? `${(100 * row.share) / most}%` : "0";
  write("middle", market.hasBook ? spread() : "waiting for the book");
}

/** The difference of the best prices, with as many decimals as they have. */
function spread() {
  const [bid, ask] = [market.bids.best()[0], market.asks.best()[0]];
  if (!bid || !ask) return "one side is empty";
  const decimals = bid.price.split(".")[1]?.length ?? 0;
  return `spread ${(ask.at - bid.at).toFixed(decimals)}`;
}

function drawPrices() {
  const ticker = market.ticker ?? {};
  const day = ticker.day ?? {};
  const rise = { buy: "▲", sell: "▼" }[ticker.side] ?? "";
  write("last", ticker.price ? `${ticker.price} ${rise}`.trim() : null);
  $("last").className = ticker.side ?? "";
  write("last-size", ticker.last_size ? `${trimmed(ticker.last_size)} traded last` : "");
  write("bid", ticker.best_bid);
  write("ask", ticker.best_ask);
  write("spread", spread().replace("spread ", ""));
  write("open", day.open);
  write("high", day.high);
  write("low", day.low);
  write("volume", day.volume && trimmed(day.volume));
  write("trades", day.trades?.toLocaleString());
  write("since", day.since ? `Open, high, low, volume and trades since ${new Date(day.since).toLocaleString([], { hour12: false })}` : "");
  write("phase", market.status?.status ?? ticker.status ?? "");
  $("phase").classList.toggle("warn", (market.status?.status ?? "Continuous") !== "Continuous");
  const auction = market.auction;
  $("auction").hidden = !auction?.price;
  if (auction?.price) {
    const what = auction.auction_state === "result" ? "The auction ended at" : "The auction would end at";
    const surplus = auction.surplus_side ? `, ${trimmed(auction.surplus)} more on the ${auction.surplus_side} side` : "";
    write("auction", `${what} ${auction.price} for ${trimmed(auction.size)}${surplus}.`);
  }
}

const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

function drawTape() {
  const body = $("matches");
  const newest = market.matches[0]?.trade_id;
  if (drawTape.newest === newest && drawTape.of === market && drawTape.count === market.matches.length) return;
  Object.assign(drawTape, { newest, of: market, count: market.matches.length });
  $("no-matches").hidden = market.matches.length > 0;
  body.replaceChildren(
    ...market.matches.map((match) => {
      const row = document.createElement("tr");
      const [price, size, time] = [row.insertCell(), row.insertCell(), row.insertCell()];
      // The message has the side of the order that rested.
      const taker = { buy: "sell", sell: "buy" }[match.side];
      price.className = taker ?? "";
      price.textContent = `${match.price} ${{ buy: "▲", sell: "▼" }[taker] ?? ""}`;
      const decimal = decimalCell();
      writeDecimal(decimal, match.size);
      size.append(decimal);
      time.textContent = clock(new Date(match.time));
      return row;
    }),
  );
}

function drawState() {
  const silence = Date.now() - heardAt;
  const isStale = !socket || silence > STALE_AFTER_MS;
  document.body.classList.toggle("stale", isStale);
  if (lost) {
    const seconds = Math.max(0, Math.ceil((lost.until - Date.now()) / 1000));
    say(`connection lost (${lost.why}), again in ${seconds} s`, "bad");
  } else if (socket?.readyState === WebSocket.OPEN) {
    if (isStale) say(`stale: nothing heard for ${Math.floor(silence / 1000)} s`, "bad");
    else say("live", "good");
  }
  const proof = $("proof");
  const canProve = Boolean(globalThis.crypto?.subtle);
  const isProven = market.proven !== null;
  const text = isProven ? `book proven at #${market.proven}` : canProve ? "" : "unproven: no secure origin";
  write(proof, text);
  proof.className = `tag ${isProven ? "good" : ""}`;
  const book = market.expected.get("level2");
  const gaps = market.gaps ? `${market.missing} messages left out in ${market.gaps} gap(s)` : "no gap";
  write("counts", `${market.messages} messages, ${gaps}${book ? `, book at #${book - 1}` : ""}`);
}

// ---- charts ----

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const axis = (size) => ({
  stroke: colour("quiet"),
  grid: { stroke: colour("line"), width: 1 },
  ticks: { stroke: colour("line"), width: 1 },
  size,
});

/** Uneven prices in a label would jump: as many decimals as the instrument has. */
function priceLabels(self, splits) {
  const decimals = market.product && (increments.get(market.product)?.split(".")[1]?.length ?? 2);
  return splits.map((value) => value.toFixed(Math.min(decimals, 8)));
}

const clock = (date) => date.toLocaleTimeString([], { hour12: false });

const timeLabels = (self, splits) => splits.map((seconds) => clock(new Date(seconds * 1000)));

/** No label between two prices that there can be. */
function priceSteps() {
  const tick = Number(increments.get(market.product));
  return Array.from({ length: 14 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power * tick)).flat();
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];

function priceChart() {
  const holder = $("price-chart");
  const options = {
    width: holder.clientWidth,
    height: holder.clientHeight,
    legend: { show: false },
    cursor: { y: false },
    scales: { x: { time: true } },
    axes: [
      { ...axis(30), values: timeLabels, space: 90, incrs: SECONDS },
      { ...axis(84), values: priceLabels, incrs: priceSteps },
    ],
    series: [{}, { stroke: colour("accent"), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }],
  };
  return new uPlot(options, [[], []], holder);
}

function depthChart() {
  const holder = $("depth-chart");
  const side = (name, align) => ({
    stroke: colour(name),
    fill: colour(`${name}-bar`),
    width: 1.5,
    points: { show: false },
    paths: uPlot.paths.stepped({ align }),
  });
  const options = {
    width: holder.clientWidth,
    height: holder.clientHeight,
    legend: { show: false },
    cursor: { y: false },
    scales: { x: { time: false }, y: { range: (self, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
    axes: [{ ...axis(30), values: priceLabels, space: 90, incrs: priceSteps }, axis(84)],
    series: [{}, side("buy", -1), side("sell", 1)],
  };
  return new uPlot(options, [[], [], []], holder);
}

/** Both sides near the middle: as far away as a side's fifty best levels go. */
function depthData() {
  const sums = (levels) => {
    let sum = 0;
    return levels.slice(0, 50).map(({ at, amount }) => [at, (sum += amount)]);
  };
  const [bids, asks] = [sums(market.bids.best()).reverse(), sums(market.asks.best())];
  const prices = [...bids, ...asks].map(([at]) => at);
  const pad = (count) => Array(count).fill(null);
  return [
    prices,
    [...bids.map(([, sum]) => sum), ...pad(asks.length)],
    [...pad(bids.length), ...asks.map(([, sum]) => sum)],
  ];
}

let charts = null;

function makeCharts() {
  charts?.price.destroy();
  charts?.depth.destroy();
  charts = { price: priceChart(), depth: depthChart() };
}

function drawCharts() {
  charts.price.setData(market.points);
  // In a crossed book, as calls have, prices do not ascend from bids to asks: there is no depth to draw.
  const depth = depthData();
  const ascends = depth[0].every((price, index) => index === 0 || depth[0][index - 1] < price);
  charts.depth.setData(ascends ? depth : [[], [], []]);
}

// ---- the beginning ----

const increments = new Map();
const rows = { bids: [], asks: [] };

function makeRows() {
  for (let index = 0; index < ROWS; index += 1) {
    rows.bids.push(ladderRow($("bids")));
    rows.asks.unshift(ladderRow($("asks")));
  }
}

function draw() {
  drawState();
  drawPrices();
  drawLadder();
  drawTape();
  drawCharts();
}

function fromAddress() {
  const product = decodeURIComponent(location.hash.slice(1));
  return increments.has(product) ? product : null;
}

async function start() {
  const products = await (await fetch("/products")).json();
  for (const { id, quote_increment } of products) {
    increments.set(id, quote_increment);
    $("product").append(new Option(id, id));
  }
  if (products.length === 0) return note("There is no instrument to be seen.");
  makeRows();
  choose(fromAddress() ?? products[0].id);
  $("product").value = market.product;
  $("product").onchange = ({ target }) => choose(target.value);
  addEventListener("hashchange", () => {
    choose(fromAddress());
    $("product").value = market.product;
  });
  makeCharts();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", makeCharts);
  new ResizeObserver(() => {
    for (const [name, chart] of Object.entries(charts)) {
      const holder = $(`${name}-chart`);
      chart.setSize({ width: holder.clientWidth, height: holder.clientHeight });
    }
  }).observe(document.querySelector("main"));
  connect();
  setInterval(() => requestAnimationFrame(draw), DRAW_EVERY_MS);
}

start().catch((error) => {
  note(`The venue does not answer: ${error.message}. Trying again.`);
  setTimeout(() => location.reload(), RETRY_MAX_MS);
});
