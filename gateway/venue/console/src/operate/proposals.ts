// What waits for a second key: each with what it would do, whose it is, and what this session's key may do about it.

import { dateAndTime, fill, h, say, words } from "../dom";
import { sentence } from "../trade/ticket";
import { approve, fields, reject } from "./changes";
import type { Not, Proposal, Venue } from "./venue";

export class Proposals {
  readonly element: HTMLElement;
  /** How many wait, for the tab. */
  readonly count = h("span", { class: "count" });
  private readonly list = h("ul", { id: "proposals" });
  private readonly region: HTMLElement;
  private readonly key: number;
  private readonly look: () => Promise<void>;
  private shown = "";

  constructor(key: number, look: () => Promise<void>) {
    this.key = key;
    this.look = look;
    this.region = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "What waits" }, this.list);
    const title = h("div", { class: "title" }, h("h2", {}, "Proposals"), h("span", { class: "quiet" }, "Changes that wait for a second key. Times are UTC."));
    this.element = h("section", { class: "panel proposals", "aria-label": "Proposals" }, title, this.region);
  }

  draw(venue: Venue): void {
    const waiting = venue.proposals.map((proposal) => ({ proposal, title: called(proposal, venue) }));
    say(this.count, waiting.length === 0 ? "" : ` ${waiting.length}`);
    const text = JSON.stringify(waiting);
    if (this.shown === text) return;
    this.shown = text;
    const hadFocus = this.list.contains(document.activeElement);
    const none = h("li", { class: "empty" }, "Nothing waits for a second key.");
    fill(this.list, waiting.length === 0 ? [none] : waiting.map(({ proposal, title }) => this.item(proposal, title)));
    // Whoever has just decided by keyboard goes on from here.
    if (hadFocus) this.region.focus();
  }

  private item(proposal: Proposal, title: string): HTMLElement {
    const { id, by, path, change, reason, proposed_at, expires_at, not_approved, not_rejected } = proposal;
    const isOwn = by === this.key;
    const facts: readonly (readonly [string, string])[] = [
      ["Change", `${path}, ${fields(change)}`],
      ["Reason", reason],
      ["Proposed", `by key ${by}${isOwn ? ", which is yours" : ""}, ${dateAndTime(proposed_at)}`],
      ["Lapses", dateAndTime(expires_at)],
    ];
    const is = (text: string, kind: string, act: () => Promise<void>): HTMLElement =>
      h("button", { type: "button", class: kind, "aria-label": `${text} proposal ${id}`, onclick: () => void act().then(this.look) }, text);
    return h(
      "li",
      { "data-proposal": id },
      h("h3", {}, title, h("span", { class: "tag" }, `Proposal ${id}`)),
      proposal.summary?.startsWith(title) !== true && h("p", {}, sentence(proposal.summary ?? "")),
      h("dl", {}, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      h(
        "div",
        { class: "actions" },
        not_approved === null && is("Approve", "primary", () => approve(proposal, title)),
        not_rejected === null && is(isOwn ? "Take back" : "Reject", "danger", () => reject(proposal, title, isOwn)),
        not_approved !== null && h("span", { class: "quiet" }, why(not_approved, id)),
      ),
    );
  }
}

/** A change in a few words: those of the buttons where there is a button, else what it is about, or the door's own. */
function called({ path, change, summary }: Proposal, venue: Venue): string {
  const { instrument, account, asset, amount, number } = change;
  const name = venue.instruments.find((it) => String(it.instrument) === String(instrument))?.name ?? String(instrument);
  const session = change["session"];
  const by = session == null ? "" : ` of session ${String(session)}`;
  const of = [account == null ? "" : ` of account ${account}`, by, instrument == null ? "" : ` in ${name}`].join("");
  const role = words(String(change["role"])).toLowerCase();
  const titles: Readonly<Record<string, string>> = {
    "instrument/halt": `Halt ${name}`,
    "instrument/resume": `Resume ${name}`,
    "instrument/phase": `Change the phase of ${name} to ${words(String(change["phase"])).toLowerCase()}`,
    "account/kill": `Block account ${account}`,
    "account/unblock": `Unblock account ${account}`,
    "account/withdraw": `Take ${amount} ${asset} out of account ${account}`,
    "account/deposit": `Bring ${amount} ${asset} into account ${account}`,
    "account/adjust": `Correct account ${account}: ${change["direction"]} of ${amount} ${asset}`,
    "order/mass-cancel": `Cancel every ${change["side"] == null ? "" : `${words(String(change["side"])).toLowerCase()} `}order${of}`,
    "trade/bust": `Reverse trade ${change["trade"]}${of}`,
    "key/grant": `Let key ${number} act as ${role}${of}`,
    "key/revoke-role": `Stop key ${number} from acting as ${role}${of}`,
    "key/revoke": `Forget key ${number}`,
  };
  return titles[path] ?? (summary ?? path).split(/[.:]/)[0] ?? path;
}

/** Why nobody is offered to approve, in the door's words where it has some. */
function why({ error, reason, text }: Not, id: number): string {
  if (error === "NotEntitled") return "Your key has no role for this.";
  if (error === "NeedsSignature") return sentence(`${text} ${id}`);
  return sentence(text ?? `As things are it would be refused: ${words(reason ?? error)}`);
}
