// A form of ours: its fields are checked, its faults are written beside them, its button says what it waits for.

import { make, part, problem } from "./dom.js";

export class Form {
  #form;
  #problem;

  /** `send`: gets the fields as an object; what it throws is explained in the form. */
  constructor(form, send) {
    this.#form = form;
    this.#problem = part("problem", form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!this.#checked()) return;
      const button = form.querySelector("[type=submit]");
      const words = button.textContent;
      button.disabled = true;
      button.textContent = button.dataset.busy ?? words;
      try {
        await send(Object.fromEntries(new FormData(form)));
      } catch (fault) {
        this.explain(fault);
      }
      button.disabled = false;
      button.textContent = words;
    });
  }

  explain(fault) {
    const rows = (fault.details?.errors ?? []).filter((row) => this.#form.elements[row.field]);
    for (const row of rows) this.#mark(this.#form.elements[row.field], row.message);
    if (rows.length) this.#form.elements[rows[0].field].focus();
    else problem(this.#problem, fault);
  }

  clear() {
    this.#form.reset();
    this.#forget();
  }

  #checked() {
    this.#forget();
    const wrong = [...this.#form.elements].filter((field) => field.willValidate && !field.checkValidity());
    for (const field of wrong) this.#mark(field, field.validationMessage);
    wrong[0]?.focus();
    return wrong.length === 0;
  }

  #mark(field, message) {
    const id = `${field.id}-fault`;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", id);
    field.after(make("span", { class: "fault", id, role: "alert" }, message));
  }

  #forget() {
    problem(this.#problem, null);
    for (const fault of this.#form.querySelectorAll(".fault")) fault.remove();
    for (const field of this.#form.elements) field.removeAttribute("aria-invalid");
  }
}
