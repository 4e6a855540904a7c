// A forgotten password: the form that asks for a link, and the one that the link leads to.

import "./appearance.js";
import { part, show } from "./dom.js";
import { Form } from "./form.js";
import { post } from "./rest.js";

const element = document.querySelector("[data-form]");

// What stands behind the # never leaves the browser by itself; it is taken out of the address bar at once.
const token = location.hash.slice(1);
if (token) history.replaceState(null, "", location.pathname);

if (element) {
  const more = "token" in element.dataset ? { token } : {};
  new Form(element, async (fields) => {
    await post(element.dataset.form, { ...fields, ...more });
    show(element, false);
    show(part("done"), true);
  });
}
