// The operator's page.

import type { Who } from "../api";
import { get } from "../api";
import { inform } from "../chrome";
import { brief } from "../decimal";
import { fill, h, say, toggle, words } from "../dom";
import { head } from "../trade/blotter";
import type { Page } from "../trade/page";
import { Audit } from "./audit";
import * as changes from "./changes";
import { Latency } from "./latency";
import { Proposals } from "./proposals";
import { bytes, count, nanoseconds, Venue, type AccountRow, type Figure, type Instrument, type KeyRow, type SessionRow } from "./venue";

const LOOK_EVERY_MS = 2000;
const VIEWS = ["Overview", "Proposals", "Accounts", "Sessions", "Keys", "Figures", "Audit"] as const;
type View = (typeof VIEWS)[number];
/** The venue's own account. */
const FEES = 1;

export function operatorPage(visitor: Who): Page {
  return new Operating(visitor).page;
}

class Operating {
  readonly page: Page;
  private readonly venue = new Venue();
  private view: View = "Overview";
  private readonly mayChange: boolean;
  private readonly ready = h("span", { id: "ready", class: "tag", role: "status" }, "asking");
  private readonly alerts = h("ul", { id: "alerts", class: "alerts", "aria-label": "Alerts", "aria-live": "polite" });
  private readonly tiles = new Tiles();
  private readonly instruments = h("tbody");
  private readonly latency = new Latency();
  private readonly reasons = h("tbody");
  private readonly journal = h("tbody");
  private readonly feeds = h("tbody");
  private readonly accounts = h("tbody");
  private readonly sessions = h("tbody");
  private readonly keys = h("tbody");
  private readonly figures = h("tbody");
  private readonly search = h("input", { type: "search", "aria-label": "Search figures", placeholder: "search" });
  private readonly audit = new Audit();
  private readonly proposals: Proposals;

  constructor(visitor: Who) {
    this.mayChange = visitor.operates;
    this.proposals = new Proposals(visitor.key, () => this.look());
    const main = h("main", { class: "operate", "data-view": "Overview" });
    const tabs = VIEWS.map((view) => h("button", { type: "button", role: "tab", "aria-selected": String(view === "Overview") }, view));
    tabs[VIEWS.indexOf("Proposals")]?.append(this.proposals.count);
    tabs.forEach((tab, index) =>
      tab.addEventListener("click", () => {
        this.view = VIEWS[index] ?? "Overview";
        main.dataset["view"] = this.view;
        tabs.forEach((other) => other.setAttribute("aria-selected", String(other === tab)));
        if (this.view === "Audit") void this.audit.ask(null);
        void this.look();
      }),
    );
    main.append(
      h("div", { class: "tabs", role: "tablist", "aria-label": "Views" }, ...tabs),
      this.alerts,
      this.tiles.element,
      within(
        h(
          "div",
          { class: "column" },
          panel("instruments", "Overview", "Instruments", ["Instrument", "Phase", "Collar", "Next on the calendar", ""], this.instruments),
          this.latency.element,
        ),
        "Overview",
      ),
      within(
        h(
          "div",
          { class: "column" },
          panel("reasons", "Overview", "Refused and throttled", ["Where", "Reason", "Since start"], this.reasons),
          panel("journal", "Overview", "Journal, archive, clock", ["", ""], this.journal),
          panel("feeds", "Overview", "Market data", ["", ""], this.feeds),
        ),
        "Overview",
      ),
      within(this.proposals.element, "Proposals"),
      panel("accounts", "Accounts", "Accounts", ["Account", "State", "Fee tier", "Orders at most", "Prevention", ""], this.accounts),
      panel("sessions", "Sessions", "Sessions", ["Session", "Key", "State", "Ended because", "Logged in, UTC"], this.sessions),
      panel("keys", "Keys", "Keys", ["Key", "Kind", "State", "Roles", "From"], this.keys),
      panel("figures", "Figures", "All figures", ["Name", "Labels", "Value"], this.figures, this.search),
      within(this.audit.element, "Audit"),
    );
    this.page = { tools: [this.ready], main };
    this.search.addEventListener("input", () => this.drawFigures());
    document.title = "Operate · Rialto";
    void this.look();
    setInterval(() => document.hidden || void this.look(), LOOK_EVERY_MS);
  }

