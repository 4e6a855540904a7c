// What the model said: the class, how sure it is, and a bar for every class.

import { bar, make } from "./dom.js";
import * as format from "./format.js";

export function answer(place, classes, prediction, result, example) {
  if (prediction.value !== undefined && prediction.value !== null) {
    place.replaceChildren(measured(prediction, result, example));
    return;
  }
  const label = String(prediction.label);
  const words = make("div", { class: "answer-words" });
  words.append(make("strong", {}, `${format.probability(prediction.confidence)} sure`));
  if (example) {
    const right = String(example.label) === label;
    words.append(make("span", { class: right ? "right" : "wrong" }, right ? "Right: " : "Wrong: "));
    words.append(`the label of this held-out example is ${example.label}. `);
  }
  const time = format.milliseconds(result.inference_time_ms);
  words.append(make("span", { class: "hint" }, [time, result.backend && `on ${result.backend}`].filter(Boolean).join(" ")));
  const head = make("div", { class: label.length > 3 ? "answer-label long" : "answer-label" }, label);
  const named = classes.some((name) => String(name).length > 3);
  const rows = prediction.probabilities.map((share, index) =>
    make(
      "li",
      { class: index === prediction.class ? "best" : null },
      make("span", { class: "name", title: classes[index] }, classes[index] ?? String(index)),
      bar(share, "thin"),
      make("span", { class: "share" }, format.probability(share)),
    ),
  );
  const list = make("ol", { class: named ? "classes named" : "classes", "aria-label": "Probability of each class" }, ...rows);
  place.replaceChildren(make("div", { class: "answer-head" }, head, words), list);
}

// A regression's answer is a number, and how far off sampling may have put it.
function measured(prediction, result, example) {
  const words = make("div", { class: "answer-words" });
  if (Number.isFinite(prediction.std_error)) words.append(make("strong", {}, `± ${format.loss(prediction.std_error)} `));
  if (example) words.append(`The value of this held-out example is ${format.label(example.label)}. `);
  const time = format.milliseconds(result.inference_time_ms);
  words.append(make("span", { class: "hint" }, [time, result.backend && `on ${result.backend}`].filter(Boolean).join(" ")));
  return make("div", { class: "answer-head" }, make("div", { class: "answer-label long" }, format.loss(prediction.value)), words);
}

export function waiting(place, sentence) {
  place.replaceChildren(make("p", { class: "hint" }, sentence));
}
