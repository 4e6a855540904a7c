// The people of an organization: their roles, who is kept out, who is invited; and what the organization allows.

import { make, part, problem, show, write } from "./dom.js";
import * as format from "./format.js";
import { Inviting } from "./inviting.js";
import { Organization } from "./organization.js";
import { Pager } from "./pager.js";
import { list, patch, post, remove } from "./rest.js";
import { Roles } from "./roles.js";
import { Sure } from "./sure.js";

const scopes = document.querySelector("[data-page]").dataset.scopes.split(" ");
const me = part("page").dataset.me;

const pager = new Pager(50, () => refresh());
const sure = new Sure();
const roles = new Roles({ make: scopes.includes("people"), remove: scopes.includes("remove") }, sure, () => refresh());
const inviting = new Inviting(scopes.includes("invite"), (name) => roles.words(name), () => refresh());
const organization = new Organization((name) => title(name));
let members = 0;

async function refresh() {
  try {
    const [people] = await Promise.all([
      list(`/v1/users?${pager.query}&sort=created_at`),
      inviting.refresh(),
      roles.refresh(),
    ]);
    inviting.offer(givable());
    draw(people);
    problem(part("page-problem"), null);
  } catch (fault) {
    problem(part("page-problem"), fault);
  }
}

function draw(people) {
  members = people.total;
  show(part("members"), true);
  show(part("members-loading"), false);
  part("member-rows").replaceChildren(...people.items.map(row));
  pager.update(people);
  title(organization.name);
}

/** Roles that may be chosen; owners alone make owners, and the server refuses whatever else is more than one has. */
function givable() {
  return roles.all.map((role) => role.name).filter((name) => name !== "owner" || scopes.includes("own"));
}

function title(name) {
  const words = members === 1 ? "One person" : `${format.count(members)} people`;
  write(part("subtitle"), name ? `${words} in ${name}` : words);
}

function row(person) {
  const mine = person.id === me;
  // Whoever owns the organization is changed by owners alone.
  const mayChange = !mine && scopes.includes("people") && (person.role !== "owner" || scopes.includes("own"));
  const state = person.disabled ? ["failed", "Kept out"] : ["completed", mine ? "You" : "Active"];
  return make(
    "tr",
    {},
    make("td", { class: "primary" }, person.name, make("span", { class: "secondary" }, person.email)),
    make("td", {}, mayChange ? choosing(person) : person.role),
    make("td", {}, make("span", { class: "pill", "data-status": state[0] }, state[1])),
    make(
      "td",
      { class: "number", "data-name": "Last active", title: format.date(person.last_active) },
      person.last_active ? format.ago(person.last_active) : "never",
    ),
    make("td", { class: "doing" }, mayChange ? doing(person) : null),
  );
}

function choosing(person) {
  return make(
    "select",
    { "aria-label": `Role of ${person.name}`, change: (event) => give(event.currentTarget, person) },
    ...givable().map((role) => make("option", { value: role, selected: role === person.role }, role)),
  );
}

function doing(person) {
  const keep = person.disabled
    ? make("button", { type: "button", class: "button small", click: () => change(person, { disabled: false }) }, "Let in")
    : make("button", { type: "button", class: "button small", "aria-label": `Keep out ${person.name}`, click: () => keepOut(person) }, "Keep out");
  return make(
    "div",
    { class: "actions" },
    scopes.includes("own") && !person.disabled
      ? make("button", { type: "button", class: "button small", "aria-label": `Hand over to ${person.name}`, click: () => handOver(person) }, "Hand over")
      : null,
    keep,
    scopes.includes("remove")
      ? make("button", { type: "button", class: "button small danger", "aria-label": `Remove ${person.name}`, click: () => away(person) }, "Remove")
      : null,
  );
}

async function give(select, person) {
  const role = select.value;
  if (role === "owner") {
    const words = `${person.name} can do everything then, as you can: also change you, or remove you.`;
    sure.ask(`Make ${person.name} an owner?`, words, "Make them an owner", () => change(person, { role }), () => refresh());
    return;
  }
  select.disabled = true;
  await change(person, { role }).catch((fault) => problem(part("page-problem"), fault));
}

function keepOut(person) {
  const words = "They are signed out at once, and their API keys rest, until somebody lets them in again.";
  sure.ask(`Keep out ${person.name}?`, words, "Keep them out", () => change(person, { disabled: true }));
}

function away(person) {
  const words = "They are signed out at once, and their API keys of this organization are revoked. What they made stays.";
  sure.ask(`Remove ${person.name}?`, words, "Remove them", async () => {
    await remove(`/v1/users/${encodeURIComponent(person.id)}`);
    await refresh();
  });
}

function handOver(person) {
  const words = `${person.name} owns ${organization.name || "the organization"} then, and you are one of its administrators: you cannot take it back yourself.`;
  sure.ask(`Hand over to ${person.name}?`, words, "Hand it over", async () => {
    await post("/v1/organization/transfer", { user_id: person.id });
    // What this page offers is what its owner may.
    location.reload();
  });
}

async function change(person, body) {
  try {
    await patch(`/v1/users/${encodeURIComponent(person.id)}`, body);
  } finally {
    await refresh();
  }
}

refresh();
if (scopes.includes("organization")) organization.open();
