// Set-up and sign-in: one form each, answered without leaving the page when something is wrong.

import "./appearance.js";
import { make, part, problem } from "./dom.js";
import { post } from "./rest.js";

const form = document.querySelector("[data-entrance]");
const button = form.querySelector("[type=submit]");
const words = button.textContent;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearFaults();
  if (!checked()) return;
  button.disabled = true;
  button.textContent = button.dataset.busy;
  try {
    await post(form.dataset.entrance, Object.fromEntries(new FormData(form)));
    location.assign(form.dataset.next || "/app/jobs");
  } catch (fault) {
    if (fault.status === 410) location.reload();
    explain(fault);
    button.disabled = false;
    button.textContent = words;
  }
});

function checked() {
  const wrong = [...form.elements].filter((field) => field.willValidate && !field.checkValidity());
  for (const field of wrong) mark(field, field.validationMessage);
  wrong[0]?.focus();
  return wrong.length === 0;
}

function explain(fault) {
  const rows = (fault.details.errors ?? []).filter((row) => form.elements[row.field]);
  for (const row of rows) mark(form.elements[row.field], row.message);
  if (rows.length) form.elements[rows[0].field].focus();
  else problem(part("problem"), fault);
}

function mark(field, message) {
  const id = `${field.id}-fault`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", id);
  field.after(make("span", { class: "fault", id, role: "alert" }, message));
}

function clearFaults() {
  problem(part("problem"), null);
  for (const fault of form.querySelectorAll(".fault")) fault.remove();
  for (const field of form.elements) field.removeAttribute("aria-invalid");
}
