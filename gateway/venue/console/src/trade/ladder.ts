// The book: a fixed number of rows, so that nothing moves but what is in them. A click takes a row's price.

import { fixed, places } from "../decimal";
import { h, say, toggle } from "../dom";
import type { Level, Market } from "../feed";
import type { Order } from "./account";

const ROWS = 14;

interface Row {
  readonly element: HTMLButtonElement;
  readonly mine: HTMLElement;
  readonly price: HTMLElement;
  readonly size: HTMLElement;
  readonly bar: HTMLElement;
  level: Level | null;
}

export class Ladder {
  readonly element: HTMLElement;
  private readonly asks: Row[];
  private readonly bids: Row[];
  private readonly middle = h("div", { class: "middle" }, "\u00a0");

  constructor(pick: (level: Level, side: "buy" | "sell") => void) {
    // Whoever takes an offer buys.
    this.asks = Array.from({ length: ROWS }, () => row("ask", (level) => pick(level, "buy")));
    this.bids = Array.from({ length: ROWS }, () => row("bid", (level) => pick(level, "sell")));
    this.element = h(
      "section",
      { class: "panel ladder", "aria-label": "Book" },
      h("h2", {}, "Book"),
      h("div", { class: "level heads", "aria-hidden": "true" }, h("i"), h("span", {}, "Price"), h("span", {}, "Size")),
      h("div", { class: "asks" }, ...this.asks.map((it) => it.element).reverse()),
      this.middle,
      h("div", { class: "bids" }, ...this.bids.map((it) => it.element)),
    );
  }

  draw(market: Market, own: readonly Order[]): void {
    const [asks, bids] = [market.asks.best().slice(0, ROWS), market.bids.best().slice(0, ROWS)];
    const shown = [...asks, ...bids];
    const digits = Math.max(2, ...shown.map((level) => places(level.size)));
    const most = Math.max(...shown.map((level) => level.amount), 0);
    const mine = new Set(own.map((order) => `${order.side} ${Number(order.price)}`));
    this.asks.forEach((it, index) => write(it, asks[index] ?? null, digits, most, mine, "sell"));
    this.bids.forEach((it, index) => write(it, bids[index] ?? null, digits, most, mine, "buy"));
    say(this.middle, spread(market));
  }
}

function row(side: string, pick: (level: Level) => void): Row {
  const [mine, price, size, bar] = [h("i", { class: "mine" }), h("span"), h("span"), h("b", { class: "bar" })];
  const element = h("button", { class: `level ${side}`, type: "button", tabindex: -1 }, bar, mine, price, size);
  const made: Row = { element, mine, price, size, bar, level: null };
  element.addEventListener("click", () => made.level !== null && pick(made.level));
  return made;
}

function write(row: Row, level: Level | null, digits: number, most: number, own: Set<string>, side: string): void {
  row.level = level;
  row.element.disabled = level === null;
  say(row.price, level?.price ?? "");
  say(row.size, level === null ? "" : fixed(level.size, digits));
  row.bar.style.width = level === null || most === 0 ? "0" : `${((100 * level.amount) / most).toFixed(1)}%`;
  const isMine = level !== null && own.has(`${side} ${level.at}`);
  toggle(row.mine, "on", isMine);
  row.element.title = level === null ? "" : `${level.orders} orders${isMine ? ", with yours" : ""}`;
}

function spread(market: Market): string {
  const [bid, ask] = [market.bids.best()[0], market.asks.best()[0]];
  if (bid === undefined || ask === undefined) return market.hasBook ? "one side is empty" : "\u00a0";
  const digits = places(market.product.quote_increment);
  const basisPoints = (20_000 * (ask.at - bid.at)) / (ask.at + bid.at);
  return `spread ${(ask.at - bid.at).toFixed(digits)}  ·  ${basisPoints.toFixed(2)} bp`;
}
