// What people do to a job that has not ended: cancel, pause, resume, raise its limit.

import { part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { post } from "./rest.js";

export class Steering {
  #path;
  #may;
  #refresh;
  #job = null;
  #asked = null;

  /** `scopes`: what the page may offer; `refresh` reads the job again and draws it. */
  constructor(path, scopes, refresh) {
    this.#path = path;
    this.#may = new Set(scopes);
    this.#refresh = refresh;
    part("cancel").addEventListener("click", () => part("cancel-dialog").showModal());
    part("cancel-dialog").addEventListener("close", () => {
      if (part("cancel-dialog").returnValue === "cancel") this.#ask("cancel");
      part("cancel-dialog").returnValue = "";
    });
    part("pause").addEventListener("click", () => this.#ask("pause"));
    part("resume").addEventListener("click", () => this.#ask("resume"));
    part("top-up").addEventListener("click", () => this.#open());
    part("top-up-close").addEventListener("click", () => part("top-up-dialog").close());
    part("top-up-form").addEventListener("submit", (event) => this.#raise(event));
  }

  draw(job) {
    const turned = this.#job?.status !== job.status;
    this.#job = job;
    if (turned) this.#asked = null;
    const live = !format.ENDED.has(job.status);
    const cancelling = Boolean(job.cancel_requested) || this.#asked === "cancel";
    const steered = this.#may.has("cancel") && live;
    show(part("cancel"), steered);
    show(part("pause"), steered && job.status !== "paused");
    show(part("resume"), steered && job.status === "paused");
    show(part("top-up"), this.#may.has("submit") && live && job.budget_limit !== null && job.budget_limit !== undefined);
    part("cancel").disabled = cancelling;
    write(part("cancel"), cancelling ? "Cancelling…" : "Cancel job");
    part("pause").disabled = cancelling || this.#asked === "pause";
    write(part("pause"), this.#asked === "pause" ? "Pausing…" : "Pause");
    part("resume").disabled = cancelling || this.#asked === "resume";
  }

  async #ask(verb) {
    this.#asked = verb;
    this.draw(this.#job);
    try {
      await post(`${this.#path}/${verb}`);
      await this.#refresh();
    } catch (fault) {
      this.#asked = null;
      await this.#refresh();
      problem(part("problem"), fault);
    }
  }

  #open() {
    const { budget_limit: limit, metrics } = this.#job;
    const spent = format.money(metrics?.cost_so_far ?? 0);
    const goesOn = this.#job.status === "paused" ? " With a higher one it goes on from its last checkpoint." : "";
    write(part("top-up-text"), `It has cost ${spent} of the ${format.money(limit)} it may cost.${goesOn}`);
    show(part("top-up-fault"), false);
    part("top-up-form").limit.value = "";
    part("top-up-dialog").showModal();
  }

  async #raise(event) {
    event.preventDefault();
    const limit = Number(part("top-up-form").limit.value);
    try {
      await post(`${this.#path}/top-up`, { budget_limit: limit });
      part("top-up-dialog").close();
      await this.#refresh();
    } catch (fault) {
      write(part("top-up-fault"), fault.message);
      show(part("top-up-fault"), true);
    }
  }
}
