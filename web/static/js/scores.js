// The model's score beside what costs nothing: logistic regression on the same features, and always saying the
// commonest class.

import { bar, make } from "./dom.js";
import { percent } from "./format.js";

/** Draws the bars; answers the sentence that says who won. */
export function scores(place, accuracy, baseline) {
  const contestants = [["Quantum model", accuracy, "ours"]];
  if (Number.isFinite(baseline?.logistic_regression)) {
    const on = baseline.features ? ` on the same ${baseline.features} features` : "";
    contestants.push([`Logistic regression${on}`, baseline.logistic_regression, ""]);
  }
  if (Number.isFinite(baseline?.majority)) contestants.push(["Always the commonest class", baseline.majority, ""]);
  place.replaceChildren(
    ...contestants.map(([name, value, kind]) =>
      make(
        "div",
        { class: `score ${kind}`.trim() },
        make("span", {}, name),
        make("b", {}, percent(value)),
        bar(value, kind ? "" : "quiet"),
      ),
    ),
  );
  return verdict(accuracy, baseline?.logistic_regression);
}

function verdict(accuracy, classical) {
  if (!Number.isFinite(accuracy) || !Number.isFinite(classical)) return "";
  const points = (100 * Math.abs(accuracy - classical)).toFixed(1);
  if (points === "0.0") return "As good as logistic regression on the same features.";
  return accuracy > classical
    ? `${points} points above logistic regression on the same features.`
    : `${points} points below logistic regression on the same features.`;
}
