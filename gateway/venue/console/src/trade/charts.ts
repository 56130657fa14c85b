// What is drawn: candles of the trades that were seen, and the depth of the book. Numbers here are for drawing only.

import uPlot from "uplot";
import { onTheme } from "../chrome";
import { axisTimes, colour, h } from "../dom";
import type { Level, Market, Match } from "../feed";

type Candle = { at: number; open: number; high: number; low: number; close: number; volume: number };

const CANDLES_MAX = 400;
const SECONDS = [5, 15, 60, 300] as const;
const NAMES: Record<number, string> = { 5: "5 s", 15: "15 s", 60: "1 min", 300: "5 min" };
const MATCHES_MAX = 20_000;
const BARS_MIN = 36;
const BARS_MAX = 110;

function axis(size: number, extra: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    size,
    font: "11px system-ui, sans-serif",
    stroke: () => colour("quiet"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
    ...extra,
  };
}

/** A chart as large as its place, and as large as that becomes. */
function placed(place: HTMLElement, options: Omit<uPlot.Options, "width" | "height">, data: uPlot.AlignedData): uPlot {
  const size = () => ({ width: Math.max(place.clientWidth, 120), height: Math.max(place.clientHeight, 80) });
  const plot = new uPlot({ ...options, ...size() }, data, place);
  new ResizeObserver(() => plot.setSize(size())).observe(place);
  onTheme(() => plot.redraw(false));
  return plot;
}

export class Candles {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "chart", role: "img", "aria-label": "Candles of the trades since this page was opened" });
  private readonly empty = h("p", { class: "empty" }, "Candles begin with the first trade after the page was opened.");
  private readonly trades: { at: number; price: number; size: number }[] = [];
  private seconds: number = Number(sessionStorage.getItem("rialto-candles") ?? 5);
  private plot: uPlot | null = null;
  private candles: Candle[] = [];

  constructor() {
    const buttons = SECONDS.map((seconds) => {
      const button = h("button", { type: "button", "aria-pressed": String(seconds === this.seconds) }, NAMES[seconds]);
      button.addEventListener("click", () => {
        this.seconds = seconds;
        sessionStorage.setItem("rialto-candles", String(seconds));
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        this.draw();
      });
      return button;
    });
    this.element = h(
      "section",
      { class: "panel candles", "aria-label": "Candles" },
      h("div", { class: "title" }, h("h2", {}, "Price"), h("div", { class: "choice", role: "group", "aria-label": "Candles of" }, ...buttons)),
      h("div", { class: "canvas" }, this.place, this.empty),
    );
  }

  clear(): void {
    this.trades.length = 0;
    this.draw();
  }

  take(match: Match): void {
    this.trades.push({ at: Date.parse(match.time) / 1000, price: Number(match.price), size: Number(match.size) });
    if (this.trades.length > MATCHES_MAX) this.trades.shift();
  }

  draw(): void {
    this.candles = candles(this.trades, this.seconds);
    this.empty.hidden = this.candles.length > 0;
    const of = (pick: (candle: Candle) => number): number[] => this.candles.map(pick);
    const data: uPlot.AlignedData = [of((it) => it.at), of((it) => it.high), of((it) => it.low), of((it) => it.volume)];
    if (this.plot === null) {
      if (!this.place.isConnected || this.candles.length === 0) return;
      this.plot = placed(this.place, this.options(), data);
    } else this.plot.setData(data);
  }

  private options(): Omit<uPlot.Options, "width" | "height"> {
    const none = (): null => null;
    return {
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: true },
      legend: { show: false },
      padding: [8, 0, 0, 4],
      scales: {
        x: { range: (_, first, last) => this.span(first, last) },
        y: {
          range: (_, low, high) => {
            const margin = Math.max((high - low) * 0.08, high * 1e-6);
            return [low - margin, high + margin];
          },
        },
        v: { range: (_, __, high) => [0, high * 5] },
      },
      axes: [axis(24, { space: 80, values: (_, values) => axisTimes(values) }), axis(74, { side: 1, space: 34, values: (_, values) => values.map((it) => decimals(values, it)) })],
      series: [{}, { paths: none, points: { show: false } }, { paths: none, points: { show: false } }, { scale: "v", paths: none, points: { show: false } }],
      hooks: { draw: [(plot) => this.paint(plot)] },
    };
  }

  /** As many candles as can be told apart, and room for a few more. */
  private span(first: number, last: number): [number, number] {
    const earliest = Math.min(first - this.seconds, last - this.seconds * BARS_MIN);
    return [Math.max(earliest, last - this.seconds * BARS_MAX), last + this.seconds * 2];
  }

  private paint(plot: uPlot): void {
    const { ctx } = plot;
    const [rising, falling] = [colour("buy"), colour("sell")];
    const step = Math.abs(plot.valToPos(this.seconds, "x", true) - plot.valToPos(0, "x", true));
    const width = Math.max(1, Math.min(step * 0.64, 14 * devicePixelRatio));
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    for (const candle of this.candles) {
      const x = plot.valToPos(candle.at + this.seconds / 2, "x", true);
      if (x + width < plot.bbox.left) continue;
      const y = (price: number): number => plot.valToPos(price, "y", true);
      ctx.fillStyle = ctx.strokeStyle = candle.close >= candle.open ? rising : falling;
      const [top, bottom] = [y(Math.max(candle.open, candle.close)), y(Math.min(candle.open, candle.close))];
      ctx.globalAlpha = 0.18;
      const volume = plot.valToPos(candle.volume, "v", true);
      ctx.fillRect(x - width / 2, volume, width, plot.bbox.top + plot.bbox.height - volume);
      ctx.globalAlpha = 1;
      ctx.fillRect(Math.round(x - devicePixelRatio / 2), y(candle.high), devicePixelRatio, y(candle.low) - y(candle.high));
      ctx.fillRect(x - width / 2, top, width, Math.max(bottom - top, devicePixelRatio));
    }
    ctx.restore();
  }
}