  private async look(): Promise<void> {
    const isOfPeople = ["Accounts", "Sessions", "Keys"].includes(this.view);
    await Promise.all([this.venue.look(), isOfPeople ? this.venue.lookAtPeople().catch(() => undefined) : undefined]);
    this.draw();
  }

  private draw(): void {
    const { venue } = this;
    const isReady = venue.figures?.ready === true && !venue.isLost;
    say(this.ready, venue.isLost ? "no answer" : isReady ? "ready" : "not ready");
    this.ready.className = `tag ${isReady ? "good" : "warn"}`;
    this.drawAlerts();
    this.tiles.draw(venue);
    this.proposals.draw(venue);
    this.once(this.instruments, venue.instruments, (it) => this.instrument(it));
    this.latency.draw(venue.samples);
    this.once(this.reasons, refusals(venue), (it) => it);
    this.once(this.journal, journal(venue), (it) => it);
    this.once(this.feeds, feeds(venue), (it) => it);
    if (this.view === "Accounts") this.once(this.accounts, venue.accounts, (it) => this.account(it));
    if (this.view === "Sessions") this.once(this.sessions, [...venue.sessions].sort(openFirst), session);
    if (this.view === "Keys") this.once(this.keys, venue.keys, key);
    if (this.view === "Figures") this.drawFigures();
  }

  /** What looks the same stays: nobody loses a button under the finger. */
  private once<T>(body: HTMLElement, rows: readonly T[], row: (it: T) => string[] | HTMLElement): void {
    const text = JSON.stringify(rows);
    if (body.dataset["shown"] === text) return;
    body.dataset["shown"] = text;
    fill(body, rows.map((it) => {
      const made = row(it);
      return made instanceof HTMLElement ? made : cells(made);
    }));
  }

  private drawAlerts(): void {
    const found = this.venue.alerts();
    const text = JSON.stringify(found);
    if (this.alerts.dataset["shown"] === text) return;
    this.alerts.dataset["shown"] = text;
    const quiet = h("li", { class: "quiet" }, "Nothing needs attention.");
    fill(this.alerts, found.length === 0 ? [quiet] : found.map((it) => h("li", { class: it.tone }, h("strong", {}, it.title), h("span", {}, it.text))));
  }

  private instrument({ name, phase, protection, calendar }: Instrument): HTMLElement {
    const next = calendar[0];
    const is = (text: string, act: () => Promise<void>, kind = "small"): HTMLElement =>
      h("button", { type: "button", class: kind, "aria-label": `${text} ${name}`, onclick: () => void act().then(() => this.look()) }, text);
    const stop = phase === "Halted" ? is("Resume", () => changes.resume(name)) : is("Halt", () => changes.halt(name), "small danger");
    const actions = [stop, is("Phase", () => changes.phase(name, phase)), is("Cancel all", () => changes.cancelOf({ instrument: name }))];
    const tag = h("span", { class: `tag ${phase === "Continuous" ? "good" : "warn"}` }, words(phase));
    return h(
      "tr",
      { "data-instrument": name },
      h("td", {}, name),
      h("td", {}, tag),
      h("td", { class: "quiet" }, protection["collar"] ?? ""),
      h("td", { class: "quiet" }, next === undefined ? "–" : `${words(next.phase ?? "End of the day")}, ${next.at}`),
      h("td", { class: "action" }, ...(this.mayChange ? actions : [])),
    );
  }

  private account(row: AccountRow): HTMLElement {
    const { account } = row;
    const isBlocked = row.kill_switch === "Engaged";
    const is = (text: string, act: () => Promise<void>, kind = "small"): HTMLElement =>
      h("button", { type: "button", class: kind, "aria-label": `${text} account ${account}`, onclick: () => void act().then(() => this.look()) }, text);
    const stop = isBlocked ? is("Unblock", () => changes.unblock(account)) : is("Block", () => changes.kill(account), "small danger");
    const others = [is("Cancel all", () => changes.cancelOf({ account })), stop];
    return h(
      "tr",
      { "data-account": account },
      h("td", { class: "number" }, account),
      h("td", {}, account === FEES ? "takes the fees" : h("span", { class: `tag ${isBlocked ? "warn" : ""}` }, isBlocked ? "Blocked" : "Open")),
      h("td", { class: "number" }, row.fee_tier),
      h("td", { class: "number" }, row.open_orders_max === null ? "–" : count(row.open_orders_max)),
      h("td", { class: "quiet" }, String(row["self_trade_prevention"] ?? "as the instrument")),
      h("td", { class: "action" }, is("Balances", () => balances(account)), ...(this.mayChange && account !== FEES ? others : [])),
    );
  }

