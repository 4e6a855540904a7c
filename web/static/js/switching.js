// The organizations that one belongs to, and the way from one to another.

import { make, part, problem, show } from "./dom.js";
import { get, post } from "./rest.js";

export async function switching() {
  try {
    const mine = await get("/v1/organizations");
    show(part("organizations"), mine.length > 1);
    part("organization-rows").replaceChildren(...mine.map(row));
  } catch (fault) {
    problem(part("page-problem"), fault);
  }
}

function row(organization) {
  const here = make("span", { class: "pill", "data-status": "completed" }, "Here");
  return make(
    "tr",
    {},
    make("td", { class: "primary" }, organization.name),
    make("td", { "data-name": "As" }, organization.role),
    make("td", { class: "number" }, organization.current ? here : going(organization)),
  );
}

function going(organization) {
  const button = make("button", { type: "button", class: "button small", "aria-label": `Go to ${organization.name}` }, "Go there");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await post("/app/organization", { organization_id: organization.id });
      location.assign("/app/jobs");
    } catch (fault) {
      problem(part("page-problem"), fault);
      button.disabled = false;
    }
  });
  return button;
}