function decimals(all: readonly number[], value: number): string {
  const step = Math.abs((all[1] ?? 1) - (all[0] ?? 0));
  return value.toFixed(step >= 1 || step === 0 ? 0 : Math.min(8, Math.ceil(-Math.log10(step))));
}

function candles(trades: readonly { at: number; price: number; size: number }[], seconds: number): Candle[] {
  const made: Candle[] = [];
  for (const { at, price, size } of trades) {
    const begins = Math.floor(at / seconds) * seconds;
    const last = made.at(-1);
    if (last?.at === begins) {
      last.high = Math.max(last.high, price);
      last.low = Math.min(last.low, price);
      last.close = price;
      last.volume += size;
    } else made.push({ at: begins, open: price, high: price, low: price, close: price, volume: size });
  }
  return made.slice(-CANDLES_MAX);
}

export class Depth {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "chart", role: "img", "aria-label": "Sizes added up from the best price away" });
  private plot: uPlot | null = null;

  constructor() {
    this.element = h("section", { class: "panel depth", "aria-label": "Depth" }, h("h2", {}, "Depth"), h("div", { class: "canvas" }, this.place));
  }

  draw(market: Market): void {
    const data = depth(market.bids.best(), market.asks.best());
    if (data === null || !this.place.isConnected) return;
    if (this.plot !== null) return this.plot.setData(data);
    const stepped = uPlot.paths.stepped;
    const side = (name: string, align: 1 | -1): uPlot.Series => ({
      stroke: () => colour(name),
      fill: () => colour(`${name}-bar`),
      width: 1.5,
      points: { show: false },
      ...(stepped === undefined ? {} : { paths: stepped({ align }) }),
    });
    const options = {
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      legend: { show: false },
      padding: [8, 0, 0, 20] as uPlot.Padding,
      scales: { x: { time: false }, y: { range: (_: uPlot, __: number, high: number): [number, number] => [0, high * 1.08 || 1] } },
      axes: [
        axis(24, { space: 90, values: (_, values) => values.map((it) => decimals(values, it)) }),
        axis(74, { side: 1, space: 30 }),
      ],
      series: [{}, side("buy", -1), side("sell", 1)],
    };
    this.plot = placed(this.place, options, data);
  }
}

const DEPTH_LEVELS = 60;

/** Both sides as far from the middle. */
function depth(bids: readonly Level[], asks: readonly Level[]): uPlot.AlignedData | null {
  const [bid, ask] = [bids[0], asks[0]];
  if (bid === undefined && ask === undefined) return null;
  const middle = ((bid ?? ask)!.at + (ask ?? bid)!.at) / 2;
  const far = (levels: readonly Level[]): number => {
    // A few orders that are far out would leave no room for the others.
    const near = Math.min(Math.ceil(levels.length * 0.8), DEPTH_LEVELS);
    return Math.abs((levels[near - 1]?.at ?? middle) - middle);
  };
  const reach = Math.max(far(bids), far(asks));
  const within = (levels: readonly Level[]): Level[] => levels.filter((it) => Math.abs(it.at - middle) <= reach * 1.0001);
  const sums = (levels: readonly Level[]): [number, number][] => {
    let sum = 0;
    return levels.map((level) => [level.at, (sum += level.amount)]);
  };
  const [left, right] = [sums(within(bids)).reverse(), sums(within(asks))];
  const none = (count: number): null[] => Array.from({ length: count }, () => null);
  return [
    [...left, ...right].map(([at]) => at),
    [...left.map(([, sum]) => sum), ...none(right.length)],
    [...none(left.length), ...right.map(([, sum]) => sum)],
  ] as uPlot.AlignedData;
}
