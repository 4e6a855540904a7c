// A square of grey values to look at and to paint on: with a pointer, or with the arrow keys and the space bar.

import { make } from "./dom.js";

// What a stroke leaves around its middle, so that painted digits look like scanned ones.
const BRUSH = [
  [0, 0, 1],
  [1, 0, 0.4],
  [-1, 0, 0.4],
  [0, 1, 0.4],
  [0, -1, 0.4],
];

export class Pad {
  values;
  element;
  #side;
  #highest;
  #cursor = null;
  #drawing = false;
  #onStroke;

  /** `onStroke()` after each finished stroke. */
  constructor(side, highest, onStroke) {
    this.#side = side;
    this.#highest = highest;
    this.#onStroke = onStroke;
    this.values = new Array(side * side).fill(0);
    const words = `Drawing pad of ${side} by ${side} pixels. Arrow keys move, space paints, backspace clears.`;
    this.element = make("canvas", { class: "pad", tabindex: "0", role: "img", "aria-label": words });
    this.element.addEventListener("pointerdown", (event) => this.#start(event));
    this.element.addEventListener("pointermove", (event) => this.#drawing && this.#stroke(event));
    this.element.addEventListener("pointerup", () => this.#end());
    this.element.addEventListener("pointercancel", () => this.#end());
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("blur", () => this.#move(null));
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  show(values) {
    this.values = [...values];
    this.#draw();
  }

  clear() {
    this.show(this.values.map(() => 0));
  }

  #start(event) {
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.#drawing = true;
    this.#stroke(event);
  }

  #stroke(event) {
    const box = this.element.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.#side);
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.#side);
    this.#paint(column, row);
  }

  #end() {
    if (!this.#drawing) return;
    this.#drawing = false;
    this.#onStroke();
  }

  #paint(column, row) {
    for (const [dx, dy, share] of BRUSH) {
      const [x, y] = [column + dx, row + dy];
      if (x < 0 || y < 0 || x >= this.#side || y >= this.#side) continue;
      const index = y * this.#side + x;
      this.values[index] = Math.max(this.values[index], Math.round(share * this.#highest));
    }
    this.#draw();
  }

  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [column, row] = this.#cursor ?? [this.#side >> 1, this.#side >> 1];
    if (event.key in steps) {
      const within = (value) => Math.min(Math.max(value, 0), this.#side - 1);
      const [dx, dy] = this.#cursor ? steps[event.key] : [0, 0];
      this.#move([within(column + dx), within(row + dy)]);
    } else if (event.key === " ") {
      this.#move([column, row]);
      this.#paint(column, row);
      this.#onStroke();
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  #move(cursor) {
    this.#cursor = cursor;
    this.#draw();
  }

  #draw() {
    paint(this.element, this.values, this.#side, this.#highest);
    if (!this.#cursor) return;
    const context = this.element.getContext("2d");
    const cell = this.element.width / this.#side;
    context.strokeStyle = "#5cc8dc";
    context.lineWidth = Math.max(2, cell / 12);
    context.strokeRect(this.#cursor[0] * cell + 1, this.#cursor[1] * cell + 1, cell - 2, cell - 2);
  }
}

/** Paints grey values, row by row from the top left, crisp at any size and pixel density. */
export function paint(canvas, values, side, highest) {
  const size = Math.max(side, Math.round((canvas.clientWidth || 44) * (window.devicePixelRatio || 1)));
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  const edge = (index) => Math.round((index * size) / side);
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const share = Math.min(Math.max(values[row * side + column] / highest, 0), 1);
      context.fillStyle = `rgb(${[11 + 233 * share, 15 + 233 * share, 20 + 231 * share].map(Math.round).join(" ")})`;
      context.fillRect(edge(column), edge(row), edge(column + 1) - edge(column), edge(row + 1) - edge(row));
    }
  }
}
