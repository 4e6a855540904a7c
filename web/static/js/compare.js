// Two models side by side. Who is better is said only where both were scored on the same samples.

import { make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { stagePill, tagList } from "./registry.js";
import { get, post } from "./rest.js";

const asked = new URLSearchParams(location.search);
const [a, b] = [asked.get("a") ?? "", asked.get("b") ?? ""];

async function load() {
  try {
    const [found, first, second] = await Promise.all([
      post("/v1/models/compare", { a, b }),
      get(`/v1/models/${encodeURIComponent(a)}`),
      get(`/v1/models/${encodeURIComponent(b)}`),
    ]);
    draw(found, first, second);
  } catch (fault) {
    write(part("subtitle"), fault.status === 404 ? "One of them is not here" : "Cannot be shown now");
    problem(part("problem"), fault);
  }
}

function draw(found, first, second) {
  const same = [found.same_circuit ? "the same circuit" : "different circuits", found.same_parameters ? "the same parameters" : "different parameters"];
  write(part("subtitle"), `${same.join(", ")} · ${found.comparable ? "scored on the same samples" : "scores do not compare"}`);
  show(part("reasons"), !found.comparable);
  part("reasons").replaceChildren(make("strong", {}, "Their scores say nothing of which is better. "), make("span", {}, found.reasons.join(" ")));
  side("a", first);
  side("b", second);
  show(part("sides"), true);
  part("swap").href = `/app/models/compare?${new URLSearchParams({ a: b, b: a })}`;
  show(part("swap"), true);
  const names = first.name === second.name ? [first.version, second.version] : ["A", "B"];
  for (const head of ["head", "differs"]) ["a", "b"].forEach((name, index) => write(part(`${head}-${name}`), names[index]));
  show(part("numbers"), true);
  write(part("numbers-hint"), found.comparable ? "the better one is marked" : "");
  part("number-rows").replaceChildren(...found.metrics.map((pair) => number(pair, names)));
  show(part("differences"), true);
  show(part("no-differences"), found.differences.length === 0);
  show(part("difference-rows").parentElement, found.differences.length > 0);
  const many = found.differences.length;
  write(part("differences-hint"), many ? `${format.count(many)} ${many === 1 ? "thing" : "things"}` : "");
  part("difference-rows").replaceChildren(
    ...found.differences.map((one) =>
      make("tr", {}, make("td", { class: "primary" }, one.field), make("td", { "data-name": names[0] }, value(one.a)), make("td", { "data-name": names[1] }, value(one.b))),
    ),
  );
}

function side(name, model) {
  const status = make("span", { class: "pill", "data-status": model.status }, format.status(model.status));
  part(name).replaceChildren(
    ...[
      make("h2", {}, make("a", { href: `/app/models/${encodeURIComponent(model.id)}` }, model.name), stagePill(model.stage)),
      make("p", { class: "hint" }, `version ${model.version} · trained ${format.ago(model.created_at)} · ${model.lineage.dataset ?? "no data"}`),
      make("p", {}, status),
      tagList(model.tags),
      model.notes ? make("p", { class: "notes" }, model.notes) : null,
    ].filter(Boolean),
  );
}

function number(pair, names) {
  const cell = (side, name) =>
    make("td", { class: pair.better === side ? "number better" : "number", "data-name": name }, figure(pair[side]), pair.better === side ? " ✓" : null);
  const sign = pair.difference > 0 ? "+" : "";
  return make(
    "tr",
    {},
    make("td", { class: "primary" }, pair.metric.replaceAll("_", " ").replace("baseline.", "baseline: ")),
    cell("a", names[0]),
    cell("b", names[1]),
    make("td", { class: "number", "data-name": "difference" }, pair.difference === null ? format.DASH : `${sign}${figure(pair.difference)}`),
  );
}

function figure(value) {
  return value === null ? format.DASH : String(Number(value.toPrecision(5)));
}

function value(found) {
  if (found === null) return format.DASH;
  return typeof found === "object" ? JSON.stringify(found) : String(found);
}

load();
