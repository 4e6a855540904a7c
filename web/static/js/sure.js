// A question before something that is not easily undone.

import { part, problem, write } from "./dom.js";

export class Sure {
  #dialog = part("sure-dialog");
  #yes = part("sure-yes");
  #act = null;
  #left = null;

  constructor() {
    part("sure-no").addEventListener("click", () => this.#dialog.close());
    this.#yes.addEventListener("click", () => this.#do());
    this.#dialog.addEventListener("close", () => {
      if (this.#act) this.#left?.();
      this.#act = null;
    });
  }

  /** `act` is done after a yes; `left` is called where there is none. */
  ask(title, words, yes, act, left = null) {
    this.#act = act;
    this.#left = left;
    write(part("sure-title"), title);
    write(part("sure-words"), words);
    write(this.#yes, yes);
    problem(part("sure-problem"), null);
    this.#dialog.showModal();
  }

  async #do() {
    this.#yes.disabled = true;
    try {
      await this.#act();
      this.#act = null;
      this.#dialog.close();
    } catch (fault) {
      problem(part("sure-problem"), fault);
    }
    this.#yes.disabled = false;
  }
}
