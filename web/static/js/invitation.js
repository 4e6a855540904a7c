// Where an invitation's link leads: what it offers, and the form that accepts it.

import "./appearance.js";
import { part, problem, show, write } from "./dom.js";
import { Form } from "./form.js";
import { post } from "./rest.js";

const element = part("form");

// What stands behind the # never leaves the browser by itself; it is taken out of the address bar at once.
const token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);

async function look() {
  try {
    const offer = await post("/v1/invitations/offer", { token });
    write(part("heading"), `Join ${offer.organization}`);
    write(part("offer"), `You are invited as ${offer.role}, under this address.`);
    element.elements.email.value = offer.email;
    show(element, true);
    (element.elements.name ?? element.querySelector("[type=submit]")).focus();
  } catch (fault) {
    write(part("heading"), fault.status === 410 ? "This link is no good any more" : "Something went wrong");
    write(part("offer"), fault.message);
    show(part("gone"), true);
  }
}

new Form(element, async ({ email, ...fields }) => {
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
  let accepted;
  try {
    const path = element.dataset.signedIn ? "/v1/invitations/join" : "/v1/invitations/accept";
    accepted = await post(path, { token, ...given });
  } catch (fault) {
    if (fault.code === "SECOND_FACTOR_REQUIRED" && askForCode(fault)) return;
    throw fault;
  }
  if (element.dataset.signedIn) {
    await post("/app/organization", { organization_id: accepted.organization_id });
    location.assign("/app/jobs");
    return;
  }
  show(element, false);
  write(part("offer"), email);
  write(part("done-words"), `You belong to ${accepted.organization} now, as ${accepted.role}.`);
  show(part("done"), true);
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

look();
