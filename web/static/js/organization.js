// What an organization allows: its name, how many jobs run at once, its backends, hardware.

import { bar, make, part, problem, show, write } from "./dom.js";
import { Form } from "./form.js";
import * as format from "./format.js";
import { get, list, patch } from "./rest.js";

export class Organization {
  name = "";
  #form = part("organization-form");
  #onName;

  constructor(onName) {
    this.#onName = onName;
    new Form(this.#form, (fields) => this.#save(fields));
    part("all-backends").addEventListener("change", () => this.#free());
    this.#form.addEventListener("input", () => show(part("organization-done"), false));
  }

  async open() {
    try {
      const [found, backends] = await Promise.all([get("/v1/organization"), list("/v1/backends?limit=100")]);
      this.#draw(found, backends.items);
    } catch (fault) {
      problem(part("page-problem"), fault);
    }
  }

  #draw(found, backends) {
    const { allowed_backends: allowed, max_concurrent_jobs: jobs, enable_hardware: hardware } = found.settings;
    this.name = found.name;
    this.#onName(found.name);
    this.#form.elements.name.value = found.name;
    this.#form.elements.max_concurrent_jobs.value = jobs;
    part("hardware").checked = hardware;
    part("all-backends").checked = allowed === null;
    // A list may name one that is not installed any more: it is kept until somebody takes it out.
    const gone = (allowed ?? []).filter((name) => !backends.some((backend) => backend.name === name));
    const rows = [...backends.map(({ name, type }) => [name, type]), ...gone.map((name) => [name, "not installed"])];
    part("backends").replaceChildren(
      ...rows.map(([name, words]) =>
        make(
          "label",
          { class: "choice" },
          make("input", { type: "checkbox", name: "backend", value: name, checked: allowed === null || allowed.includes(name) }),
          make("span", {}, name, make("span", { class: "hint" }, words)),
        ),
      ),
    );
    this.#kept(found.storage);
    this.#free();
    show(part("organization"), true);
  }

  #kept({ limit_bytes: limit, used_bytes: used, datasets_bytes: data, models_bytes: models, checkpoints_bytes: checkpoints }) {
    const of = limit === null ? "without a limit" : `of ${format.bytes(limit)}`;
    const parts = `data sets ${format.bytes(data)}, models ${format.bytes(models)}, checkpoints ${format.bytes(checkpoints)}`;
    write(part("storage"), `${format.bytes(used)} ${of}: ${parts}.`);
    part("storage-bar").replaceChildren(...(limit === null ? [] : [bar(limit === 0 ? 1 : used / limit)]));
  }

  #free() {
    for (const box of part("backends").querySelectorAll("input")) box.disabled = part("all-backends").checked;
  }

  async #save({ name, max_concurrent_jobs: jobs }) {
    const chosen = [...part("backends").querySelectorAll("input:checked")].map((box) => box.value);
    const all = part("all-backends").checked;
    show(part("organization-done"), false);
    if (!all && chosen.length === 0) throw new Error("Allow at least one backend.");
    const settings = {
      max_concurrent_jobs: Number(jobs),
      allowed_backends: all ? null : chosen,
      enable_hardware: part("hardware").checked,
    };
    const found = await patch("/v1/organization", { name, settings });
    this.name = found.name;
    this.#onName(found.name);
    show(part("organization-done"), true);
  }
}
