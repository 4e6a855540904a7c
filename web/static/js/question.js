// The form that makes an input for a model: an image to paint on, or a number for each feature.

import { make, part, show } from "./dom.js";
import * as format from "./format.js";
import { Pad, paint } from "./pad.js";

// From 7×7 on a square number of features is taken to be an image; iris has 4 features, and they are no picture.
const SMALLEST_IMAGE = 49;

export class Question {
  #inputs;
  #examples;
  #pad = null;
  #fields = [];
  #onAsk;
  /** The held-out example that is being asked about; null once the input was changed by hand. */
  example = null;

  constructor(inputs, onAsk) {
    this.#inputs = inputs;
    this.#examples = inputs.examples ?? [];
    this.#onAsk = onAsk;
    const side = Math.sqrt(this.size);
    if (this.size >= SMALLEST_IMAGE && Number.isInteger(side)) this.#buildPad(side);
    else this.#buildFields();
    this.#buildExamples();
  }

  get size() {
    return this.#inputs.n_features ?? this.#examples[0]?.input.length ?? 0;
  }

  get highest() {
    const values = this.#examples.flatMap((example) => example.input);
    return values.reduce((highest, value) => Math.max(highest, value), 0) || 1;
  }

  /** The input, or null (with the first empty field in focus). */
  read() {
    if (this.#pad) return this.#pad.values;
    const empty = this.#fields.find((field) => field.value.trim() === "" || !Number.isFinite(field.valueAsNumber));
    if (!empty) return this.#fields.map((field) => field.valueAsNumber);
    empty.focus();
    return null;
  }

  #buildPad(side) {
    this.#pad = new Pad(side, this.highest, () => {
      this.#choose(null);
      this.#onAsk();
    });
    const clear = make(
      "button",
      {
        type: "button",
        class: "button small",
        click: () => {
          this.#pad.clear();
          this.#choose(null);
        },
      },
      "Clear",
    );
    const hint = make("span", { class: "hint" }, "Draw, or pick an example.");
    part("input").append(this.#pad.element, make("div", { class: "pad-tools actions" }, clear, hint));
  }

  #buildFields() {
    const names = this.#inputs.feature_names ?? [];
    const grid = make("div", { class: "number-fields" });
    for (let index = 0; index < this.size; index += 1) {
      const id = `feature-${index}`;
      const field = make("input", { id, type: "number", step: "any", required: true, inputmode: "decimal" });
      field.addEventListener("input", () => this.#choose(null));
      this.#fields.push(field);
      grid.append(make("div", { class: "field" }, make("label", { for: id }, names[index] ?? `x_${index}`), field));
    }
    part("input").append(grid);
  }

  #buildExamples() {
    show(part("examples-part"), this.#examples.length > 0);
    const side = Math.sqrt(this.size);
    this.#examples.forEach((example, index) => {
      const button = make("button", {
        type: "button",
        class: this.#pad ? "example" : "example plain",
        "aria-pressed": "false",
        "aria-label": `Example ${index + 1}, labelled ${format.label(example.label)}`,
        click: () => this.pick(index),
      });
      part("examples").append(button);
      if (this.#pad) {
        const canvas = make("canvas");
        button.append(canvas, format.label(example.label));
        paint(canvas, example.input, side, this.highest);
      } else {
        button.append(format.label(example.label));
      }
    });
  }

  /** Puts a held-out example into the form. */
  set(index) {
    const example = this.#examples[index];
    if (!example) return false;
    if (this.#pad) this.#pad.show(example.input);
    else this.#fields.forEach((field, feature) => (field.value = example.input[feature]));
    this.#choose(index);
    return true;
  }

  pick(index) {
    if (this.set(index)) this.#onAsk();
  }

  #choose(index) {
    this.example = index === null ? null : this.#examples[index];
    [...part("examples").children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
  }
}
