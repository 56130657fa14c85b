// The trader's own account, as the key's seat tells it: what is open, what is there, what happens.

import { get, type ApiError } from "../api";

export interface Order {
  readonly order_id: string | null;
  readonly name: string | null;
  readonly instrument: string;
  readonly side: "buy" | "sell";
  readonly type: string;
  readonly tif: string;
  readonly post_only: boolean;
  readonly price: string | null;
  readonly stop_price: string | null;
  readonly quantity: string | null;
  readonly leaves: string;
  readonly cumulative: string;
}

export interface Report extends Order {
  readonly what: string;
  readonly status: string | null;
  readonly cancelled: string | null;
  readonly reason: string | null;
  readonly text: string | null;
  readonly time: string;
}

export interface Balance {
  readonly asset: string;
  readonly available: string;
  readonly held: string;
  readonly total: string;
}

export interface Fill {
  readonly trade_id: string;
  readonly order_id: string;
  readonly instrument: string;
  readonly side: "buy" | "sell";
  readonly price: string;
  readonly quantity: string;
  readonly fee: string | null;
  readonly fee_asset: string | null;
  readonly took: boolean | null;
  readonly time: string;
}

type Said =
  | { type: "connection"; state: SeatState; text: string }
  | { type: "orders"; orders: Order[]; count: number }
  | { type: "balances"; balances: Balance[] }
  | { type: "fill"; fill: Fill }
  | { type: "report"; report: Report };

export type SeatState = "connecting" | "open" | "lost" | "over";

/** How a stream ends whose key trades for another account now. */
const OTHER_ACCOUNT = 4002;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8000;
const FILLS_MAX = 200;

export class Account {
  orders: Order[] = [];
  orderCount = 0;
  /** Null until the venue has told. */
  balances: Balance[] | null = null;
  fills: Fill[] = [];
  state: SeatState = "connecting";
  why = "";
  private retryMs = RETRY_FIRST_MS;
  private readonly changed: (what: Said["type"], said: Said | null) => void;

  constructor(changed: (what: Said["type"], said: Said | null) => void) {
    this.changed = changed;
    this.connect();
  }

  /** Those of before, and of orders that other programs entered, among those that have come meanwhile. */
  addPast(fills: Fill[]): void {
    const known = new Set(this.fills.map(name));
    const all = [...this.fills, ...fills.filter((fill) => !known.has(name(fill)))];
    all.sort((one, other) => Number(BigInt(other.time) - BigInt(one.time)));
    this.fills = all.slice(0, FILLS_MAX);
    this.changed("fill", null);
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/console/stream`);
    socket.onopen = () => {
      this.retryMs = RETRY_FIRST_MS;
    };
    socket.onmessage = ({ data }) => this.take(JSON.parse(data as string) as Said);
    socket.onclose = ({ code }) => {
      if (code === OTHER_ACCOUNT) return location.reload();
      void this.findOut();
      setTimeout(() => this.connect(), this.retryMs * (0.75 + Math.random() / 2));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
    };
  }

  /** Why there is no stream; whoever is out is shown the way in by this. */
  private async findOut(): Promise<void> {
    try {
      await get("trader/seat");
      this.is("lost", "the stream has ended and is begun again");
    } catch (error) {
      this.is("lost", (error as ApiError).message);
    }
  }

  private take(said: Said): void {
    switch (said.type) {
      case "connection":
        return this.is(said.state, said.text);
      case "orders":
        this.orders = said.orders;
        this.orderCount = said.count;
        break;
      case "balances":
        this.balances = said.balances;
        break;
      case "fill":
        this.fills = [said.fill, ...this.fills].slice(0, FILLS_MAX);
        break;
      case "report":
        break;
    }
    this.changed(said.type, said);
  }

  private is(state: SeatState, why: string): void {
    this.state = state;
    this.why = why;
    this.changed("connection", null);
  }
}

/** A trade with oneself has two fills. */
function name(fill: Fill): string {
  return `${fill.trade_id} ${fill.order_id} ${fill.instrument}`;
}
