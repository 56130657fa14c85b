// Decimals in texts, exact. A number of the language is made of one only where something is drawn.

export interface Exact {
  readonly units: bigint;
  readonly places: number;
}

/** `null`: it is no decimal. */
export function parse(text: string): Exact | null {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text.trim());
  if (match === null) return null;
  const [, sign = "", whole = "", fraction = ""] = match;
  const units = BigInt(whole + fraction);
  return { units: sign === "-" ? -units : units, places: fraction.length };
}

export function write({ units, places }: Exact): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  const point = digits.length - places;
  return places === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

function at(exact: Exact, places: number): bigint {
  return exact.units * 10n ** BigInt(places - exact.places);
}

export function add(one: Exact, other: Exact): Exact {
  const places = Math.max(one.places, other.places);
  return { units: at(one, places) + at(other, places), places };
}

export function times(one: Exact, other: Exact): Exact {
  return { units: one.units * other.units, places: one.places + other.places };
}

/** Digits behind the point that say something. */
export function places(text: string): number {
  return (/\.(\d*?)0*$/.exec(text)?.[1] ?? "").length;
}

/** Without zeros at the end. */
export function short(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** With so many digits behind the point. Only zeros are left out: a text that has more stays longer. */
export function fixed(text: string, wanted: number): string {
  const [whole = "", fraction = ""] = text.split(".");
  const kept = fraction.slice(0, Math.max(wanted, places(text))).padEnd(wanted, "0");
  return kept === "" ? whole : `${whole}.${kept}`;
}

/** For reading: so many digits at most, the rest cut off, and the sign of a cut. The whole stands in the title. */
export function brief(text: string, most: number): string {
  const [whole = "", fraction = ""] = short(text).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
  if (fraction === "") return grouped;
  return `${grouped}.${fraction.slice(0, most)}${fraction.length > most ? "…" : ""}`;
}

/** A text so many steps on; what is not on a step goes to the next one. */
export function stepped(text: string, step: string, count: number): string {
  const [value, unit] = [parse(text) ?? { units: 0n, places: 0 }, parse(step)];
  if (unit === null || unit.units === 0n) return text;
  const scale = Math.max(value.places, unit.places);
  const [units, by] = [at(value, scale), at(unit, scale)];
  const moved = (units / by + BigInt(count)) * by;
  return fixed(write({ units: moved < by ? by : moved, places: scale }), unit.places);
}
