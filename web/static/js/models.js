// The list of models: filtered, sorted, two of them picked to be compared. What is asked stands in the address.

import { bar, make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { Pager } from "./pager.js";
import { list } from "./rest.js";
import { stagePill, tagList } from "./registry.js";

const REFRESH_MS = 5000;
const FIELDS = ["name", "tags", "sort"];

const pager = new Pager(20, () => refresh());
const picked = new Set();
let kind = "";
let shown = "";

function restore() {
  const asked = new URLSearchParams(location.search);
  for (const name of FIELDS) if (asked.has(name)) part("filters").elements[name].value = asked.get(name);
  const tab = [...part("tabs").children].find(({ dataset }) => dataset.query && isIn(asked, dataset.query));
  press(tab ?? part("tabs").children[0]);
}

function isIn(asked, query) {
  return [...new URLSearchParams(query)].every(([name, value]) => asked.get(name) === value);
}

function press(tab) {
  kind = tab.dataset.query;
  for (const other of part("tabs").children) other.setAttribute("aria-pressed", String(other === tab));
}

function wanted() {
  const asked = new URLSearchParams(kind);
  const { elements } = part("filters");
  const name = elements.name.value.trim();
  const tags = elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (name) asked.set("name", name);
  if (tags.length) asked.set("tags", tags.join(","));
  if (elements.sort.value !== "-created_at") asked.set("sort", elements.sort.value);
  return asked;
}

function changed() {
  pager.offset = 0;
  const asked = wanted().toString();
  history.replaceState(null, "", asked ? `?${asked}` : location.pathname);
  refresh();
}

async function refresh() {
  const asked = wanted();
  try {
    const query = new URLSearchParams({ sort: "-created_at", ...Object.fromEntries(asked) });
    const page = await list(`/v1/models?${pager.query}&${query}`);
    if (asked.toString() !== wanted().toString()) return;
    problem(part("problem"), null);
    const now = JSON.stringify(page) + asked;
    if (now !== shown) draw(page, asked);
    shown = now;
  } catch (fault) {
    problem(part("problem"), fault);
  }
}

function draw(page, asked) {
  const nothing = page.total === 0 && [...asked.keys()].every((name) => name === "sort");
  show(part("filters"), !nothing);
  show(part("list"), !nothing);
  show(part("empty"), nothing);
  show(part("none"), page.total === 0);
  show(part("rows").parentElement, page.total > 0);
  const order = { "-created_at": "newest first", name: "by name", "-version": "highest version first" };
  const words = `${format.count(page.total)} ${page.total === 1 ? "model" : "models"}, ${order[asked.get("sort") ?? "-created_at"]}`;
  write(part("count"), nothing ? "None yet" : words);
  part("rows").replaceChildren(...page.items.map(row));
  pager.update(page);
  offer();
}

function row(model) {
  const { accuracy, baseline } = model.metrics ?? {};
  const versions = `/app/models?${new URLSearchParams({ name: model.name, sort: "-version" })}`;
  const about = make("span", { class: "secondary" }, make("a", { href: versions, title: "All versions" }, `version ${model.version}`), ` · ${format.shortId(model.id)}`);
  return make(
    "tr",
    {},
    make(
      "td",
      { class: "primary" },
      make("a", { href: `/app/models/${encodeURIComponent(model.id)}` }, model.name),
      stagePill(model.stage),
      about,
      tagList(model.tags),
    ),
    make("td", { class: "aside" }, make("span", { class: "pill", "data-status": model.status }, format.status(model.status))),
    make("td", {}, make("div", { class: "meter" }, bar(accuracy, "thin"), make("span", {}, format.percent(accuracy)))),
    make("td", { class: "number aside", "data-name": "regression" }, format.percent(baseline?.logistic_regression)),
    make("td", { class: "number", title: format.date(model.created_at) }, format.ago(model.created_at)),
    make("td", { class: "number aside", "data-name": "compare" }, pick(model)),
  );
}

function pick(model) {
  const box = make("input", { type: "checkbox", "aria-label": `Compare ${model.name} ${model.version}` });
  box.checked = picked.has(model.id);
  box.addEventListener("change", () => {
    if (box.checked) picked.add(model.id);
    else picked.delete(model.id);
    // A third takes the place of the one that was picked first.
    if (picked.size > 2) {
      picked.delete([...picked][0]);
      shown = "";
      refresh();
    }
    offer();
  });
  return make("label", { class: "pick" }, box);
}

function offer() {
  const link = part("compare");
  const [a, b] = picked;
  show(link, picked.size > 0);
  write(link, picked.size === 2 ? "Compare the two" : "Pick one more to compare");
  link.setAttribute("aria-disabled", String(picked.size !== 2));
  if (picked.size === 2) link.href = `/app/models/compare?${new URLSearchParams({ a, b })}`;
  else link.removeAttribute("href");
}

for (const tab of part("tabs").children) {
  tab.addEventListener("click", () => {
    press(tab);
    changed();
  });
}
part("filters").addEventListener("change", changed);
part("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  changed();
});

restore();
refresh();
setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MS);
