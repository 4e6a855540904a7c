// Two traces over the epochs: training, solid in the accent, and validation, dashed in copper.

import { colour } from "./appearance.js";
import { make, write } from "./dom.js";

const synchronised = "epochs";

export class Chart {
  #place;
  #keys;
  #legend;
  #format;
  #tick;
  #range;
  #plot = null;
  #training = [];
  #validation = [];
  #total = 1;
  #waiting = make("p", { class: "waiting" });

  /**
   * @param place where the plot goes; it fills it.
   * @param keys where the names of the traces and their values under the cursor go.
   * @param format a value as text.
   * @param tick a value as the axis names it.
   * @param range (lowest, highest) → the axis' ends.
   */
  constructor(place, keys, { name, format, tick, range }) {
    this.#place = place;
    this.#format = format;
    this.#tick = tick;
    this.#range = range;
    this.#keys = {
      when: make("span", { class: "when" }),
      training: make("b"),
      validation: make("b"),
    };
    this.#legend = keys;
    keys.append(
      this.#keys.when,
      make("span", {}, "training ", this.#keys.training),
      make("span", { class: "validation" }, "validation ", this.#keys.validation),
    );
    place.setAttribute("role", "img");
    place.dataset.name = name;
    place.append(this.#waiting);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    window.addEventListener("themechange", () => this.#build());
  }

  /** Values by epoch, first epoch first; missing ones are null or undefined. */
  draw(training, validation, total, idle) {
    this.#training = training;
    this.#validation = validation;
    this.#total = total;
    this.#waiting.hidden = training.length > 0;
    this.#legend.hidden = training.length === 0;
    write(this.#waiting, idle);
    if (!training.length) return;
    if (this.#plot) this.#plot.setData(this.#data());
    else this.#build();
    this.#read(null);
  }

  #build() {
    if (!this.#training.length) return;
    this.#plot?.destroy();
    const ink = colour("ink-3");
    const axis = {
      stroke: ink,
      font: `12px "Inter Variable", sans-serif`,
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
      gap: 6,
    };
    // Only the newest value is marked: the tip that moves.
    const points = { show: true, size: 6, filter: (u) => [u.data[0].length - 1] };
    const accent = colour("accent");
    const copper = colour("copper");
    const options = {
      ...this.#size(),
      // On the right half of the last number of the x axis, which may be a long one.
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: synchronised }, points: { size: 7 } },
      scales: {
        x: { time: false, range: () => [1, Math.max(2, this.#total)] },
        y: { range: (u, low, high) => this.#range(low ?? 0, high ?? 1) },
      },
      axes: [
        { ...axis, size: 26, space: 60, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
        { ...axis, size: 50, space: 36, values: (u, ticks) => ticks.map(this.#tick) },
      ],
      series: [
        {},
        { stroke: accent, fill: faint(accent), width: 2, spanGaps: true, points: { ...points, fill: accent } },
        { stroke: copper, width: 2, dash: [6, 4], spanGaps: true, points: { ...points, fill: copper } },
      ],
      hooks: { setCursor: [(u) => this.#read(u.cursor.idx)] },
    };
    this.#plot = new uPlot(options, this.#data(), this.#place);
  }

  #data() {
    const epochs = this.#training.map((_, index) => index + 1);
    const whole = (values) => epochs.map((_, index) => values[index] ?? null);
    return [epochs, whole(this.#training), whole(this.#validation)];
  }

  #size() {
    return { width: this.#place.clientWidth, height: this.#place.clientHeight };
  }

  // The numbers beside the names: under the cursor, else of the last epoch.
  #read(index) {
    const last = this.#training.length - 1;
    const at = index ?? last;
    const [training, validation] = [this.#training[at], this.#validation[at]].map((value) => this.#format(value));
    write(this.#keys.when, `epoch ${at + 1}`);
    write(this.#keys.training, training);
    write(this.#keys.validation, validation);
    if (at === last) {
      const name = this.#place.dataset.name;
      const spoken = `${name} after epoch ${at + 1} of ${this.#total}: training ${training}, validation ${validation}`;
      this.#place.setAttribute("aria-label", spoken);
    }
  }
}

const faint = (colour) => colour.replace("rgb(", "rgba(").replace(")", ", 0.07)");

/** Loss: from zero or the lowest value to the highest, with some air. */
export function lossRange(low, high) {
  const air = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

/** Accuracy: never above 1, and never so close that noise looks like a mountain. */
export function accuracyRange(low, high) {
  const bottom = Math.max(0, Math.min(low - 0.03, high - 0.15));
  return [bottom, Math.min(1, high + 0.03)];
}
