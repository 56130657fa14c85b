// Who did what, when and why: from the event history, a page at a time.

import { ApiError, get } from "../api";
import { dateAndTime, fill, h, say, words } from "../dom";
import { head } from "../trade/blotter";
import { sentence } from "../trade/ticket";
import { count } from "./venue";

interface Happened {
  readonly sequence: number;
  readonly index: number;
  readonly time: string;
  readonly event: string;
  readonly author: number | null;
  readonly reason: string | null;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Answer {
  readonly events: readonly Happened[];
  /** A command, or an event of one: `1000.17`. */
  readonly more_before: string | null;
}

/** Said elsewhere in a row, or of no use to a reader. */
const LEFT_OUT = new Set(["sequence", "time", "event", "author", "note", "idempotency_key", "report"]);

export class Audit {
  readonly element: HTMLElement;
  private readonly of = h("select", { id: "audit-of" }, ...["everything", "account", "order", "session", "instrument"].map((it) => h("option", {}, it)));
  private readonly which = h("input", { id: "audit-which", type: "text", size: 12, autocomplete: "off", disabled: true, placeholder: "number" });
  private readonly flow = h("input", { id: "audit-flow", type: "checkbox" });
  private readonly body = h("tbody");
  private readonly said = h("p", { class: "more", role: "status" }, "");
  private readonly more = h("button", { type: "button", class: "small", hidden: true, onclick: () => void this.ask(this.before) }, "Further back");
  private before: string | null = null;

  constructor() {
    const form = h(
      "form",
      { class: "filter" },
      h("label", { for: "audit-of" }, "Of"),
      this.of,
      h("label", { for: "audit-which", class: "unseen" }, "Which"),
      this.which,
      this.flow,
      h("label", { for: "audit-flow" }, "with order flow"),
      h("button", { type: "submit", class: "small" }, "Look"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.ask(null);
    });
    this.of.addEventListener("change", () => {
      const isAll = this.of.value === "everything";
      this.which.disabled = isAll;
      this.which.placeholder = this.of.value === "instrument" ? "name" : "number";
      this.flow.checked = !isAll;
    });
    this.element = h(
      "section",
      { class: "panel audit", "aria-label": "Audit" },
      h("div", { class: "title" }, h("h2", {}, "Audit"), form),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Events" },
        h("table", { id: "audit" }, head(["Time, UTC", "Command", "Key", "What", "Reason", "Fields"]), this.body),
        h("div", { class: "foot" }, this.said, this.more),
      ),
    );
  }

  /** From the newest, or behind what is shown. */
  async ask(before: string | null): Promise<void> {
    const asked = new URLSearchParams();
    if (this.of.value !== "everything") {
      asked.set("of", this.of.value);
      asked.set("which", this.which.value.trim());
    }
    if (before !== null) asked.set("before", before);
    if (this.flow.checked) asked.set("everything", "1");
    try {
      const { events, more_before } = await get<Answer>(`operator/audit?${asked}`);
      if (before === null) fill(this.body, events.map(row));
      else this.body.append(...events.map(row));
      this.before = more_before;
      this.more.hidden = more_before === null;
      const shown = this.body.childElementCount;
      say(this.said, more_before === null ? `${shown} events; that is all there is.` : `${shown} events, back to command ${place(more_before)}.`);
    } catch (error) {
      const refused = error as ApiError;
      fill(this.body, []);
      this.more.hidden = true;
      say(this.said, `${words(refused.reason)}. ${sentence(refused.message)}`);
    }
  }
}

/** `1000.17` with its command's digits in groups. */
function place(before: string): string {
  const [command = "", index] = before.split(".");
  return index === undefined ? count(Number(command)) : `${count(Number(command))}, event ${index}`;
}

function row(happened: Happened): HTMLElement {
  const fields: string[] = [];
  told("", happened.fields, fields);
  const text = fields.join("  ");
  return h(
    "tr",
    {},
    h("td", {}, dateAndTime(happened.time)),
    h("td", { class: "number" }, `${happened.sequence}.${happened.index}`),
    h("td", { class: "number" }, happened.author ?? "–"),
    h("td", {}, words(happened.event)),
    h("td", {}, happened.reason ?? ""),
    h("td", { class: "fields quiet", title: text }, text),
  );
}

/** What an event says, without what is absent: `instrument 1  to Halted`. */
function told(prefix: string, fields: Readonly<Record<string, unknown>>, out: string[]): void {
  for (const [name, value] of Object.entries(fields)) {
    if (LEFT_OUT.has(name) || value === null || value === "" || value === 0) continue;
    if (typeof value === "object") told(name === "command" ? prefix : `${prefix}${name}.`, value as Record<string, unknown>, out);
    else out.push(`${prefix}${name} ${value}`);
  }
}
