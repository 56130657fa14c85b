// The trader's page.

import { ApiError, get, post, type Who } from "../api";
import { confirm, inform, isDialogOpen, note } from "../chrome";
import { brief, fixed, places, short } from "../decimal";
import { h, say, toggle, words } from "../dom";
import { Feed, products, type FeedState, type Match, type Product } from "../feed";
import { Account, type Fill, type Report } from "./account";
import { Balances, Fills, Orders } from "./blotter";
import { Candles, Depth } from "./charts";
import { Ladder } from "./ladder";
import { Tape } from "./tape";
import { sentence, Ticket } from "./ticket";

const DRAW_EVERY_MS = 100;
const LOOK_BACK_AFTER_MS = 1500;

export interface Page {
  /** For the bar on top. */
  readonly tools: Node[];
  readonly main: HTMLElement;
}

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "choose an instrument"],
  ["b", "buy: to the price"],
  ["s", "sell: to the price"],
  ["↑ ↓", "in the price: a step; page up and down: ten"],
  ["Enter", "send the order"],
  ["Esc", "leave a field, put a message away"],
  ["c", "cancel all orders, after a question"],
  ["?", "this help"],
];

export function traderPage(_: Who): Page {
  return new Trading().page;
}

class Trading {
  readonly page: Page;
  private readonly picker = h("select", { id: "instrument", "aria-label": "Instrument" });
  private readonly phase = h("span", { id: "phase", class: "tag" });
  private readonly last = h("span", { id: "last", class: "last" }, "–");
  private readonly day = h("span", { class: "day" });
  private readonly link = h("span", { id: "link", class: "tag", role: "status" }, "connecting");
  private readonly seat = h("p", { id: "seat", class: "notice", role: "alert", hidden: true });
  private readonly ladder = new Ladder((level, side) => {
    this.ticket.setSide(side);
    this.ticket.setPrice(level.price);
    this.ticket.focus();
  });
  private readonly candles = new Candles();
  private readonly depth = new Depth();
  private readonly tape = new Tape();
  private readonly ticket = new Ticket();
  private readonly orders = new Orders();
  private readonly fills = new Fills();
  private readonly balances = new Balances();
  private readonly account: Account;
  private readonly feed: Feed;
  private known: Product[] = [];
  private isDirty = true;
  private isTapeDirty = true;
  private looksBack: ReturnType<typeof setTimeout> | null = null;

  constructor() {
    const help = h("button", { class: "plain", type: "button", "aria-label": "Help: keys", onclick: () => showHelp() }, "?");
    this.page = { tools: [this.picker, this.phase, this.last, this.day, this.link, help], main: this.main() };
    this.account = new Account((what, said) => this.accountChanged(what, said as { report?: Report; fill?: Fill } | null));
    this.feed = new Feed((message) => this.feedChanged(message as { type?: string } | null));
    this.picker.addEventListener("change", () => this.choose(this.picker.value));
    addEventListener("keydown", (event) => this.key(event));
    setInterval(() => this.draw(), DRAW_EVERY_MS);
    void this.load();
  }

  private main(): HTMLElement {
    const views = ["Trade", "Chart", "Account"];
    const main = h("main", { class: "trade", "data-view": "Trade" });
    const tabs = views.map((name) => {
      const tab = h("button", { type: "button", "aria-pressed": String(name === "Trade") }, name);
      tab.addEventListener("click", () => {
        main.dataset["view"] = name;
        tabs.forEach((other) => other.setAttribute("aria-pressed", String(other === tab)));
        scrollTo(0, 0);
      });
      return tab;
    });
    main.append(
      this.seat,
      this.ladder.element,
      this.candles.element,
      this.depth.element,
      this.tape.element,
      this.blotter(),
      h("div", { class: "side" }, this.ticket.element, this.balances.element),
      h("nav", { class: "views", "aria-label": "Views" }, ...tabs),
    );
    return main;
  }

