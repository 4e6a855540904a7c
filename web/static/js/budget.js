// This month's budget: what is spent and promised of it, its alerts, and the form that changes its limit.

import { fill, make, part, show, write } from "./dom.js";
import * as format from "./format.js";
import { get, put } from "./rest.js";

const ACTIONS = {
  email: "mails",
  slack: "tells Slack",
  webhook: "calls a webhook",
  pause_jobs: "pauses all jobs",
  pause_new_jobs: "refuses new jobs",
};

export class Budget {
  #mayChange;
  #mayRead;
  #budget = null;

  /** `scopes`: what the page may offer. */
  constructor(scopes) {
    this.#mayChange = scopes.includes("billing");
    this.#mayRead = scopes.includes("budget");
    part("change").addEventListener("click", () => this.#open());
    part("budget-close").addEventListener("click", () => part("budget-dialog").close());
    part("budget-form").addEventListener("submit", (event) => this.#set(event));
  }

  async refresh() {
    if (this.#mayRead) this.#draw(await get("/v1/budget"));
  }

  #draw(budget) {
    this.#budget = budget;
    const { monthly_limit: limit, current_spend: spent, percentage_used: share, reserved } = budget;
    show(part("budget"), true);
    show(part("change"), this.#mayChange);
    const limited = limit !== null;
    write(part("spent"), limited ? `${format.money(spent)} of ${format.money(limit)} spent` : `${format.money(spent)} spent`);
    write(part("share"), limited ? `${share} % of this month’s budget` : "No limit is set");
    show(part("track"), limited);
    fill(part("bar"), share / 100);
    part("bar").setAttribute("aria-valuenow", Math.min(100, Math.round(share ?? 0)));
    part("bar").classList.toggle("bad", limited && share >= 100);
    part("thresholds").replaceChildren(...budget.alerts.map((alert) => threshold(alert)));
    const rows = [
      ["Spent this month", format.money(spent)],
      ["Reserved by jobs", format.money(reserved)],
      ["Left", limited ? format.money(Math.max(0, limit - spent - reserved)) : format.DASH],
      ["At this pace by month’s end", format.money(budget.projected_monthly_spend)],
    ];
    part("figures").replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  }

  #open() {
    show(part("budget-fault"), false);
    part("budget-form").limit.value = this.#budget.monthly_limit ?? "";
    part("budget-dialog").showModal();
  }

  async #set(event) {
    event.preventDefault();
    const text = part("budget-form").limit.value.trim();
    try {
      this.#draw(await put("/v1/budget", { monthly_limit: text === "" ? null : Number(text) }));
      part("budget-dialog").close();
    } catch (fault) {
      write(part("budget-fault"), fault.message);
      show(part("budget-fault"), true);
    }
  }
}

function threshold({ threshold: percent, action, status }) {
  const fired = status === "triggered";
  const words = `${percent} % ${ACTIONS[action] ?? action}`;
  return make("li", { "data-fired": fired }, make("span", {}, words), fired ? make("span", { class: "pill", "data-status": "queued" }, "has fired") : null);
}
