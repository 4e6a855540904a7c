// The button of the empty list: the same two requests that a client would send.

import { part, problem, show } from "./dom.js";
import { post } from "./rest.js";

// The recipe that the command line's demo ships; a browser test holds the two together.
const QUBITS = 8;
const LAYERS = 4;

/** Each layer takes in the features again, turns every qubit by angles to learn, and closes a ring of CNOTs. */
function gates() {
  const qubits = [...Array(QUBITS).keys()];
  const turn = (type, qubit, theta) => ({ type, targets: [qubit], parameters: { theta } });
  return [...Array(LAYERS).keys()].flatMap((layer) => [
    ...qubits.map((qubit) => turn("RY", qubit, `0.6*x_${qubit}`)),
    ...qubits.flatMap((qubit) => {
      const weight = 2 * (layer * QUBITS + qubit);
      return [turn("RY", qubit, `theta_${weight}`), turn("RZ", qubit, `theta_${weight + 1}`)];
    }),
    ...qubits.map((qubit) => ({ type: "CNOT", targets: [qubit, (qubit + 1) % QUBITS] })),
  ]);
}

const CONFIG = {
  task: "classification",
  epochs: 40,
  batch_size: 32,
  learning_rate: 0.1,
  optimizer: "adam",
  seed: 0,
  dataset: { type: "digits", features: { method: "pca", count: QUBITS, scale: "angle" } },
  readout: { observables: "z+zz", head: "linear" },
};

/** Wires the button up, where this person may submit jobs. */
export function teach(onStarted) {
  const scopes = document.querySelector("[data-scopes]").dataset.scopes.split(" ");
  show(part("first"), scopes.includes("submit"));
  part("start").addEventListener("click", async () => {
    const button = part("start");
    const words = button.textContent;
    button.disabled = true;
    button.textContent = "Storing the circuit…";
    try {
      const name = "Digits on eight qubits";
      const metadata = { tags: ["digits"] };
      const circuit = await post("/v1/circuits", { name, n_qubits: QUBITS, gates: gates(), metadata });
      button.textContent = "Submitting the job…";
      const job = await post("/v1/jobs", { circuit_id: circuit.id, config: CONFIG });
      location.assign(`/app/jobs/${encodeURIComponent(job.job_id)}`);
    } catch (fault) {
      problem(part("problem"), fault);
      button.textContent = words;
      button.disabled = false;
      onStarted();
    }
  });
}
