// What a job has learned so far, by epoch; drawn whenever something came in.

import { accuracyRange, Chart, lossRange } from "./chart.js";
import { part } from "./dom.js";
import * as format from "./format.js";

const HISTORIES = {
  loss: "loss_history",
  val_loss: "val_loss_history",
  accuracy: "accuracy_history",
  val_accuracy: "val_accuracy_history",
};

export class Curves {
  values = { loss: [], val_loss: [], accuracy: [], val_accuracy: [] };
  #loss = new Chart(part("loss"), part("loss-keys"), { name: "Loss", format: format.loss, tick: format.tick, range: lossRange });
  #accuracy = new Chart(part("accuracy"), part("accuracy-keys"), {
    name: "Accuracy",
    format: (share) => format.percent(share),
    tick: (share) => format.percent(share, 0),
    range: accuracyRange,
  });

  /** Takes the stored histories. Epochs that an event brought meanwhile and that they lack stay. */
  restore(metrics) {
    for (const [name, history] of Object.entries(HISTORIES)) {
      const stored = metrics[history] ?? [];
      this.values[name] = [...stored, ...this.values[name].slice(stored.length)];
    }
  }

  /** One epoch, counted from 1; a job that goes on from a checkpoint writes some again. */
  put(epoch, metrics) {
    for (const name of Object.keys(HISTORIES)) {
      const values = this.values[name];
      while (values.length < epoch) values.push(null);
      values[epoch - 1] = metrics[name] ?? null;
    }
  }

  last(name) {
    return this.values[name].at(-1) ?? null;
  }

  draw(total, idle) {
    const { loss, val_loss: valLoss, accuracy, val_accuracy: valAccuracy } = this.values;
    const epochs = Math.max(total, loss.length);
    this.#loss.draw(loss, valLoss, epochs, idle);
    this.#accuracy.draw(accuracy, valAccuracy, epochs, idle);
  }
}
