// The list of models.

import { bar, make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { Pager } from "./pager.js";
import { list } from "./rest.js";

const REFRESH_MS = 5000;

const pager = new Pager(20, () => refresh());
let shown = "";

async function refresh() {
  try {
    const page = await list(`/v1/models?${pager.query}&sort=-created_at`);
    problem(part("problem"), null);
    const now = JSON.stringify(page);
    if (now !== shown) draw(page);
    shown = now;
  } catch (fault) {
    problem(part("problem"), fault);
  }
}

function draw(page) {
  show(part("list"), page.total > 0);
  show(part("empty"), page.total === 0);
  const words = `${format.count(page.total)} ${page.total === 1 ? "model" : "models"}, newest first`;
  write(part("count"), page.total ? words : "None yet");
  part("rows").replaceChildren(...page.items.map(row));
  pager.update(page);
}

function row(model) {
  const { accuracy, baseline } = model.metrics ?? {};
  return make(
    "tr",
    {},
    make(
      "td",
      { class: "primary" },
      make("a", { href: `/app/models/${encodeURIComponent(model.id)}` }, model.name),
      make("span", { class: "secondary" }, `version ${model.version} · ${format.shortId(model.id)}`),
    ),
    make("td", { class: "aside" }, make("span", { class: "pill", "data-status": model.status }, format.status(model.status))),
    make("td", {}, make("div", { class: "meter" }, bar(accuracy, "thin"), make("span", {}, format.percent(accuracy)))),
    make("td", { class: "number aside", "data-name": "regression" }, format.percent(baseline?.logistic_regression)),
    make("td", { class: "number", title: format.date(model.created_at) }, format.ago(model.created_at)),
  );
}

refresh();
setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MS);
