// The list of jobs. Live jobs are followed over the WebSocket; the list is read again every few seconds, since no
// channel tells of jobs that are new.

import { bar, fill, make, part, problem, show, write } from "./dom.js";
import { teach } from "./first_job.js";
import * as format from "./format.js";
import { Live } from "./live.js";
import { Pager } from "./pager.js";
import { list } from "./rest.js";

const REFRESH_MS = 4000;

const rows = new Map();
const circuits = new Map();
const followed = new Map();
const pager = new Pager(20, () => refresh());
let wanted = "";

const live = new Live((state, sentence) => {
  part("link").dataset.state = state;
  write(part("link"), sentence);
});

for (const tab of part("tabs").children) {
  tab.addEventListener("click", () => {
    wanted = tab.dataset.status;
    pager.offset = 0;
    for (const other of part("tabs").children) other.setAttribute("aria-pressed", String(other === tab));
    refresh();
  });
}

async function refresh() {
  const asked = wanted;
  try {
    const status = asked ? `&status=${asked}` : "";
    const page = await list(`/v1/jobs?${pager.query}${status}`);
    if (asked !== wanted) return;
    await learnNames(page.items);
    draw(page);
    problem(part("problem"), null);
  } catch (fault) {
    problem(part("problem"), fault);
  }
}

// Names are an ornament: without them a row shows its data set.
async function learnNames(jobs) {
  if (jobs.every((job) => circuits.has(job.circuit_id))) return;
  for (const job of jobs) circuits.set(job.circuit_id, null);
  const page = await list("/v1/circuits?limit=100").catch(() => ({ items: [] }));
  for (const circuit of page.items) circuits.set(circuit.id, circuit.name);
}

function draw(page) {
  const nothing = page.total === 0 && !wanted;
  show(part("tabs"), !nothing);
  show(part("list"), !nothing);
  show(part("empty"), nothing);
  show(part("none"), page.total === 0);
  show(part("rows").parentElement, page.total > 0);
  write(part("count"), nothing ? "None yet" : `${format.count(page.total)} ${page.total === 1 ? "job" : "jobs"}, newest first`);
  const kept = new Set(page.items.map((job) => job.id));
  for (const id of [...rows.keys()]) if (!kept.has(id)) drop(id);
  for (const job of page.items) update(job);
  part("rows").append(...page.items.map((job) => rows.get(job.id).element));
  pager.update(page);
}

function update(job) {
  if (!rows.has(job.id)) rows.set(job.id, row(job));
  const { cells } = rows.get(job.id);
  rows.get(job.id).job = job;
  write(cells.name, circuits.get(job.circuit_id) ?? job.dataset);
  write(cells.about, `${job.dataset} · ${job.backend} · ${format.shortId(job.id)}`);
  cells.status.dataset.status = job.status;
  write(cells.status, format.status(job.status));
  cells.status.title = job.reason ?? "";
  fill(cells.bar, job.progress / 100);
  cells.bar.classList.toggle("quiet", job.status === "failed" || job.status === "cancelled");
  write(cells.percentage, `${job.progress} %`);
  const accuracy = job.accuracy === null || job.accuracy === undefined ? format.DASH : format.percent(job.accuracy);
  write(cells.accuracy, accuracy);
  write(cells.took, job.started_at ? format.duration(format.elapsed(job.started_at, job.completed_at)) : format.DASH);
  write(cells.submitted, format.ago(job.created_at));
  cells.submitted.title = format.date(job.created_at);
  follow(job);
}

function row(job) {
  const cells = {
    name: make("a", { href: `/app/jobs/${encodeURIComponent(job.id)}` }),
    about: make("span", { class: "secondary" }),
    status: make("span", { class: "pill" }),
    bar: bar(0, "thin"),
    percentage: make("span"),
    accuracy: make("span"),
    took: make("span"),
    submitted: make("span"),
  };
  const element = make(
    "tr",
    {},
    make("td", { class: "primary" }, cells.name, cells.about),
    make("td", { class: "aside" }, cells.status),
    make("td", {}, make("div", { class: "meter" }, cells.bar, cells.percentage)),
    make("td", { class: "number aside", "data-name": "accuracy" }, cells.accuracy),
    make("td", { class: "number", "data-name": "took" }, cells.took),
    make("td", { class: "number aside" }, cells.submitted),
  );
  return { element, cells, job };
}

function follow(job) {
  const ended = format.ENDED.has(job.status);
  if (ended && followed.has(job.id)) {
    followed.get(job.id)();
    followed.delete(job.id);
  }
  if (ended || followed.has(job.id)) return;
  const stop = live.follow("job.progress", job.id, { onEvent: (data) => moved(job.id, data) });
  followed.set(job.id, stop);
}

function moved(id, data) {
  const known = rows.get(id)?.job;
  if (!known) return;
  if (data.status !== known.status) {
    refresh();
    return;
  }
  const progress = data.total_epochs ? Math.floor((100 * data.current_epoch) / data.total_epochs) : known.progress;
  update({ ...known, progress });
}

function drop(id) {
  rows.get(id).element.remove();
  rows.delete(id);
  followed.get(id)?.();
  followed.delete(id);
}

teach(refresh);
refresh();
setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MS);
