// The roles of an organization: those that it has made, and the dialog in which one is made or changed.

import { make, part, problem, show, write } from "./dom.js";
import { Form } from "./form.js";
import * as format from "./format.js";
import { get, patch, post, remove } from "./rest.js";

export class Roles {
  all = [];
  #dialog = part("role-dialog");
  #form = part("role-form");
  #may;
  #sure;
  #onChange;
  #changing = null;

  /** `may`: `{make, remove}`. `onChange` is called after a role was made, changed or deleted. */
  constructor(may, sure, onChange) {
    this.#may = may;
    this.#sure = sure;
    this.#onChange = onChange;
    show(part("make-role"), may.make);
    const form = new Form(this.#form, (fields) => this.#save(fields));
    part("make-role").addEventListener("click", () => this.#open(form, null));
    part("role-rows").addEventListener("click", (event) => {
      const name = event.target.closest("[data-change]")?.dataset.change;
      if (name) this.#open(form, this.all.find((role) => role.name === name));
    });
    this.#form.querySelector("[data-close]").addEventListener("click", () => this.#dialog.close());
  }

  async refresh() {
    this.all = await get("/v1/roles");
    const own = this.all.filter((role) => !role.built_in);
    show(part("roles"), own.length > 0);
    show(part("no-roles"), own.length === 0);
    part("role-rows").replaceChildren(...own.map((role) => this.#row(role)));
  }

  /** What a role is, in a sentence. */
  words(name) {
    const role = this.all.find((one) => one.name === name);
    return role ? role.description || `May: ${role.permissions.join(", ")}.` : "";
  }

  #row(role) {
    return make(
      "tr",
      {},
      make("td", { class: "primary" }, role.name, make("span", { class: "secondary" }, role.description)),
      make("td", { class: "permissions", "data-name": "May" }, role.permissions.join(" · ")),
      make("td", { class: "number", "data-name": "Members" }, format.count(role.members)),
      make(
        "td",
        { class: "doing" },
        make(
          "div",
          { class: "actions" },
          this.#may.make
            ? make("button", { type: "button", class: "button small", "data-change": role.name, "aria-label": `Change ${role.name}` }, "Change")
            : null,
          this.#may.remove
            ? make("button", { type: "button", class: "button small danger", "aria-label": `Delete ${role.name}`, click: () => this.#away(role) }, "Delete")
            : null,
        ),
      ),
    );
  }

  #open(form, role) {
    form.clear();
    this.#changing = role;
    const { name, description } = this.#form.elements;
    name.readOnly = Boolean(role);
    if (role) {
      name.value = role.name;
      description.value = role.description;
    }
    for (const box of this.#boxes()) box.checked = role?.permissions.includes(box.value) ?? false;
    write(part("role-title"), role ? `Change ${role.name}` : "Make a role");
    write(part("role-save"), role ? "Change it" : "Make it");
    write(
      part("role-words"),
      role?.members
        ? `It counts at once for ${role.members === 1 ? "the one member who has it" : `the ${format.count(role.members)} members who have it`}.`
        : "It holds what you choose and nothing else. What you do not have yourself you cannot give.",
    );
    this.#dialog.showModal();
    (role ? description : name).focus();
  }

  #boxes() {
    return [...this.#form.querySelectorAll("input[name=permission]")];
  }

  async #save({ name, description }) {
    const permissions = this.#boxes().filter((box) => box.checked).map((box) => box.value);
    if (permissions.length === 0) throw new Error("Choose at least one permission.");
    if (this.#changing) await patch(`/v1/roles/${encodeURIComponent(name)}`, { description, permissions });
    else await post("/v1/roles", { name, description, permissions });
    this.#dialog.close();
    this.#onChange();
  }

  #away(role) {
    this.#sure.ask(`Delete ${role.name}?`, "Nobody has it then. Whoever has it now must get another role first.", "Delete it", async () => {
      await remove(`/v1/roles/${encodeURIComponent(role.name)}`);
      problem(part("page-problem"), null);
      this.#onChange();
    });
  }
}
