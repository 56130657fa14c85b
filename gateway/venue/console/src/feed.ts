// The market as /ws tells it: the public feed, the same that everybody gets.

export interface Product {
  readonly id: string;
  readonly quote_increment: string;
  readonly base_increment: string;
  readonly status: string;
}

export interface Level {
  readonly price: string;
  readonly size: string;
  readonly orders: number;
  /** For drawing only. */
  readonly at: number;
  readonly amount: number;
}

export interface Match {
  readonly trade_id: number | string;
  readonly price: string;
  readonly size: string;
  /** Of the order that rested. */
  readonly side?: "buy" | "sell";
  readonly time: string;
}

export interface Ticker {
  readonly price: string | null;
  readonly side: string | null;
  readonly best_bid: string | null;
  readonly best_ask: string | null;
  readonly day: { open: string | null; high: string | null; low: string | null; volume: string; trades: number } | null;
}

export interface Auction {
  readonly auction_state: string;
  readonly price: string | null;
  readonly size: string | null;
}

interface Message {
  readonly type: string;
  readonly channel?: string;
  readonly product_id?: string;
  readonly sequence?: number;
  readonly [field: string]: unknown;
}

const CHANNELS = ["heartbeat", "status", "ticker", "level2", "matches", "auction"];
const MATCHES_MAX = 200;
const STALE_AFTER_MS = 4000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8000;

/** One side's levels, by price. */
export class Side {
  private readonly levels = new Map<string, Level>();
  private sorted: Level[] | null = null;
  private readonly sign: 1 | -1;

  constructor(sign: 1 | -1) {
    this.sign = sign;
  }

  set(price: string, size: string, orders: number): void {
    if (orders === 0) this.levels.delete(price);
    else this.levels.set(price, { price, size, orders, at: Number(price), amount: Number(size) });
    this.sorted = null;
  }

  /** Best first. */
  best(): readonly Level[] {
    this.sorted ??= [...this.levels.values()].sort((one, other) => this.sign * (one.at - other.at));
    return this.sorted;
  }
}

/** What is known of one product. */
export class Market {
  readonly product: Product;
  bids = new Side(-1);
  asks = new Side(1);
  hasBook = false;
  status: string;
  ticker: Ticker | null = null;
  auction: Auction | null = null;
  matches: Match[] = [];
  gaps = 0;
  private readonly expected = new Map<string, number>();

  constructor(product: Product) {
    this.product = product;
    this.status = product.status;
  }

  take(message: Message): void {
    const { type, channel = "", sequence } = message;
    if (type === "gap") {
      this.gaps += 1;
      this.expected.delete(channel);
      if (channel === "level2") this.hasBook = false;
      return;
    }
    if (sequence !== undefined) {
      const expected = this.expected.get(channel);
      if (expected !== undefined && expected !== sequence) this.gaps += 1;
      this.expected.set(channel, sequence + 1);
    }
    this.content(message);
  }

  private content(message: Message): void {
    switch (message.type) {
      case "snapshot": {
        this.bids = new Side(-1);
        this.asks = new Side(1);
        for (const [price, size, orders] of message["bids"] as [string, string, number][]) this.bids.set(price, size, orders);
        for (const [price, size, orders] of message["asks"] as [string, string, number][]) this.asks.set(price, size, orders);
        this.hasBook = true;
        break;
      }
      case "l2update":
        for (const [side, price, size, orders] of message["changes"] as [string, string, string, number][]) {
          (side === "buy" ? this.bids : this.asks).set(price, size, orders);
        }
        break;
      case "ticker":
        this.ticker = message as unknown as Ticker;
        break;
      case "status":
        this.status = message["status"] as string;
        break;
      case "match":
      case "last_match":
        this.matches.unshift(message as unknown as Match);
        this.matches.length = Math.min(this.matches.length, MATCHES_MAX);
        break;
      case "match_cancel":
        this.matches = this.matches.filter((match) => match.trade_id !== message["trade_id"]);
        break;
      case "auction":
        this.auction = message as unknown as Auction;
        break;
    }
  }
}

export type FeedState = "connecting" | "live" | "stale" | "lost";

/** The connection; one product at a time. */
export class Feed {
  market: Market | null = null;
  state: FeedState = "connecting";
  private socket: WebSocket | null = null;
  private retryMs = RETRY_FIRST_MS;
  private heardAt = 0;
  private readonly changed: (message: Message | null) => void;

  /** `changed` is called with every message, and with null when the connection's state is another. */
  constructor(changed: (message: Message | null) => void) {
    this.changed = changed;
    setInterval(() => this.look(), 1000);
    this.connect();
  }

  show(product: Product): void {
    if (this.market !== null) this.send("unsubscribe", this.market.product.id);
    this.market = new Market(product);
    this.send("subscribe", product.id);
    this.changed(null);
  }

  private send(type: string, product: string): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ type, product_ids: [product], channels: CHANNELS }));
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    this.socket = socket;
    this.is("connecting");
    socket.onopen = () => {
      this.retryMs = RETRY_FIRST_MS;
      this.heardAt = Date.now();
      this.is("live");
      if (this.market !== null) {
        const matches = this.market.matches;
        this.market = new Market(this.market.product);
        this.market.matches = matches;
        this.send("subscribe", this.market.product.id);
      }
    };
    socket.onmessage = ({ data }) => {
      this.heardAt = Date.now();
      const message = JSON.parse(data as string) as Message;
      if (message.product_id !== this.market?.product.id) return;
      this.market?.take(message);
      this.changed(message);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.is("lost");
      setTimeout(() => this.connect(), this.retryMs * (0.75 + Math.random() / 2));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
    };
  }

  private look(): void {
    if (this.socket?.readyState !== WebSocket.OPEN || this.market === null) return;
    this.is(Date.now() - this.heardAt > STALE_AFTER_MS ? "stale" : "live");
  }

  private is(state: FeedState): void {
    if (this.state === state) return;
    this.state = state;
    this.changed(null);
  }
}

export async function products(): Promise<Product[]> {
  const response = await fetch("/products", { cache: "no-store" });
  return (await response.json()) as Product[];
}
