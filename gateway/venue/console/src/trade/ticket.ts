// Order entry. What is written goes to the venue as it is written; only the venue decides what is taken.

import { ApiError, post } from "../api";
import { brief, parse, places, short, stepped, times, write } from "../decimal";
import { h, say, toggle, words } from "../dom";
import type { Market } from "../feed";
import type { Balance, Report } from "./account";

type SideName = "buy" | "sell";
type Kind = "limit" | "market";

const LIVES = [
  ["gtc", "Good till cancelled"],
  ["day", "Day"],
  ["ioc", "Immediate or cancel"],
  ["fok", "Fill or kill"],
] as const;

export class Ticket {
  readonly element: HTMLElement;
  private market: Market | null = null;
  private balances: readonly Balance[] = [];
  private side: SideName = "buy";
  private kind: Kind = "limit";
  private isSending = false;

  private readonly sides = choice("Side", ["buy", "sell"], ["Buy", "Sell"], (side) => this.setSide(side as SideName));
  private readonly kinds = choice("Type", ["limit", "market"], ["Limit", "Market"], (kind) => this.setKind(kind as Kind));
  private readonly price = numeric("price");
  private readonly quantity = numeric("quantity");
  private readonly tif = h("select", { id: "tif" }, ...LIVES.map(([value, name]) => h("option", { value }, name)));
  private readonly postOnly = h("input", { id: "post-only", type: "checkbox" });
  private readonly priceUnit = h("span", { class: "unit" });
  private readonly quantityUnit = h("span", { class: "unit" });
  private readonly total = h("output", { for: "price quantity" }, "\u00a0");
  private readonly available = h("span", {}, "\u00a0");
  private readonly submit = h("button", { id: "submit", type: "submit", class: "submit buy" }, "Buy");
  private readonly result = h("p", { id: "result", class: "result", role: "status", "aria-live": "polite" }, "\u00a0");

