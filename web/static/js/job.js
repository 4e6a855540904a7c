// One job: the stored state first, then every event on top of it.

import { Curves } from "./curves.js";
import { facts, fill, make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { Live } from "./live.js";
import { Log } from "./log.js";
import { get, post } from "./rest.js";
import { Steering } from "./steering.js";
import { curvesOf, figures, result } from "./task.js";

const content = document.querySelector("[data-page]");
const id = content.dataset.id;
const path = `/v1/jobs/${encodeURIComponent(id)}`;
const curves = new Curves();
const log = new Log(id);

let job = null;
let circuit = null;
let etaSetAt = 0;
let nextRefresh = 0;
let seen = 0;
let spokenAt = 0;
let drawing = false;

async function refresh() {
  const asked = performance.now();
  try {
    const fresh = await get(path);
    // Events may have overtaken this answer; those that came before the first answer found nothing to be put on.
    const behind = fresh.seq < seen;
    if (behind && !job) setTimeout(refresh, 250);
    if (!behind) etaSetAt = Date.now();
    job = behind && job ? { ...fresh, progress: job.progress, status: job.status, reason: job.reason } : fresh;
    curves.restore(fresh.metrics ?? {});
    problem(part("problem"), null);
    show(part("body"), true);
    draw();
    log.refresh();
    circuit ??= await get(`/v1/circuits/${encodeURIComponent(job.circuit_id)}`).catch(() => ({}));
    draw();
  } catch (fault) {
    if (!job) write(part("subtitle"), fault.status === 404 ? "Not found" : "Cannot be shown now");
    problem(part("problem"), fault);
  }
  // Long histories take long to send: they are asked for the more seldom.
  nextRefresh = performance.now() + Math.max(500, 20 * (performance.now() - asked));
}

function onProgress(data, seq) {
  seen = Math.max(seen, seq);
  if (!job) return;
  const turned = data.status !== job.status;
  job = {
    ...job,
    status: data.status,
    reason: data.reason,
    model_id: data.model_id ?? job.model_id,
    progress: {
      ...job.progress,
      current_epoch: data.current_epoch,
      total_epochs: data.total_epochs || job.progress.total_epochs,
      current_loss: data.current_loss,
      best_loss: data.best_loss,
      eta_seconds: data.eta_seconds,
    },
  };
  etaSetAt = Date.now();
  schedule();
  log.refresh();
  // Times, test scores and the receipt come with the stored job; so do circuits and cost, which may come late.
  if (turned || performance.now() > nextRefresh) {
    nextRefresh = Infinity;
    refresh();
  }
}

function onMetrics(data) {
  curves.put(data.epoch, data.metrics);
  schedule();
}

// Many epochs may arrive between two frames of the screen.
function schedule() {
  if (drawing || !job) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  drawHead();
  drawProgress();
  drawFigures();
  drawResult();
  drawConfiguration();
  drawCurves();
}

function idle() {
  if (job.status === "queued") return "The curves start with the first epoch.";
  return format.ENDED.has(job.status) ? "This job ended before its first epoch." : "The first epoch is being trained…";
}

function drawHead() {
  const dataset = job.config.dataset?.type ?? job.config.hamiltonian?.molecule ?? job.config.hamiltonian?.model ?? "";
  const title = circuit?.name ?? dataset;
  write(part("title"), title);
  document.title = `${job.status === "running" ? `${percentage()} % · ` : ""}${title} · Q-Store`;
  part("status").dataset.status = job.status;
  write(part("status"), format.status(job.status));
  show(part("status"), true);
  const size = circuit?.n_qubits ? `${circuit.n_qubits} qubits` : null;
  const backend = job.resources?.backend_used ?? job.backend ?? job.config.backend;
  const words = [dataset, size, backend && `on ${backend}`, `submitted ${format.ago(job.created_at)}`];
  write(part("subtitle"), words.filter(Boolean).join(" · "));
  show(part("link"), !format.ENDED.has(job.status) || part("link").dataset.state !== "live");
  steering.draw(job);
  show(part("model"), Boolean(job.model_id));
  if (job.model_id) part("model").href = `/app/models/${encodeURIComponent(job.model_id)}`;
  drawReason();
}

function drawReason() {
  const place = part("reason");
  const heading = { queued: "Waiting", paused: "Paused", failed: "Failed", cancelled: "Cancelled" }[job.status];
  const sentence = job.reason ?? (job.status === "queued" ? "Starts as soon as a training slot is free." : null);
  show(place, Boolean(heading && sentence));
  place.className = `notice ${job.status === "failed" ? "bad" : job.status === "queued" ? "wait" : ""}`.trim();
  const code = job.error_code && !sentence?.startsWith(job.error_code) ? ` (${job.error_code})` : "";
  place.replaceChildren(make("strong", {}, `${heading}${code}`), make("span", {}, sentence ?? ""));
}

function percentage() {
  const { current_epoch: now, total_epochs: total } = job.progress;
  return total ? Math.floor((100 * now) / total) : 0;
}

function drawProgress() {
  const { current_epoch: now, total_epochs: total } = job.progress;
  write(part("epoch"), `Epoch ${format.count(now)} of ${format.count(total)}`);
  fill(part("bar"), total ? now / total : 0);
  part("bar").setAttribute("aria-valuenow", percentage());
  part("bar").classList.toggle("quiet", job.status === "failed" || job.status === "cancelled");
  part("bar").classList.toggle("good", job.status === "completed");
  drawTime();
  speak();
}

function drawTime() {
  const { eta_seconds: eta } = job.progress;
  const took = format.elapsed(job.started_at, job.completed_at);
  const left = eta === null || eta === undefined ? null : Math.max(0, eta - (Date.now() - etaSetAt) / 1000);
  const words = [`${percentage()} %`];
  if (took !== null && job.completed_at) words.push(`${format.duration(took)} in all`);
  else if (took !== null) words.push(`${format.duration(Math.floor(took))} so far`);
  if (job.status === "running" && left !== null) words.push(`about ${format.duration(Math.ceil(left))} left`);
  write(part("eta"), words.join(" · "));
}

// A screen reader hears the turns of the job, and in between no more than one sentence in ten seconds.
function speak() {
  const ended = format.ENDED.has(job.status);
  if (!ended && Date.now() - spokenAt < 10_000) return;
  spokenAt = Date.now();
  const { current_epoch: now, total_epochs: total, current_loss: loss } = job.progress;
  write(part("spoken"), `${format.status(job.status)}, epoch ${now} of ${total}, loss ${format.loss(loss)}`);
}

function drawFigures() {
  const rows = figures(job, curves);
  const place = part("figures");
  if (!place.children.length) {
    place.append(...rows.map(([name]) => make("div", {}, make("dt", {}, name), make("dd", {}, ""))));
  }
  rows.forEach(([, value], index) => write(place.children[index].lastChild, value));
}

function drawCurves() {
  const { loss, accuracy, lossName } = curvesOf(job.config.task);
  show(part("loss-figure"), loss);
  show(part("accuracy-figure"), accuracy);
  show(part("curves"), loss || accuracy);
  part("curves").classList.toggle("two", loss && accuracy);
  write(part("loss-title"), lossName);
  curves.draw(job.progress.total_epochs, idle());
}

function drawResult() {
  if (job.status !== "completed" || !part("result").hidden) return;
  const found = result(job.config.task, job.metrics ?? {}, part("scores"));
  show(part("result"), found !== null);
  if (found === null) return;
  write(part("result-title"), found.title);
  write(part("headline"), found.headline);
  write(part("verdict"), found.verdict);
}

function hamiltonian(terms) {
  if (!terms) return null;
  if (Array.isArray(terms)) return `${terms.length} Pauli terms`;
  return terms.molecule ? `${terms.molecule} at ${terms.bond_length} Å` : `${terms.model} chain`;
}

function noise(asked) {
  if (!asked) return null;
  if (asked.model) return `model ${asked.model}`;
  const { depolarizing, amplitude_damping: damping, readout } = asked;
  const both = readout !== null && typeof readout === "object" ? `${readout.p01} / ${readout.p10}` : readout;
  const parts = { depolarizing, "amplitude damping": damping, readout: both };
  return Object.entries(parts)
    .filter(([, strength]) => strength !== null && strength !== undefined)
    .map(([name, strength]) => `${name} ${strength}`)
    .join(" · ");
}

function drawConfiguration() {
  const { config } = job;
  const { dataset = {}, readout = {} } = config;
  const { features = {} } = dataset;
  const link = circuit?.name ? `${circuit.name} (${circuit.gate_count} gates, depth ${circuit.depth})` : job.circuit_id;
  const observables = Array.isArray(readout.observables) ? readout.observables.join(", ") : readout.observables;
  const parts = [dataset.train_size && `${dataset.train_size} training`, dataset.val_size && `${dataset.val_size} validation`];
  facts(part("configuration"), [
    ["Circuit", link],
    ["Data set", [dataset.type, parts.filter(Boolean).join(", ")].filter(Boolean).join(" · ")],
    ["Hamiltonian", hamiltonian(config.hamiltonian)],
    ["Features", features.method && [features.method, features.count, features.scale].filter(Boolean).join(" · ")],
    ["Readout", config.dataset && observables && `${observables} · ${readout.head ?? "linear"} head`],
    ["Optimizer", [config.optimizer, config.schedule?.type ?? config.schedule].filter(Boolean).join(" · ")],
    ["Learning rate", config.learning_rate],
    ["Batch size", config.dataset && config.batch_size],
    ["Gradient", config.gradient],
    ["Shots", config.shots ? format.count(config.shots) : "exact"],
    ["Noise", noise(config.noise)],
    ["Seed", config.seed ?? job.receipt?.seed],
    ["Priority", job.priority],
    ["Project", job.project],
    ["Tags", job.tags?.length ? job.tags.join(", ") : null],
    ["Started", job.started_at && format.date(job.started_at)],
  ]);
}

const steering = new Steering(path, content.dataset.scopes.split(" "), refresh);

const live = new Live((state, sentence) => {
  part("link").dataset.state = state;
  write(part("link"), sentence);
  if (job) drawHead();
});
live.follow("job.progress", id, { onEvent: onProgress, onFresh: refresh });
live.follow("job.metrics", id, { onEvent: onMetrics, onFresh: refresh });
refresh();
setInterval(() => job?.status === "running" && drawTime(), 1000);