  private drawFigures(): void {
    const wanted = this.search.value.toLowerCase();
    const found = this.venue.figures?.figures.filter((it) => `${it.name} ${labels(it)}`.toLowerCase().includes(wanted)) ?? [];
    this.once(this.figures, found.map((it) => [it.name, labels(it), figure(it)]), (it) => it);
  }
}

async function balances(account: number): Promise<void> {
  const found = await get<{ asset: string; total: string }[]>(`operator/balances?account=${account}`).catch(() => []);
  const rows = found.map((it) => h("tr", {}, h("td", {}, it.asset), h("td", { class: "number", title: it.total }, brief(it.total, 8))));
  inform(`Account ${account}`, h("p", {}, "What it has, held by open orders or not."), h("table", {}, head(["Asset", "Total"]), h("tbody", {}, ...rows)));
}

function panel(name: string, view: View, title: string, names: readonly string[], body: HTMLElement, tool?: HTMLElement): HTMLElement {
  const section = h(
    "section",
    { class: `panel ${name}`, "aria-label": title },
    h("div", { class: "title" }, h("h2", {}, title), tool),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, h("table", {}, head(names), body)),
  );
  return within(section, view);
}

/** The views that an element is in. */
function within(element: HTMLElement, view: View): HTMLElement {
  element.dataset["in"] = view;
  return element;
}

function cells(texts: readonly string[]): HTMLElement {
  const isNumber = (text: string): boolean => /^[-\d.\u2009]+( (ns|µs|ms|s|B|KiB|MiB|GiB|TiB))?$/.test(text);
  return h("tr", {}, ...texts.map((text) => h("td", { class: isNumber(text) ? "number" : "" }, text)));
}

/** The few figures that an operator looks at first. */
class Tiles {
  readonly element = h("dl", { class: "tiles", "data-in": "Overview", "aria-label": "Key figures" });
  private readonly places = ["Orders a second", "Trades a second", "Refused a second", "p99, received to sent", "Subscribers", "Disk free", "History behind", "Commands"].map(
    (name) => {
      const value = h("dd", {}, "–");
      this.element.append(h("div", {}, h("dt", {}, name), value));
      return value;
    },
  );

  draw(venue: Venue): void {
    const rate = (value: number | null): string => (value === null ? "–" : value >= 100 ? count(value) : value.toFixed(1));
    const timed = venue.samples.map((sample) => sample.hops["all"]).filter((it) => it != null).at(-1);
    const lag = Math.max(0, venue.figure("sequence") - venue.figure("history_sequence"));
    const texts = [
      rate(venue.rate((it) => it.orders)),
      rate(venue.rate((it) => it.trades)),
      rate(venue.rate((it) => it.rejects)),
      timed === undefined ? "–" : nanoseconds(timed.p99),
      count(venue.figure("market_data_subscribers")),
      bytes(venue.figure("journal_disk_free_bytes")),
      count(lag),
      count(venue.figure("sequence")),
    ];
    this.places.forEach((place, index) => {
      say(place, texts[index] ?? "–");
      toggle(place, "worse", index === 2 && (venue.rate((it) => it.rejects) ?? 0) > 10);
    });
  }
}

const WHERE: readonly (readonly [string, string])[] = [
  ["rejects_total", "venue"],
  ["order_entry_refused_total", "order entry"],
  ["login_failures_total", "login"],
  ["connections_turned_away_total", "connection"],
  ["market_data_logon_failures_total", "market data"],
  ["market_data_closed", "subscriber closed"],
];