  private blotter(): HTMLElement {
    const cancelAll = h("button", { id: "cancel-all", type: "button", class: "small", onclick: () => void this.cancelAll() }, "Cancel all");
    const tabs = [
      { name: h("span", {}, "Open orders ", this.orders.count), content: this.orders.element },
      { name: h("span", {}, "Fills"), content: this.fills.element },
    ];
    const buttons = tabs.map(({ name }, index) => h("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-selected": String(index === 0) }, name));
    buttons.forEach((button, chosen) =>
      button.addEventListener("click", () => {
        buttons.forEach((other, index) => other.setAttribute("aria-selected", String(index === chosen)));
        tabs.forEach(({ content }, index) => (content.hidden = index !== chosen));
        cancelAll.hidden = chosen !== 0;
      }),
    );
    tabs.forEach(({ content }, index) => (content.hidden = index !== 0));
    return h(
      "section",
      { class: "panel blotter", "aria-label": "Orders and fills" },
      h("div", { class: "title" }, h("div", { class: "tabs", role: "tablist" }, ...buttons), cancelAll),
      ...tabs.map(({ content }) => content),
    );
  }

  private async load(): Promise<void> {
    this.lookBack();
    this.known = await products().catch(() => []);
    if (this.known.length === 0) return void setTimeout(() => void this.load(), 2000);
    this.picker.replaceChildren(...this.known.map(({ id }) => h("option", {}, id)));
    const kept = sessionStorage.getItem("rialto-instrument");
    this.choose((this.known.find(({ id }) => id === kept) ?? this.known[0])?.id ?? "");
  }

  /** Trades as the event history has them, a moment behind the reports. */
  private lookBack(): void {
    if (this.looksBack !== null) return;
    this.looksBack = setTimeout(() => {
      this.looksBack = null;
      get<Fill[]>("trader/fills").then(
        (fills) => this.account.addPast(fills),
        // Others read the history at the moment.
        (error: ApiError) => void (error.reason === "Full" && this.lookBack()),
      );
    }, LOOK_BACK_AFTER_MS);
  }

  private choose(id: string): void {
    const product = this.known.find((it) => it.id === id);
    if (product === undefined) return;
    this.picker.value = id;
    sessionStorage.setItem("rialto-instrument", id);
    this.candles.clear();
    this.feed.show(product);
    if (this.feed.market !== null) this.ticket.begin(this.feed.market);
  }

  private feedChanged(message: { type?: string } | null): void {
    this.isDirty = true;
    if (message?.type === "match" || message?.type === "last_match") {
      this.candles.take(message as unknown as Match);
      this.isTapeDirty = true;
    }
    if (message === null) {
      this.isTapeDirty = true;
      this.showLink();
    }
  }

  private showLink(): void {
    const names: Record<FeedState, string> = { connecting: "connecting", live: "live", stale: "stands still", lost: "no connection" };
    const isOpen = this.account.state === "open";
    say(this.link, this.feed.state === "live" && !isOpen ? "market only" : names[this.feed.state]);
    this.link.className = `tag ${this.feed.state === "live" && isOpen ? "good" : "warn"}`;
  }

  private accountChanged(what: string, said: { report?: Report; fill?: Fill } | null): void {
    this.isDirty = true;
    if (what === "orders") this.orders.draw(this.account);
    if (what === "fill") this.fills.draw(this.account);
    if (what === "balances") {
      this.balances.draw(this.account.balances);
      this.ticket.take(this.account.balances ?? []);
      // What an order of another program has traded is reported to that program.
      this.lookBack();
    }
    if (what === "connection") this.showSeat();
    if (said?.fill !== undefined) traded(said.fill);
    if (said?.report !== undefined) ended(said.report);
  }

  private showSeat(): void {
    const { state, why } = this.account;
    this.seat.hidden = state === "open" || state === "connecting";
    say(this.seat, state === "over" ? `Order entry has ended the session: ${why}` : `No orders at the moment: ${why}`);
    this.showLink();
  }

  private draw(): void {
    const market = this.feed.market;
    if (!this.isDirty || market === null || document.hidden) return;
    this.isDirty = false;
    this.ladder.draw(market, this.account.orders.filter((order) => order.instrument === market.product.id));
    this.depth.draw(market);
    if (this.isTapeDirty) {
      this.isTapeDirty = false;
      this.tape.draw(market);
      this.candles.draw();
    }
    say(this.phase, words(market.status));
    toggle(this.phase, "warn", market.status !== "Continuous");
    const { ticker } = market;
    say(this.last, ticker?.price ?? "–");
    toggle(this.last, "buy", ticker?.side === "buy");
    toggle(this.last, "sell", ticker?.side === "sell");
    document.title = `${ticker?.price ?? "–"} ${market.product.id} · Rialto`;
    const day = ticker?.day;
    const volume = short(fixed(day?.volume ?? "0", places(day?.volume ?? "0")));
    say(this.day, day?.high == null ? "" : `low ${day.low}  high ${day.high}  volume ${brief(volume, 3)}  trades ${day.trades}`);
  }

  private async cancelAll(): Promise<void> {
    const count = this.account.orderCount;
    const consent = await confirm({
      title: "Cancel all orders?",
      says: [`Every open order of this account is cancelled, in all instruments: ${count} at the moment.`, "What trades before the venue has it has traded."],
      confirm: "Cancel all",
      isDangerous: true,
    });
    if (consent === null) return;
    try {
      const { cancelled } = await post<{ cancelled: number }>("trader/cancel-all", {});
      note("plain", `Cancelled ${cancelled} ${cancelled === 1 ? "order" : "orders"}`);
    } catch (error) {
      const refused = error as ApiError;
      note("bad", `Refused: ${words(refused.reason)}`, sentence(refused.message));
    }
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || isDialogOpen()) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape") {
      if (target !== document.body) target.blur();
      this.ticket.clear();
      document.getElementById("notes")?.replaceChildren();
      return;
    }
    if (["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName)) return;
    const act = {
      "/": () => this.picker.focus(),
      b: () => this.begin("buy"),
      s: () => this.begin("sell"),
      c: () => void this.cancelAll(),
      "?": () => showHelp(),
    }[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  private begin(side: "buy" | "sell"): void {
    this.ticket.setSide(side);
    this.ticket.focusPrice();
  }
}

function traded(fill: Fill): void {
  note("good", `${fill.side === "buy" ? "Bought" : "Sold"} ${short(fill.quantity)} ${fill.instrument}`, `at ${fill.price}`);
}

/** What nobody has asked for. */
function ended({ what, reason, text, instrument, cancelled }: Report): void {
  if (what !== "Cancelled" && what !== "Expired") return;
  if (reason === "Requested" || reason === "MassCancel") return;
  note("plain", `${what}: ${short(cancelled ?? "0")} ${instrument}`, sentence(text ?? ""));
}

function showHelp(): void {
  const rows = KEYS.map(([key, meaning]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, meaning)));
  inform(
    "Keys",
    h("table", { class: "keys" }, h("tbody", {}, ...rows)),
    h("p", {}, "A click on a row of the book takes its price, on the side that would trade with it."),
  );
}
