// One model: its score, a form to ask it, deploy and retire; its place in the registry is `registry.js`.

import { answer, waiting } from "./answer.js";
import { confusion } from "./confusion.js";
import { facts, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { Question } from "./question.js";
import { Registry } from "./registry.js";
import { get, post } from "./rest.js";
import { result as resultOf, taskOf } from "./task.js";

const content = document.querySelector("[data-page]");
const id = content.dataset.id;
const path = `/v1/models/${encodeURIComponent(id)}`;
const may = (action) => content.dataset.scopes.split(" ").includes(action);

const registry = new Registry(may, (changed) => {
  model = changed;
  draw();
});

let model = null;
let question = null;
let asking = 0;

async function refresh() {
  try {
    model = await get(path);
    problem(part("problem"), null);
    show(part("body"), true);
    draw();
  } catch (fault) {
    if (!model) write(part("subtitle"), fault.status === 404 ? "Not found" : "Cannot be shown now");
    problem(part("problem"), fault);
  }
}

function draw() {
  write(part("title"), model.name);
  document.title = `${model.name} · Q-Store`;
  part("status").dataset.status = model.status;
  write(part("status"), format.status(model.status));
  show(part("status"), true);
  write(part("subtitle"), `version ${model.version} · trained ${format.ago(model.created_at)}`);
  show(part("job"), Boolean(model.training_job_id));
  if (model.training_job_id) part("job").href = `/app/jobs/${encodeURIComponent(model.training_job_id)}`;
  show(part("deploy"), model.status === "trained" && may("deploy") && !silent());
  show(part("retire"), ["trained", "deployed"].includes(model.status) && may("retire"));
  drawScore();
  drawQuestion();
  registry.draw(model);
}

// A model of an energy holds the circuit's angles; there is nothing to ask it.
function silent() {
  return taskOf(model.metrics) === "energy";
}

function drawScore() {
  const { metrics } = model;
  const found = resultOf(taskOf(metrics), metrics, part("scores"));
  write(part("score-title"), found ? found.title : "Score");
  write(part("verdict"), [silent() && found?.headline, found?.verdict].filter(Boolean).join(": "));
  write(part("test-hint"), metrics.n_test ? `${format.count(metrics.n_test)} samples that training never saw` : "");
  const angles = Object.values(model.parameters ?? {}).reduce((sum, values) => sum + [].concat(values).length, 0);
  facts(part("facts"), [
    ["Validation accuracy", metrics.validation_accuracy === undefined ? null : format.percent(metrics.validation_accuracy)],
    ["Training accuracy", metrics.training_accuracy === undefined ? null : format.percent(metrics.training_accuracy)],
    ["F1 score", metrics.f1_score?.toFixed(3)],
    ["Mean error", metrics.mae === undefined ? null : format.loss(metrics.mae)],
    ["Root mean square error", metrics.rmse === undefined ? null : format.loss(metrics.rmse)],
    ["Test loss", metrics.test_loss === undefined ? null : format.loss(metrics.test_loss)],
    ["Training loss", metrics.loss === undefined ? null : format.loss(metrics.loss)],
    ["One prediction", metrics.inference_time_ms === undefined ? null : format.milliseconds(metrics.inference_time_ms)],
    ["Trained parameters", angles || null],
  ]);
  confusion(metrics.confusion_matrix, model.inputs?.classes ?? []);
}

function drawQuestion() {
  const open = model.status === "deployed" && may("predict");
  show(part("ask"), model.status === "deployed");
  show(part("ask-closed"), model.status !== "deployed");
  const closed = {
    trained: "Deploy the model first: then a process holds it in memory and answers in milliseconds.",
    deploying: "Its process is starting. This page opens by itself.",
    retired: "This model is retired and answers no more questions.",
  };
  if (silent()) closed.trained = "This model holds the angles of a ground state. It takes no inputs, so it cannot be deployed.";
  write(part("ask-closed"), closed[model.status] ?? "");
  show(part("curl-card"), !silent());
  part("submit").disabled = !open;
  if (model.status === "deploying") setTimeout(refresh, 700);
  if (question || silent()) return;
  question = new Question(model.inputs ?? {}, ask);
  const classes = model.inputs?.classes ?? [];
  write(part("ask-hint"), `${format.count(question.size)} raw features in, ${classes.length ? `${classes.length} classes` : "a number"} out`);
  waiting(part("answer"), classes.length ? "The answer appears here, with how sure the model is of every class." : "The answer appears here.");
  question.set(0);
  drawCurl();
}

async function ask() {
  if (model.status !== "deployed" || !may("predict")) return;
  const input = question.read();
  if (!input) {
    problem(part("ask-problem"), new Error("Every field needs a number."));
    return;
  }
  const { example } = question;
  const turn = (asking += 1);
  part("submit").textContent = "Asking…";
  try {
    const result = await post(`${path}/predict`, { inputs: [input] });
    if (turn !== asking) return;
    problem(part("ask-problem"), null);
    answer(part("answer"), model.inputs?.classes ?? [], result.predictions[0], result, example);
  } catch (fault) {
    if (turn === asking) problem(part("ask-problem"), fault);
    if (fault.status === 410) refresh();
  } finally {
    if (turn === asking) part("submit").textContent = "Predict";
  }
}

function drawCurl() {
  const input = model.inputs?.examples?.[0]?.input ?? [];
  const command = [
    `curl -s ${location.origin}${path}/predict \\`,
    `  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\`,
    `  -d '{"inputs": [${JSON.stringify(input.map((value) => Math.round(value * 1e4) / 1e4))}]}'`,
  ];
  write(part("curl"), command.join("\n"));
}

async function act(button, busy, request) {
  const words = button.textContent;
  button.disabled = true;
  button.textContent = busy;
  try {
    await request();
    await refresh();
  } catch (fault) {
    problem(part("problem"), fault);
  }
  button.disabled = false;
  button.textContent = words;
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
part("deploy").addEventListener("click", () => act(part("deploy"), "Deploying…", () => post(`${path}/deploy`, {})));
part("retire").addEventListener("click", () => part("retire-dialog").showModal());
part("retire-dialog").addEventListener("close", () => {
  if (part("retire-dialog").returnValue !== "retire") return;
  part("retire-dialog").returnValue = "";
  act(part("retire"), "Retiring…", () => post(`${path}/retire`, {}));
});

refresh();