function refusals(venue: Venue): string[][] {
  const found = WHERE.flatMap(([name, where]) => venue.all(name).filter((it) => it.value > 0).map((it) => ({ where, it })));
  found.sort((one, other) => other.it.value - one.it.value);
  const rows = found.map(({ where, it }) => [where, words(it.labels["reason"] ?? ""), count(it.value)]);
  return rows.length === 0 ? [["–", "nothing was refused", "0"]] : rows;
}

const ADMISSION = ["everything", "cancels only", "nothing"];

function journal(venue: Venue): string[][] {
  const is = (name: string): string => (venue.figure(name) > 0 ? "yes" : "no");
  return [
    ["Taken", ADMISSION[venue.figure("journal_admission")] ?? "?"],
    ["Free on the disk", bytes(venue.figure("journal_disk_free_bytes"))],
    ["Commands not yet durable", count(venue.figure("durability_lag_commands"))],
    ["Commands that wait for the core", count(venue.figure("command_ring_waiting"))],
    ["Room without a new segment", bytes(venue.figure("journal_room_bytes"))],
    ["Segments ready", count(venue.figure("journal_spares"))],
    ["Damage found", is("journal_damaged")],
    ["Checked since the start", bytes(venue.figure("journal_checked_bytes"))],
    ["Archive failing", is("archive_failing")],
    ["Snapshots since the start", count(venue.figure("snapshots_taken"))],
    ["Last one behind command", count(venue.figure("snapshot_sequence"))],
    ["Steps of the clock", count(venue.figure("clock_steps"))],
    ["Clock ahead of the venue", nanoseconds(Math.abs(venue.figure("wall_clock_ahead_ns")))],
  ];
}

function feeds(venue: Venue): string[][] {
  return [
    ["Subscribers", count(venue.figure("market_data_subscribers"))],
    ["Refused as they came", count(venue.figure("market_data_refused"))],
    ["Closed by the venue", count(venue.figure("market_data_closed"))],
    ["Messages that wait for them", bytes(venue.figure("market_data_backlog_bytes"))],
    ["Gaps that they were told of", count(venue.figure("market_data_gaps_total"))],
    ["Closed, for they read too slowly", count(venue.all("market_data_closed").filter((it) => it.labels["reason"] === "TooSlow").reduce((sum, it) => sum + it.value, 0))],
  ];
}

function openFirst(one: SessionRow, other: SessionRow): number {
  const rank = (it: SessionRow): number => (it.state === "Established" ? 0 : 1);
  return rank(one) - rank(other) || one.session - other.session;
}

function session(row: SessionRow): HTMLElement {
  const tag = h("span", { class: `tag ${row.state === "Established" ? "good" : ""}` }, words(row.state));
  return h(
    "tr",
    { "data-session": row.session },
    h("td", { class: "number" }, row.session),
    h("td", { class: "number" }, row.key),
    h("td", {}, tag),
    h("td", { class: "quiet" }, row.ended === null ? "–" : words(row.ended)),
    h("td", { class: "quiet" }, login(row.login)),
  );
}

/** A login's number is the time in nanoseconds, of those who make it so. */
function login(version: number): string {
  return version < 1e18 ? String(version) : `${new Date(version / 1e6).toISOString().slice(0, 19).replace("T", " ")}`;
}

function key(row: KeyRow): HTMLElement {
  const roles = row.roles.map(({ role, account }) => `${words(role)}${account === null ? "" : ` of ${account}`}`).join(", ");
  return h(
    "tr",
    { "data-key": row.key },
    h("td", { class: "number" }, row.key),
    h("td", {}, row.kind),
    h("td", {}, h("span", { class: `tag ${row.state === "Valid" ? "" : "warn"}` }, row.state)),
    h("td", {}, roles === "" ? "–" : roles),
    h("td", { class: "quiet" }, row.networks.length === 0 ? "anywhere" : row.networks.join(", ")),
  );
}

function labels(figure: Figure): string {
  return Object.entries(figure.labels).map(([name, value]) => `${name} ${value}`).join(", ");
}

function figure({ name, value }: Figure): string {
  return name.endsWith("_seconds_sum") ? nanoseconds(value * 1e9) : Number.isInteger(value) ? count(value) : String(value);
}