  constructor() {
    const form = h(
      "form",
      { autocomplete: "off", novalidate: true },
      this.sides.element,
      this.kinds.element,
      field("price", "Price", this.price, this.priceUnit),
      field("quantity", "Quantity", this.quantity, this.quantityUnit),
      h("div", { class: "field" }, h("label", { for: "tif" }, "In force"), this.tif),
      h("div", { class: "check" }, this.postOnly, h("label", { for: "post-only" }, "Post only: refuse it rather than let it take")),
      h("dl", { class: "sums" }, h("dt", {}, "Value"), h("dd", {}, this.total), h("dt", {}, "Available"), h("dd", {}, this.available)),
      this.submit,
      this.result,
    );
    this.element = h("section", { class: "panel ticket", "aria-label": "Order entry" }, h("h2", {}, "Order"), form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    form.addEventListener("input", () => this.show());
    this.tif.addEventListener("change", () => this.show());
    this.price.addEventListener("keydown", (event) => this.step(event));
  }

  /** Another instrument: what was written for the last one is gone. */
  begin(market: Market): void {
    this.market = market;
    this.price.value = "";
    const [base = "", quote = ""] = market.product.id.split("-");
    say(this.priceUnit, quote);
    say(this.quantityUnit, base);
    this.say("plain", "");
    this.show();
  }

  take(balances: readonly Balance[]): void {
    this.balances = balances;
    this.show();
  }

  setSide(side: SideName): void {
    this.side = side;
    this.sides.set(side);
    this.show();
  }

  setPrice(price: string): void {
    this.setKind("limit");
    this.price.value = price;
    this.show();
  }

  /** Where the next figure goes. */
  focus(): void {
    (this.kind === "market" || this.price.value !== "" ? this.quantity : this.price).focus();
  }

  focusPrice(): void {
    (this.kind === "market" ? this.quantity : this.price).focus();
    (this.kind === "market" ? this.quantity : this.price).select();
  }

  clear(): void {
    this.say("plain", "");
  }

  private setKind(kind: Kind): void {
    if (kind !== this.kind) this.tif.value = kind === "market" ? "ioc" : "gtc";
    this.kind = kind;
    this.kinds.set(kind);
    this.show();
  }

  private step(event: KeyboardEvent): void {
    const count = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (count === undefined || this.market === null) return;
    event.preventDefault();
    this.price.value = stepped(this.price.value, this.market.product.quote_increment, count);
    this.show();
  }

  private show(): void {
    const [base = "", quote = ""] = this.market?.product.id.split("-") ?? [];
    const isMarket = this.kind === "market";
    const isAtOnce = isMarket || ["ioc", "fok"].includes(this.tif.value);
    this.price.disabled = isMarket;
    this.price.placeholder = isMarket ? "at market" : "";
    this.postOnly.disabled = isAtOnce;
    if (isAtOnce) this.postOnly.checked = false;
    for (const option of this.tif.options) option.disabled = isMarket && !["ioc", "fok"].includes(option.value);
    const [price, quantity] = [parse(this.price.value), parse(this.quantity.value)];
    const value = isMarket || price === null || quantity === null ? "" : short(write(times(price, quantity)));
    say(this.total, value === "" ? "–" : `${brief(value, 8)} ${quote}`);
    const spent = this.side === "buy" ? quote : base;
    const has = this.balances.find((balance) => balance.asset === spent);
    const digits = places(this.market?.product[this.side === "buy" ? "quote_increment" : "base_increment"] ?? "");
    say(this.available, has === undefined ? "–" : `${brief(has.available, digits)} ${spent}`);
    this.available.title = has?.available ?? "";
    const what = quantity === null || base === "" ? "" : ` ${short(this.quantity.value.trim())} ${base}`;
    const at = isMarket ? " at market" : price === null ? "" : ` at ${this.price.value.trim()}`;
    say(this.submit, `${this.side === "buy" ? "Buy" : "Sell"}${what}${what === "" ? "" : at}`);
    toggle(this.submit, "buy", this.side === "buy");
    toggle(this.submit, "sell", this.side === "sell");
  }

  private async send(): Promise<void> {
    if (this.market === null || this.isSending) return;
    const [price, quantity] = [this.price.value.trim(), this.quantity.value.trim()];
    if (this.kind === "limit" && parse(price) === null) return this.wants(this.price, "A limit order needs a price.");
    if (parse(quantity) === null) return this.wants(this.quantity, "An order needs a quantity.");
    const order = {
      name: String(BigInt(Date.now()) * 1000n + BigInt(Math.floor(Math.random() * 1000))),
      instrument: this.market.product.id,
      side: this.side,
      quantity,
      ...(this.kind === "limit" ? { price } : {}),
      tif: this.tif.value,
      post_only: this.postOnly.checked,
    };
    this.isSending = true;
    this.submit.setAttribute("aria-busy", "true");
    try {
      const report = await post<Report>("trader/order", order);
      this.say("good", `Accepted: order ${report.order_id ?? ""}.`);
    } catch (error) {
      this.refused(error as ApiError);
    } finally {
      this.isSending = false;
      this.submit.removeAttribute("aria-busy");
    }
  }

  private refused(error: ApiError): void {
    const name = error.reason === "Malformed" ? "Not sent" : `Refused: ${words(error.reason)}`;
    this.say("bad", `${name}. ${sentence(error.message)}`);
  }

  private wants(field: HTMLInputElement, text: string): void {
    field.focus();
    this.say("bad", text);
  }

  private say(tone: string, text: string): void {
    this.result.className = `result ${tone}`;
    say(this.result, text === "" ? "\u00a0" : text);
  }
}

export function sentence(text: string): string {
  return text === "" ? "" : `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?)]$/.test(text) ? "" : "."}`;
}

function numeric(id: string): HTMLInputElement {
  return h("input", { id, name: id, type: "text", inputmode: "decimal", spellcheck: "false", autocomplete: "off" });
}

function field(id: string, name: string, input: HTMLElement, unit: HTMLElement): HTMLElement {
  return h("div", { class: "field" }, h("label", { for: id }, name), h("div", { class: "with-unit" }, input, unit));
}

interface Choice {
  readonly element: HTMLElement;
  readonly set: (value: string) => void;
}

function choice(name: string, values: readonly string[], titles: readonly string[], chosen: (value: string) => void): Choice {
  const buttons = values.map((value, index) => {
    const button = h("button", { type: "button", id: `pick-${value}`, class: value, "aria-pressed": String(index === 0) }, titles[index]);
    button.addEventListener("click", () => chosen(value));
    return button;
  });
  return {
    element: h("div", { class: "choice wide", role: "group", "aria-label": name }, ...buttons),
    set: (value) => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(values[index] === value))),
  };
}
