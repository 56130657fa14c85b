// What the operator's page knows of the venue: asked for every few seconds, and what follows from it.

import { get } from "../api";

export interface Figure {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Figures {
  readonly at_ms: number;
  readonly ready: boolean;
  readonly figures: readonly Figure[];
}

export interface Hop {
  readonly count: number;
  /** Nanoseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface Sample {
  readonly at_ms: number;
  readonly trades: number;
  readonly orders: number;
  readonly cancels: number;
  readonly rejects: number;
  readonly events: number;
  readonly sequence: number;
  readonly history_sequence: number;
  readonly subscribers: number;
  readonly free: number;
  readonly room: number;
  readonly wall_ahead_ns: number;
  readonly clock_steps: number;
  readonly hops: Readonly<Record<string, Hop | null>>;
}

export interface Instrument {
  readonly instrument: number;
  readonly name: string;
  readonly phase: string;
  readonly tick: string;
  readonly lot: string;
  readonly protection: Readonly<Record<string, string>>;
  readonly calendar: readonly { readonly at: string; readonly phase: string | null }[];
}

export interface AccountRow {
  readonly account: number;
  readonly kill_switch: string;
  readonly fee_tier: number;
  readonly open_orders_max: number | null;
  readonly [field: string]: unknown;
}

export interface SessionRow {
  readonly session: number;
  readonly key: number;
  readonly state: string;
  readonly ended: string | null;
  readonly login: number;
}

export interface KeyRow {
  readonly key: number;
  readonly kind: string;
  readonly state: string;
  readonly roles: readonly { readonly role: string; readonly account: number | null }[];
  readonly networks: readonly string[];
}

/** Why something is not to be had, as the door says it. */
export interface Not {
  readonly error: string;
  readonly reason?: string;
  readonly text?: string;
}

/** A change that waits for a second key, and what this session's key may not do about it. */
export interface Proposal {
  readonly id: number;
  readonly by: number;
  readonly path: string;
  /** What changes of this kind do. */
  readonly summary: string | null;
  readonly change: Readonly<Record<string, unknown>>;
  readonly reason: string;
  /** Nanoseconds since 1970. */
  readonly proposed_at: string;
  readonly expires_at: string;
  readonly not_approved: Not | null;
  readonly not_rejected: Not | null;
}

export interface Alert {
  readonly tone: "bad" | "warn";
  readonly title: string;
  readonly text: string;
}

const SAMPLES_MAX = 720;
const GIB = 2 ** 30;

export class Venue {
  figures: Figures | null = null;
  samples: Sample[] = [];
  instruments: Instrument[] = [];
  accounts: AccountRow[] = [];
  sessions: SessionRow[] = [];
  keys: KeyRow[] = [];
  proposals: Proposal[] = [];
  isLost = false;

  /** Everything that the overview shows. */
  async look(): Promise<void> {
    try {
      const behind = this.samples.at(-1)?.at_ms ?? 0;
      const [figures, samples, instruments, proposals] = await Promise.all([
        get<Figures>("operator/figures"),
        get<Sample[]>(`operator/samples?behind=${behind}`),
        rows<Instrument>("instruments"),
        rows<Proposal>("proposals"),
      ]);
      this.figures = figures;
      this.samples = [...this.samples, ...samples].slice(-SAMPLES_MAX);
      this.instruments = instruments;
      this.proposals = proposals;
      this.isLost = false;
    } catch {
      this.isLost = true;
    }
  }

  async lookAtPeople(): Promise<void> {
    const [accounts, sessions, keys] = await Promise.all([
      rows<AccountRow>("accounts"), rows<SessionRow>("sessions"), rows<KeyRow>("keys"),
    ]);
    Object.assign(this, { accounts, sessions, keys });
  }

  /** One figure, all of its series added up. */
  figure(name: string): number {
    return this.all(name).reduce((sum, { value }) => sum + value, 0);
  }

