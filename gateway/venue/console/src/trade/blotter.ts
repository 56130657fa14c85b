// What is open, what has traded, and what is there.

import { ApiError, post } from "../api";
import { note } from "../chrome";
import { brief, fixed, places, short } from "../decimal";
import { dateAndTime, fill, h, say, timeOfDay, words } from "../dom";
import type { Account, Balance, Fill, Order } from "./account";
import { sentence } from "./ticket";

export class Orders {
  readonly element: HTMLElement;
  readonly count = h("span", { class: "count" });
  private readonly body = h("tbody");
  private readonly empty = h("p", { class: "empty" }, "No open orders.");
  private readonly more = h("p", { class: "more", hidden: true });

  constructor() {
    this.element = h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Open orders" },
      h("table", { id: "orders" }, head(["Instrument", "", "Price", "Left", "Traded", "In force", ""]), this.body),
      this.empty,
      this.more,
    );
  }

  draw(account: Account): void {
    const { orders, orderCount } = account;
    say(this.count, orderCount === 0 ? "" : String(orderCount));
    this.empty.hidden = orders.length > 0;
    this.more.hidden = orders.length === orderCount;
    say(this.more, `The oldest ${orders.length} of ${orderCount} are shown.`);
    fill(this.body, [...orders].reverse().map(orderRow));
  }
}

function orderRow(order: Order): HTMLElement {
  const terms = [order.tif.toUpperCase(), order.post_only ? "post only" : "", order.stop_price === null ? "" : `stop ${order.stop_price}`];
  const digits = Math.max(places(order.leaves), places(order.cumulative), 2);
  const cancel = h("button", { type: "button", class: "small", "aria-label": `Cancel order ${order.order_id}` }, "Cancel");
  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    post("trader/cancel", { order_id: order.order_id }).catch((error: ApiError) => {
      cancel.disabled = false;
      note("bad", `Refused: ${words(error.reason)}`, sentence(error.message));
    });
  });
  return h(
    "tr",
    { "data-order": order.order_id },
    h("td", {}, order.instrument),
    h("td", { class: order.side }, order.side),
    h("td", { class: "number" }, order.price ?? words(order.type)),
    h("td", { class: "number" }, fixed(order.leaves, digits)),
    h("td", { class: "number" }, fixed(order.cumulative, digits)),
    h("td", { class: "quiet" }, terms.filter((term) => term !== "").join(", ")),
    h("td", { class: "action" }, cancel),
  );
}

export class Fills {
  readonly element: HTMLElement;
  private readonly body = h("tbody");
  private readonly empty = h("p", { class: "empty" }, "Nothing has traded yet.");

  constructor() {
    this.element = h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Fills" },
      h("table", { id: "fills" }, head(["Time", "Instrument", "", "Price", "Quantity", "Fee", "Order"]), this.body),
      this.empty,
    );
  }

  draw(account: Account): void {
    this.empty.hidden = account.fills.length > 0;
    fill(this.body, account.fills.map(fillRow));
  }
}

function fillRow(fill: Fill): HTMLElement {
  const role = fill.took === null ? "in an auction" : fill.took ? "it took" : "it made";
  const fee = fill.fee === null ? "–" : `${brief(fill.fee, 6)} ${fill.fee_asset ?? ""}`;
  return h(
    "tr",
    { "data-trade": fill.trade_id },
    h("td", { title: `${dateAndTime(fill.time)} UTC` }, timeOfDay(fill.time)),
    h("td", {}, fill.instrument),
    h("td", { class: fill.side, title: role }, fill.side),
    h("td", { class: "number" }, fill.price),
    h("td", { class: "number" }, fixed(fill.quantity, 2)),
    h("td", { class: "number", title: fill.fee ?? "" }, fee),
    h("td", { class: "number quiet" }, fill.order_id),
  );
}

/** Digits of an amount that are shown; all of them stand in its title. */
const DIGITS_SHOWN = 8;
const PLACES_MIN = 2;

export class Balances {
  readonly element: HTMLElement;
  private readonly body = h("tbody");

  constructor() {
    this.element = h(
      "section",
      { class: "panel balances", "aria-label": "Balances" },
      h("h2", {}, "Balances"),
      h("div", { class: "scroll" }, h("table", { id: "balances" }, head(["Asset", "Available", "Held"]), this.body)),
    );
  }

  draw(balances: readonly Balance[] | null): void {
    fill(this.body, (balances ?? []).map(balanceRow));
  }
}

function balanceRow(balance: Balance): HTMLElement {
  const cell = (text: string): HTMLElement => h("td", { class: "number", title: short(text) }, brief(text, Math.max(PLACES_MIN, DIGITS_SHOWN - whole(text))));
  return h("tr", { "data-asset": balance.asset }, h("td", {}, balance.asset), cell(balance.available), cell(balance.held));
}

function whole(text: string): number {
  return text.split(".")[0]?.length ?? 0;
}

export function head(names: readonly string[]): HTMLElement {
  return h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name))));
}
