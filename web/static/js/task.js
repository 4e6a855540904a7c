// What each task is measured by: the figures of a job's page, and the words for its result.

import { bar, make } from "./dom.js";
import * as format from "./format.js";
import { scores } from "./scores.js";

const LISTED = 12;

const energy = (value) => (Number.isFinite(value) ? value.toFixed(6) : format.DASH);

/** Which curves a task has, and what its loss is called. */
export function curvesOf(task) {
  return { loss: task !== "sampling", accuracy: task === "classification", lossName: task === "energy" ? "Energy" : "Loss" };
}

/** What a model was trained for, by what it was measured with. */
export function taskOf(metrics) {
  if (metrics.energy !== undefined) return "energy";
  return metrics.r2 !== undefined ? "regression" : "classification";
}

/** Six names and values. */
export function figures(job, curves) {
  const { current_loss: loss, best_loss: best } = job.progress;
  const metrics = job.metrics ?? {};
  const spent = [
    ["Circuits run", format.count(job.resources?.circuits_executed || null)],
    ["Cost", format.money(job.cost_so_far ?? 0)],
  ];
  if (job.config.task === "energy") {
    return [
      ["Energy", energy(loss ?? curves.last("loss"))],
      ["Lowest energy", energy(best)],
      ["Exact ground energy", energy(metrics.exact_energy)],
      ["Above exact", Number.isFinite(metrics.energy_error) ? metrics.energy_error.toExponential(1) : format.DASH],
      ...spent,
    ];
  }
  if (job.config.task === "sampling") {
    return [
      ["Outcomes", format.count(metrics.n_outcomes ?? null)],
      ["Shots", job.config.shots ? format.count(job.config.shots) : "exact"],
      ...spent,
    ];
  }
  const losses = [
    ["Loss", format.loss(loss ?? curves.last("loss"))],
    ["Best loss", format.loss(best)],
  ];
  if (job.config.task === "regression") {
    return [...losses, ["R² on the test part", format.loss(metrics.r2)], ["Mean error", format.loss(metrics.mae)], ...spent];
  }
  return [
    ...losses,
    ["Training accuracy", format.percent(curves.last("accuracy") ?? metrics.training_accuracy)],
    ["Validation accuracy", format.percent(curves.last("val_accuracy") ?? metrics.validation_accuracy)],
    ...spent,
  ];
}

/** `{title, headline, verdict}` of what was trained, its bars drawn into `place`; null where there is nothing to say yet. */
export function result(task, metrics, place) {
  if (task === "sampling") return outcomes(metrics, place);
  if (task === "energy") return groundState(metrics);
  if (task === "regression") return explained(metrics, place);
  if (!Number.isFinite(metrics.test_accuracy)) return null;
  const verdict = scores(place, metrics.test_accuracy, metrics.baseline);
  return { title: "Test accuracy", headline: format.percent(metrics.test_accuracy), verdict };
}

function outcomes(metrics, place) {
  const rows = Object.entries(metrics.probabilities ?? {}).sort(([, a], [, b]) => b - a);
  if (!rows.length) return null;
  place.replaceChildren(...rows.slice(0, LISTED).map(([bits, share]) => row(bits, format.probability(share), share)));
  const more = (metrics.n_outcomes ?? rows.length) - Math.min(rows.length, LISTED);
  const verdict = more > 0 ? `Most frequent; ${format.count(more)} more outcomes are in the API's answer.` : "All outcomes, most frequent first.";
  return { title: "Most frequent outcome", headline: rows[0][0], verdict };
}

function groundState(metrics) {
  if (!Number.isFinite(metrics.energy)) return null;
  const spread = Number.isFinite(metrics.energy_std_error) ? ` ± ${metrics.energy_std_error.toExponential(1)}` : "";
  const verdict = Number.isFinite(metrics.energy_error)
    ? `${metrics.energy_error.toExponential(1)} above the exact ground energy, ${energy(metrics.exact_energy)}.`
    : "The exact ground energy of a circuit of this size is not computed.";
  return { title: "Energy", headline: `${energy(metrics.energy)}${spread}`, verdict };
}

function explained(metrics, place) {
  if (!Number.isFinite(metrics.r2)) return null;
  const { ridge, mean } = metrics.baseline ?? {};
  const rows = [["Quantum model", metrics.r2, "ours"], ["Ridge regression on the same features", ridge], ["Always the mean", mean]];
  place.replaceChildren(
    ...rows.filter(([, value]) => Number.isFinite(value)).map(([name, value, kind]) => row(name, format.loss(value), value, kind)),
  );
  const verdict = Number.isFinite(ridge) ? (metrics.r2 > ridge ? "Explains more than ridge regression does." : "Explains no more than ridge regression does.") : "";
  return { title: "R² on the test part", headline: format.loss(metrics.r2), verdict };
}

function row(name, value, share, kind = "") {
  return make("div", { class: `score ${kind}`.trim() }, make("span", {}, name), make("b", {}, value), bar(share, kind ? "" : "quiet"));
}
