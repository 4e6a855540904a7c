// The second factor: password, picture and first code turn it on; password and a code turn it off.

import { make, part, problem, show, write } from "./dom.js";
import { Form } from "./form.js";
import * as format from "./format.js";
import { get, post } from "./rest.js";

const HOME = "/v1/users/me/second-factor";
const STEPS = ["factor-actions", "enrol-form", "confirm-form", "spend-form", "codes"];

export class SecondFactor {
  #changed;
  #removing = false;

  /** `changed`: called when sessions may have ended. */
  constructor(changed) {
    this.#changed = changed;
    const enrol = new Form(part("enrol-form"), async ({ password }) => {
      this.#picture(await post(HOME, { password }));
      enrol.clear();
    });
    const confirm = new Form(part("confirm-form"), async ({ code }) => {
      this.#codes(await post(`${HOME}/confirm`, { code: code.trim() }));
      confirm.clear();
      this.#changed();
    });
    const spend = new Form(part("spend-form"), async (fields) => {
      if (this.#removing) await post(`${HOME}/remove`, fields);
      else this.#codes(await post(`${HOME}/recovery-codes`, fields));
      spend.clear();
      if (this.#removing) await this.refresh();
    });
    part("turn-on").addEventListener("click", () => this.#step("enrol-form"));
    part("renew").addEventListener("click", () => this.#ask(false));
    part("turn-off").addEventListener("click", () => this.#ask(true));
    part("codes-kept").addEventListener("click", () => this.refresh());
    for (const button of document.querySelectorAll("[data-leave]")) {
      button.addEventListener("click", () => {
        for (const form of [enrol, confirm, spend]) form.clear();
        this.refresh();
      });
    }
  }

  async refresh() {
    try {
      this.#draw(await get(HOME));
    } catch (fault) {
      problem(part("page-problem"), fault);
    }
  }

  #draw({ enabled, since, recovery_codes_left: left }) {
    part("codes-list").replaceChildren();
    part("qr").replaceChildren();
    write(part("secret"), "");
    const state = part("factor-state");
    write(state, enabled ? "On" : "Off");
    state.dataset.status = enabled ? "completed" : "";
    show(state, true);
    write(
      part("factor-words"),
      enabled
        ? `Signing in takes a code of your authenticator since ${format.date(since)}. Recovery codes left: ${left}.`
        : "With it, signing in takes a code of your authenticator, too: a stolen password alone opens nothing.",
    );
    show(part("turn-on"), !enabled);
    show(part("renew"), enabled);
    show(part("turn-off"), enabled);
    this.#step("factor-actions");
  }

  #ask(removing) {
    this.#removing = removing;
    const button = part("spend-button");
    write(button, removing ? "Turn it off" : "Make new codes");
    button.classList.toggle("danger", removing);
    button.classList.toggle("primary", !removing);
    this.#step("spend-form");
  }

  #picture({ secret, qr }) {
    const picture = make("img", { src: `data:image/svg+xml,${encodeURIComponent(qr)}`, alt: "QR code for your authenticator" });
    part("qr").replaceChildren(picture);
    write(part("secret"), secret.match(/.{1,4}/g).join(" "));
    this.#step("confirm-form");
  }

  #codes({ recovery_codes: codes }) {
    part("codes-list").replaceChildren(...codes.map((code) => make("li", {}, code)));
    this.#step("codes");
  }

  #step(name) {
    for (const step of STEPS) show(part(step), step === name);
    part(name).querySelector("input")?.focus();
  }
}
