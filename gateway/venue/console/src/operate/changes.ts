// What an operator does: each asks first, says what will happen, and wants a reason.

import { ApiError, post, requestName } from "../api";
import { confirm, note, type Consent, type Question } from "../chrome";
import { words } from "../dom";
import { sentence } from "../trade/ticket";
import type { Proposal } from "./venue";

const PHASES = [
  "PreOpen", "OpeningCall", "Continuous", "VolatilityCall", "ClosingCall", "NoCancel", "PostOnly", "LimitOnly", "CancelOnly",
  "Halted", "Closed",
];

/** What each phase means to those who trade. */
const MEANING: Record<string, string> = {
  PreOpen: "Orders are taken and stand; nothing trades.",
  OpeningCall: "Orders are collected for the opening auction; nothing trades until it ends.",
  Continuous: "Orders trade at once, by price and time.",
  VolatilityCall: "Orders are collected for an auction; nothing trades until it ends.",
  ClosingCall: "Orders are collected for the closing auction; nothing trades until it ends.",
  NoCancel: "As in a call, and nothing may be cancelled or amended.",
  PostOnly: "Only orders that rest are taken.",
  LimitOnly: "Only limit orders are taken.",
  CancelOnly: "Orders may only be cancelled.",
  Halted: "Orders may only leave or shrink; nothing trades.",
  Closed: "Nothing is taken.",
};

interface DryRun {
  readonly needs_approval: boolean;
  readonly effect: { readonly orders_open?: number; readonly orders_cancelled?: number };
}

/** What the venue would do, in its own figures. */
async function wouldDo(path: string, fields: object, isProposed: boolean): Promise<string[]> {
  const body = { reason: "dry run", change: fields };
  const { needs_approval, effect } = await post<DryRun>(`operator/change/${path}?dry-run=true`, body, { "rialto-request": "0" });
  const orders = (count: number): string => (count === 1 ? "1 order" : `${count} orders`);
  return [
    effect.orders_cancelled === undefined ? "" : `At the moment that is ${orders(effect.orders_cancelled)}.`,
    effect.orders_open === undefined ? "" : `${orders(effect.orders_open)} ${effect.orders_open === 1 ? "is" : "are"} open there at the moment.`,
    needs_approval && !isProposed ? "It needs a second key: it waits until another operator approves it." : "",
  ].filter((line) => line !== "");
}

/** Asks, with what the venue would do; null: no, or it would not. */
async function consented(question: Question, path: string, fields: object, isProposed = false): Promise<Consent | null> {
  let effect: string[];
  try {
    effect = await wouldDo(path, fields, isProposed);
  } catch (error) {
    refused(error as ApiError);
    return null;
  }
  return confirm({ ...question, says: [...question.says, ...effect] });
}

async function change(question: Question, path: string, fields: (choice: string) => object, done: string): Promise<void> {
  const consent = await consented({ ...question, needsReason: true }, path, fields(question.choice?.options[0] ?? ""));
  if (consent === null) return;
  const body = { reason: consent.reason, change: fields(consent.choice) };
  // The journal makes a request of one name once, however often it is sent.
  const name = requestName();
  try {
    const said = await again(() => post<Event | Proposal>(`operator/change/${path}`, body, { "rialto-request": name }));
    if (said === "made before") note("good", "It was made the first time", "The answer was lost with the connection; the audit shows what came of it.");
    else if ("event" in said) note("good", done, `${words(said.event)}, command ${said.sequence}.`);
    else note("plain", "It waits for a second key", `Others who may do it find it under Proposals, as number ${said.id}.`);
  } catch (error) {
    refused(error as ApiError);
  }
}

interface Event {
  readonly event: string;
  readonly sequence: number;
}

function refused(error: ApiError): void {
  note("bad", `Refused: ${words(error.reason)}`, sentence(error.message));
}

/** Makes what waits happen: the change's author is this session's key. */
export async function approve(proposal: Proposal, title: string): Promise<void> {
  const { by, path, change, reason } = proposal;
  const says = [sentence(proposal.summary ?? path), sentence(`${path}, ${fields(change)}`), `Proposed by key ${by}: “${reason}”.`, "It is made at once, with your key as its author."];
  const consent = await consented({ title: `Approve: ${title}?`, says, confirm: "Approve" }, path, change, true);
  if (consent !== null) await decide("approve", proposal, `Approved: ${title}`);
}

