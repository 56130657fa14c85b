// How long commands take, hop by hop: percentiles over time, and of the last minute.

import uPlot from "uplot";
import { onTheme } from "../chrome";
import { axisTimes, colour, fill, h } from "../dom";
import { head } from "../trade/blotter";
import { nanoseconds, type Hop, type Sample } from "./venue";

const HOPS: Readonly<Record<string, string>> = {
  all: "received to sent",
  decoded: "decode the message",
  taken: "to the core's thread",
  sequenced: "give it its place",
  applied: "match",
  durable: "to the disk, as far as it is waited for",
  seen: "to the gateway's thread",
  encoded: "encode the report",
  sent: "hand it to the system",
  sync: "a write of the journal, until the disk has it",
};
const LINES = [["p50", "p50"], ["p99", "p99"], ["p999", "p99.9"]] as const;
const RECENT = 12;

export class Latency {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "chart", role: "img", "aria-label": "Percentiles over the last hour" });
  private readonly empty = h("p", { class: "empty" }, "One command in 32 of a session is timed; none was in the last hour.");
  private readonly picker = h("select", { "aria-label": "Hop" }, ...Object.entries(HOPS).map(([hop, says]) => h("option", { value: hop }, `${hop}: ${says}`)));
  private readonly body = h("tbody");
  private plot: uPlot | null = null;
  private samples: readonly Sample[] = [];

  constructor() {
    this.picker.addEventListener("change", () => this.draw(this.samples));
    const legend = h("span", { class: "legend" }, ...LINES.map(([name, says]) => h("span", { class: name }, says)));
    this.element = h(
      "section",
      { class: "panel latency", "aria-label": "Latency" },
      h("div", { class: "title" }, h("h2", {}, "Latency"), legend, this.picker),
      h("div", { class: "canvas" }, this.place, this.empty),
      h("div", { class: "scroll" }, h("table", { class: "hops" }, head(["Worst 5 s of a minute", "p50", "p99", "p99.9", "Timed"]), this.body)),
    );
  }

  draw(samples: readonly Sample[]): void {
    this.samples = samples;
    const hop = this.picker.value;
    const series = LINES.map(([name]) => samples.map((sample) => sample.hops[hop]?.[name] ?? null));
    const data = [samples.map((sample) => sample.at_ms / 1000), ...series] as uPlot.AlignedData;
    const isEmpty = series.every((line) => line.every((value) => value === null));
    this.empty.hidden = !isEmpty;
    if (this.plot !== null) this.plot.setData(data);
    else if (!isEmpty && this.place.isConnected) this.plot = this.made(data);
    fill(this.body, Object.keys(HOPS).map((name) => this.row(name)));
  }

  private row(hop: string): HTMLElement {
    const recent = this.samples.slice(-RECENT).map((sample) => sample.hops[hop]).filter((it): it is Hop => it != null);
    // The worst of five seconds, which no average hides.
    const worst = (name: "p50" | "p99" | "p999"): string => (recent.length === 0 ? "–" : nanoseconds(Math.max(...recent.map((it) => it[name]))));
    const timed = recent.reduce((sum, it) => sum + it.count, 0);
    const cells = [worst("p50"), worst("p99"), worst("p999"), String(timed)].map((text) => h("td", { class: "number" }, text));
    return h("tr", {}, h("td", { title: HOPS[hop] ?? "" }, hop), ...cells);
  }

  private made(data: uPlot.AlignedData): uPlot {
    const { place } = this;
    const size = () => ({ width: Math.max(place.clientWidth, 120), height: Math.max(place.clientHeight, 80) });
    const axis = { font: "11px system-ui, sans-serif", stroke: () => colour("quiet"), grid: { stroke: () => colour("grid"), width: 1 }, ticks: { show: false } };
    const line = (name: string): uPlot.Series => ({ stroke: () => colour(name), width: 1.5, points: { show: false }, spanGaps: true });
    const plot = new uPlot(
      {
        ...size(),
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
        cursor: { drag: { x: false, y: false }, points: { show: false } },
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: { y: { distr: 3, range: (_, low, high) => uPlot.rangeLog(Math.max(low, 1), high * 1.2, 10, false) } },
        axes: [{ ...axis, size: 24, space: 80, values: (_, values) => axisTimes(values) }, { ...axis, size: 62, values: (_, values) => values.map((it) => (it === null ? "" : short(it))) }],
        series: [{}, ...LINES.map(([name]) => line(name))],
      },
      data,
      place,
    );
    new ResizeObserver(() => plot.setSize(size())).observe(place);
    onTheme(() => plot.redraw(false));
    return plot;
  }
}

function short(value: number): string {
  const power = Math.round(Math.log10(value));
  return Math.abs(Math.log10(value) - power) < 1e-6 ? nanoseconds(10 ** power).replace(/\.0+ /, " ") : "";
}
