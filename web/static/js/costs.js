// What the organization spends: this month's budget above, the ledger of any month below.

import { Budget } from "./budget.js";
import { draw as drawDays } from "./days.js";
import { make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { get } from "./rest.js";

const REFRESH_MS = 5000;
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
const HEADS = { day: "Day", backend: "Backend", user: "Person", project: "Project" };

const budget = new Budget(document.querySelector("[data-page]").dataset.scopes.split(" "));
let month = firstOf(new Date());
let by = "day";
let shown = "";

for (const tab of part("tabs").children) {
  tab.addEventListener("click", () => {
    by = tab.dataset.by;
    for (const other of part("tabs").children) other.setAttribute("aria-pressed", String(other === tab));
    refresh();
  });
}
part("earlier").addEventListener("click", () => turn(-1));
part("later").addEventListener("click", () => turn(1));

function firstOf(date) {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1));
}

function turn(months) {
  month = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + months, 1));
  refresh();
}

/** The report's address; days are those of UTC, as the ledger's are. */
function address() {
  const last = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 0));
  return `/v1/usage?start_date=${day(month)}&end_date=${day(last)}&group_by=${by}`;
}

function day(date) {
  return date.toISOString().slice(0, 10);
}

async function refresh() {
  const asked = address();
  try {
    const [usage] = await Promise.all([get(asked), budget.refresh()]);
    if (asked !== address()) return;
    problem(part("problem"), null);
    const now = asked + JSON.stringify(usage);
    if (now !== shown) draw(usage);
    shown = now;
  } catch (fault) {
    problem(part("problem"), fault);
  }
}

function draw(usage) {
  const words = [format.money(usage.total_cost), `${format.count(usage.total_circuits)} circuits`];
  if (usage.total_shots) words.push(`${format.count(usage.total_shots)} shots`);
  words.push(`${format.duration(usage.total_cpu_seconds)} of processors`);
  if (usage.total_gpu_seconds) words.push(`${format.duration(usage.total_gpu_seconds)} of graphics cards`);
  write(part("subtitle"), `${MONTH.format(month)} · ${words.join(" · ")}`);
  write(part("by-title"), `Usage in ${MONTH.format(month)}`);
  part("csv").href = `${address()}&format=csv`;
  part("later").disabled = month >= firstOf(new Date());
  const rows = by === "day" ? days(usage) : keyed(usage);
  show(part("table"), rows.length > 0);
  show(part("none"), rows.length === 0);
  write(part("none"), `Nothing ran in ${MONTH.format(month)}.`);
  write(part("caption"), `Usage in ${MONTH.format(month)} by ${HEADS[by].toLowerCase()}`);
  part("rows").replaceChildren(...rows);
  show(part("chart"), by === "day" && usage.total_cost > 0);
  if (by === "day") drawDays(part("days"), part("keys"), usage.breakdown_by_day, month);
}

function heads(...names) {
  const cells = names.map((name, index) => make("th", { scope: "col", class: index ? "number" : null }, name));
  part("heads").replaceChildren(...cells);
}

function days({ breakdown_by_day: found }) {
  heads("Day", "Cost", "Circuits", "Shots", "Dearest backend");
  return found.toReversed().map((row) => {
    const [dearest] = Object.entries(row.backend_breakdown).sort(([, a], [, b]) => b - a)[0] ?? [format.DASH];
    return line(format.day(row.date), row.cost, [
      ["circuits", format.count(row.circuits)],
      ["shots", format.count(row.shots)],
      ["dearest", dearest],
    ]);
  });
}

function keyed(usage) {
  heads(HEADS[by], "Cost", "Share");
  const found = usage[`breakdown_by_${by}`] ?? {};
  const rows = Object.entries(found).sort(([, a], [, b]) => b - a);
  return rows.map(([name, cost]) => {
    const share = usage.total_cost > 0 ? format.percent(cost / usage.total_cost) : format.DASH;
    return line(name || "No project", cost, [["share", share]]);
  });
}

function line(name, cost, others) {
  return make(
    "tr",
    {},
    make("td", { class: "primary" }, name),
    make("td", { class: "number aside" }, format.money(cost)),
    ...others.map(([label, value]) => make("td", { class: "number", "data-name": label }, value)),
  );
}

refresh();
setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MS);
