// Elements from a few words. Text is text: nothing here reads markup.

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: never) => void)>;

/** `h("button", { class: "quiet", onclick: … }, "Cancel")`. Attributes that are false, null or undefined are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value as EventListener);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(toNode));
  return element;
}

function toNode(child: Child): Node | string {
  return typeof child === "number" ? String(child) : (child as Node | string);
}

/** Writes only what is different: what is read aloud or selected stays. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function toggle(element: Element, name: string, isOn: boolean): void {
  if (element.classList.contains(name) !== isOn) element.classList.toggle(name, isOn);
}

/** Children are replaced only if they would look different. */
export function fill(element: Element, children: readonly Node[]): void {
  element.replaceChildren(...children);
}

/** A colour of the style sheet, as a canvas takes it. */
export function colour(name: string): string {
  let probe = document.getElementById("probe");
  if (probe === null) {
    probe = h("i", { id: "probe", hidden: true });
    document.body.append(probe);
  }
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC",
});
const day = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: "UTC" });

/** Nanoseconds since 1970 in a text, as a time of day, UTC. */
export function timeOfDay(nanoseconds: string): string {
  return clock.format(Number(BigInt(nanoseconds) / 1_000_000n));
}

export function dateAndTime(nanoseconds: string): string {
  const milliseconds = Number(BigInt(nanoseconds) / 1_000_000n);
  return `${day.format(milliseconds)} ${clock.format(milliseconds)}`;
}

const short = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });

/** Times along an axis, seconds since 1970, as short as they can be told apart. */
export function axisTimes(values: readonly number[]): string[] {
  const step = (values[1] ?? 60) - (values[0] ?? 0);
  return values.map((value) => (step < 60 ? clock : short).format(value * 1000));
}

/** `PriceOffTick` as `Price off tick`. */
export function words(name: string): string {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1).toLowerCase();
}
