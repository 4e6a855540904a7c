// Set-up and sign-in: one form each, answered without leaving the page when something is wrong.

import "./appearance.js";
import { part, problem, show } from "./dom.js";
import { Form } from "./form.js";
import { post } from "./rest.js";

const element = document.querySelector("[data-entrance]");

new Form(element, async ({ code, ...fields }) => {
  try {
    await post(element.dataset.entrance, code ? { ...fields, code } : fields);
  } catch (fault) {
    if (fault.status === 410) location.reload();
    if (fault.code === "SECOND_FACTOR_REQUIRED" && askForCode(fault)) return;
    throw fault;
  }
  location.assign(element.dataset.next || "/app/jobs");
});

// The password was right; the same form is sent again with a code.
function askForCode(fault) {
  const field = element.elements.code;
  const first = part("code").hidden;
  show(part("code"), true);
  field.required = true;
  field.value = "";
  field.focus();
  if (!first) problem(part("problem"), fault);
  return true;
}
