// A model's place in the registry: its stage and tags, its other versions, where it comes from, and changing them.

import { facts, make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { list, patch, post } from "./rest.js";

const STAGES = { staging: "Staging", production: "Production" };
const MOST = 8;

/** The label of a stage; nothing where there is none. */
export function stagePill(stage) {
  return stage ? make("span", { class: "stage", "data-stage": stage }, STAGES[stage] ?? stage) : null;
}

export function tagList(tags) {
  if (!tags?.length) return null;
  return make("span", { class: "tags" }, ...tags.map((tag) => make("a", { class: "tag", href: `/app/models?${new URLSearchParams({ tags: tag })}` }, tag)));
}

/** The part of a model's page that says all this; `changed` is called with the model as it is after a change. */
export class Registry {
  #model = null;
  #may;
  #changed;

  constructor(may, changed) {
    this.#may = may;
    this.#changed = changed;
    part("stage").addEventListener("change", () => this.#promote(part("stage").value || null));
    part("edit").addEventListener("click", () => this.#open());
    part("edit-cancel").addEventListener("click", () => part("edit-dialog").close());
    part("edit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  draw(model) {
    this.#model = model;
    part("stage").value = model.stage ?? "";
    part("stage").disabled = model.status === "retired" || !this.#may("deploy");
    show(part("edit"), this.#may("edit"));
    part("tags").replaceChildren(...[tagList(model.tags)].filter(Boolean));
    write(part("notes"), model.notes ?? "");
    show(part("notes"), Boolean(model.notes));
    const { lineage } = model;
    const link = (kind, id) => (id ? make("a", { href: `/app/${kind}/${encodeURIComponent(id)}` }, format.shortId(id)) : null);
    facts(part("lineage"), [
      ["Data", lineage.dataset],
      ["Digest of the data", short(lineage.dataset_digest)],
      ["Circuit", `${format.shortId(model.circuit_id)}${lineage.circuit_version ? `, version ${lineage.circuit_version}` : ""}`],
      ["Digest of the circuit", short(lineage.circuit_digest)],
      ["Training job", lineage.imported ? format.shortId(lineage.training_job_id) : link("jobs", lineage.training_job_id)],
      ["Went on from", link("jobs", lineage.continued_from)],
      ["Backend", lineage.backend],
      ["Seed", lineage.seed === null ? null : String(lineage.seed)],
      ["Q-Store that trained it", lineage.code_version],
      ["Imported, signed by", lineage.imported && (lineage.imported.known_as ?? lineage.imported.signed_by)],
      ["Size", `${format.bytes(Math.round(model.storage.size_mb * 1e6))}, ${short(model.storage.artifact_url)}`],
    ]);
    part("export").href = `/v1/models/${encodeURIComponent(model.id)}/export`;
    this.#drawVersions();
  }

  async #drawVersions() {
    const { name, id } = this.#model;
    const query = new URLSearchParams({ name, sort: "-version", limit: String(MOST) });
    try {
      const page = await list(`/v1/models?${query}`);
      part("version-rows").replaceChildren(...page.items.map((version) => this.#version(version, id)));
      const more = page.total - page.items.length;
      show(part("more-versions"), more > 0);
      part("more-versions").href = `/app/models?${new URLSearchParams({ name, sort: "-version" })}`;
      write(part("more-versions"), `${format.count(more)} more`);
    } catch (fault) {
      problem(part("problem"), fault);
    }
  }

  #version(version, id) {
    const own = version.id === id;
    const compare = `/app/models/compare?${new URLSearchParams({ a: id, b: version.id })}`;
    const name = own ? make("strong", {}, version.version) : make("a", { href: `/app/models/${encodeURIComponent(version.id)}` }, version.version);
    return make(
      "tr",
      own ? { "aria-current": "true" } : {},
      make("td", { class: "primary" }, name, stagePill(version.stage)),
      make("td", { class: "aside" }, make("span", { class: "pill", "data-status": version.status }, format.status(version.status))),
      make("td", { class: "number", "data-name": "accuracy" }, format.percent(version.metrics?.accuracy)),
      make("td", { class: "number aside" }, own ? "this one" : make("a", { href: compare }, "Compare")),
    );
  }

  async #promote(stage) {
    try {
      this.#changed(await post(`/v1/models/${encodeURIComponent(this.#model.id)}/promote`, { stage }));
    } catch (fault) {
      part("stage").value = this.#model.stage ?? "";
      problem(part("problem"), fault);
    }
  }

  #open() {
    const { elements } = part("edit-form");
    elements.name.value = this.#model.name;
    elements.version.value = this.#model.version;
    elements.tags.value = this.#model.tags.join(", ");
    elements.notes.value = this.#model.notes ?? "";
    problem(part("edit-problem"), null);
    part("edit-dialog").showModal();
  }

  async #save() {
    const { elements } = part("edit-form");
    const tags = elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    const body = { name: elements.name.value, version: elements.version.value.trim(), notes: elements.notes.value, tags };
    try {
      this.#changed(await patch(`/v1/models/${encodeURIComponent(this.#model.id)}`, body));
      part("edit-dialog").close();
    } catch (fault) {
      problem(part("edit-problem"), fault);
    }
  }
}

function short(digest) {
  return digest ? digest.replace(/^sha256:/, "").slice(0, 16) : null;
}