  all(name: string): readonly Figure[] {
    return this.figures?.figures.filter((figure) => figure.name === `rialto_${name}`) ?? [];
  }

  /** How many a second, over the last samples. */
  rate(pick: (sample: Sample) => number): number | null {
    const [last, before] = [this.samples.at(-1), this.samples.at(-4) ?? this.samples[0]];
    if (last === undefined || before === undefined || last === before) return null;
    return (1000 * (pick(last) - pick(before))) / (last.at_ms - before.at_ms);
  }

  /** What somebody should look at, the worst first. */
  alerts(): Alert[] {
    if (this.isLost) return [{ tone: "bad", title: "The venue does not answer", text: "What is shown is from before." }];
    if (this.figures === null) return [];
    const found: Alert[] = [];
    const say = (isSo: boolean, tone: Alert["tone"], title: string, text: string): void => {
      if (isSo) found.push({ tone, title, text });
    };
    const admission = this.figure("journal_admission");
    const free = this.figure("journal_disk_free_bytes");
    const ahead = this.figure("wall_clock_ahead_ns");
    const steps = this.figure("clock_steps");
    const lag = this.figure("sequence") - this.figure("history_sequence");
    say(!this.figures.ready, "bad", "Not ready", "The venue takes no orders.");
    say(this.figure("journal_damaged") > 0, "bad", "The journal is damaged", "What the start had passed over has damage in it: rialto journal verify says where.");
    say(admission === 2, "bad", "The journal's disk is full", "Nothing is taken. Free space on it.");
    say(admission === 1, "bad", "The journal's disk fills", "Only cancels are taken. Free space on it.");
    say(this.figure("journal_failed") > 0, "bad", "The journal has failed", "A write did not get to the disk. Nothing more is taken; restart the venue once the disk is well.");
    say(this.figure("archive_failing") > 0, "bad", "The archive fails", "Event history or snapshots do not come along.");
    say(admission === 0 && free >= 0 && free < 5 * GIB, "warn", "Little room on the journal's disk", `${bytes(free)} are free.`);
    say(steps > 0, "warn", "The clock was set", `${steps} ${steps === 1 ? "step was" : "steps were"} not followed since the start.`);
    say(Math.abs(ahead) > 1e9, "warn", "The clock is off", `The venue's time is ${nanoseconds(Math.abs(ahead))} ${ahead > 0 ? "behind" : "ahead of"} the machine's.`);
    say(lag > 100_000, "warn", "The event history is behind", `By ${count(lag)} commands.`);
    for (const { name, phase } of this.instruments) {
      say(phase === "Halted", "warn", `${name} is halted`, "Orders may only leave or shrink.");
    }
    const [first] = this.proposals;
    if (first !== undefined) {
      const waiting = this.proposals.length;
      say(true, "warn", waiting === 1 ? "A change waits for a second key" : `${waiting} changes wait for a second key`, `See Proposals. The first is by key ${first.by}: “${first.reason}”.`);
    }
    return found;
  }
}

/** All rows of a list, which come a thousand at a time. */
async function rows<T extends object>(list: string): Promise<T[]> {
  const found: T[] = [];
  let after = 0;
  for (;;) {
    const more = await get<T[]>(`operator/list/${list}?after=${after}`);
    const last = more.at(-1);
    found.push(...more);
    if (last === undefined || more.length < 1000) return found;
    // A row begins with its number.
    after = Number(Object.values(last)[0]);
  }
}

export function bytes(value: number): string {
  if (value < 0) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

export function nanoseconds(value: number): string {
  if (value < 1e3) return `${value.toFixed(0)} ns`;
  if (value < 1e6) return `${(value / 1e3).toPrecision(3)} µs`;
  if (value < 1e9) return `${(value / 1e6).toPrecision(3)} ms`;
  return `${(value / 1e9).toPrecision(3)} s`;
}

export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");
}
