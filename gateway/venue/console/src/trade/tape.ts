// The last trades, newest first.

import { fixed, places } from "../decimal";
import { fill, h } from "../dom";
import type { Market } from "../feed";

const ROWS = 60;

export class Tape {
  readonly element: HTMLElement;
  private readonly body = h("tbody");

  constructor() {
    this.element = h(
      "section",
      { class: "panel tape", "aria-label": "Trades" },
      h("h2", {}, "Trades"),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Trades since this page was opened" },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, ...["Time", "Price", "Size"].map((name) => h("th", { scope: "col" }, name)))),
          this.body,
        ),
      ),
    );
  }

  draw(market: Market): void {
    const shown = market.matches.slice(0, ROWS);
    const digits = Math.max(2, ...shown.map((match) => places(match.size)));
    const rows = shown.map((match) => {
      // The side of the order that came is the other one.
      const took = match.side === undefined ? "" : match.side === "buy" ? "sell" : "buy";
      return h(
        "tr",
        {},
        h("td", {}, match.time.slice(11, 19)),
        h("td", { class: took }, match.price),
        h("td", {}, fixed(match.size, digits)),
      );
    });
    fill(this.body, rows);
  }
}