/** What a change says, all of it. */
export function fields(change: Proposal["change"]): string {
  const said = Object.entries(change).filter(([, value]) => value !== null && value !== false);
  return said.map(([name, value]) => `${name.replaceAll("_", " ")} ${String(value)}`).join(", ");
}

/** Nothing comes of what waits. */
export async function reject(proposal: Proposal, title: string, isOwn: boolean): Promise<void> {
  const says = ["Nothing comes of it. Whoever wants it still has to propose it again."];
  const [verb, done] = isOwn ? ["Take back", "Taken back"] : ["Reject", "Rejected"];
  const consent = await confirm({ title: `${verb}: ${title}?`, says, confirm: verb, isDangerous: true });
  if (consent !== null) await decide("reject", proposal, `${done}: ${title}`);
}

async function decide(decision: "approve" | "reject", { id }: Proposal, done: string): Promise<void> {
  const name = requestName();
  try {
    const said = await again(() => post<Partial<Event>>(`operator/proposal/${decision}`, { proposal: id }, { "rialto-request": name }));
    if (said === "made before") note("good", "It is decided", "The answer was lost with the connection; the audit shows what came of it.");
    else note("good", done, said.event === undefined ? "" : `${words(said.event)}, command ${said.sequence}.`);
  } catch (error) {
    refused(error as ApiError);
  }
}

/** Once more where the connection broke: the request's name keeps it from being made twice, and tells if it was made. */
async function again<T>(ask: () => Promise<T>): Promise<T | "made before"> {
  try {
    return await ask();
  } catch (error) {
    if ((error as ApiError).status !== 0) throw error;
  }
  try {
    return await ask();
  } catch (error) {
    // A proposal that is decided is told of before the name is looked at.
    if (["DuplicateRequest", "ProposalDecided"].includes((error as ApiError).reason)) return "made before";
    throw error;
  }
}

export function halt(instrument: string): Promise<void> {
  return change(
    {
      title: `Halt ${instrument}?`,
      says: ["Matching stops at once. Orders may only leave or shrink until trading is resumed.", "Open orders stay. Everybody is told of the new phase."],
      confirm: "Halt",
      isDangerous: true,
    },
    "instrument/halt",
    () => ({ instrument }),
    `${instrument} is halted`,
  );
}

export function resume(instrument: string): Promise<void> {
  return change(
    {
      title: `Resume ${instrument}?`,
      says: ["Continuous trading goes on at once, without an auction first.", "Orders that rest may trade with what comes next."],
      confirm: "Resume",
    },
    "instrument/resume",
    () => ({ instrument }),
    `${instrument} trades again`,
  );
}

export function phase(instrument: string, now: string): Promise<void> {
  const options = PHASES.filter((it) => it !== now);
  return change(
    {
      title: `Change the phase of ${instrument}`,
      says: [`It is ${words(now)} now.`, ...options.map((it) => `${words(it)}: ${MEANING[it]}`)],
      confirm: "Change",
      choice: { label: "To", options },
    },
    "instrument/phase",
    (chosen) => ({ instrument, phase: chosen }),
    `The phase of ${instrument} is changed`,
  );
}

export function kill(account: number): Promise<void> {
  return change(
    {
      title: `Block account ${account}?`,
      says: ["Every open order of the account is cancelled, in all instruments.", "It may enter nothing until it is unblocked."],
      confirm: "Block and cancel",
      isDangerous: true,
    },
    "account/kill",
    () => ({ account }),
    `Account ${account} is blocked`,
  );
}

export function unblock(account: number): Promise<void> {
  return change(
    { title: `Unblock account ${account}?`, says: ["It may enter orders again. What was cancelled does not come back."], confirm: "Unblock" },
    "account/unblock",
    () => ({ account }),
    `Account ${account} may trade again`,
  );
}

export function cancelOf(what: { account?: number; instrument?: string }): Promise<void> {
  const whose = what.account === undefined ? `in ${what.instrument}` : `of account ${what.account}`;
  return change(
    {
      title: `Cancel every order ${whose}?`,
      says: [`Every open order ${whose} is cancelled, oldest first. Nobody is blocked: new orders are taken as before.`],
      confirm: "Cancel orders",
      isDangerous: true,
    },
    "order/mass-cancel",
    () => what,
    `Orders ${whose} are cancelled`,
  );
}
