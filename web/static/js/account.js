// One's own account: password, second factor, sessions.

import { make, part, problem, show, write } from "./dom.js";
import { agent } from "./agent.js";
import { Form } from "./form.js";
import * as format from "./format.js";
import { Pager } from "./pager.js";
import { list, post, remove } from "./rest.js";
import { SecondFactor } from "./second_factor.js";
import { switching } from "./switching.js";

const METHODS = {
  password: "Password",
  authenticator: "Password and code",
  recovery_code: "Password and recovery code",
  provider: "Your provider",
};

const pager = new Pager(20, () => refresh());

const password = new Form(part("password-form"), async ({ current_password, password: wanted }) => {
  show(part("password-done"), false);
  await post("/v1/users/me/password", { current_password, password: wanted });
  password.clear();
  show(part("password-done"), true);
  await refresh();
});

const factor = new SecondFactor(() => refresh());

async function refresh() {
  try {
    draw(await list(`/v1/sessions?${pager.query}&sort=-last_used`));
    problem(part("page-problem"), null);
  } catch (fault) {
    problem(part("page-problem"), fault);
  }
}

function draw(page) {
  show(part("sessions"), true);
  show(part("sessions-loading"), false);
  show(part("end-others"), page.total > 1);
  part("session-rows").replaceChildren(...page.items.map(row));
  pager.update(page);
}

function row(session) {
  const kind = session.kind === "cookie" ? "Dashboard" : "Program";
  return make(
    "tr",
    {},
    make(
      "td",
      { class: "primary", title: session.agent },
      agent(session.agent),
      make("span", { class: "secondary" }, `${kind} · ${session.address}`),
    ),
    make("td", { "data-name": "With" }, METHODS[session.method] ?? session.method),
    make("td", { "data-name": "Since" }, format.date(session.created_at)),
    make("td", { class: "number", "data-name": "Last used", title: format.date(session.last_used) }, format.ago(session.last_used)),
    make("td", { class: "number" }, session.current ? make("span", { class: "pill", "data-status": "completed" }, "This one") : ending(session)),
  );
}

function ending(session) {
  return make(
    "button",
    {
      type: "button",
      class: "button small",
      "aria-label": `End the session of ${agent(session.agent)} at ${session.address}`,
      click: (event) => end(event.currentTarget, `/v1/sessions/${encodeURIComponent(session.id)}`),
    },
    "End",
  );
}

async function end(button, path) {
  button.disabled = true;
  try {
    await remove(path);
  } catch (fault) {
    // It may have ended meanwhile; the list says so.
    if (fault.status !== 404) problem(part("page-problem"), fault);
  }
  button.disabled = false;
  await refresh();
}

part("end-others").addEventListener("click", (event) => end(event.currentTarget, "/v1/sessions"));

refresh();
switching();
factor.refresh();
