// Invitations: those that wait, and the dialog that makes another.

import { make, part, problem, show, write } from "./dom.js";
import { Form } from "./form.js";
import * as format from "./format.js";
import { list, post, remove } from "./rest.js";

export class Inviting {
  #dialog = part("invite-dialog");
  #mayInvite;
  #words;
  #onChange;

  /** `words`: gets the name of a role, and says what it is. */
  constructor(mayInvite, words, onChange) {
    this.#mayInvite = mayInvite;
    this.#words = words;
    this.#onChange = onChange;
    part("invite-role").addEventListener("change", () => this.#describe());
    show(part("invite"), mayInvite);
    const form = new Form(part("invite-form"), (fields) => this.#invite(fields));
    part("invite").addEventListener("click", () => {
      form.clear();
      this.#describe();
      show(part("invite-form"), true);
      show(part("invite-words"), true);
      show(part("invited"), false);
      this.#dialog.showModal();
    });
    for (const button of this.#dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => this.#dialog.close());
    }
    // The link is shown once: it goes with the dialog, however that is closed.
    this.#dialog.addEventListener("close", () => write(part("link"), ""));
  }

  async refresh() {
    const { items } = await list("/v1/invitations?status=pending&limit=100&sort=-created_at");
    show(part("invitations"), items.length > 0);
    show(part("no-invitations"), items.length === 0);
    part("invitation-rows").replaceChildren(...items.map((invitation) => this.#row(invitation)));
  }

  /** Roles that somebody may be invited to. While the dialog is open its choice stays. */
  offer(roles) {
    if (this.#dialog.open) return;
    const options = roles.map((role) => make("option", { value: role, selected: role === "developer" }, role));
    part("invite-role").replaceChildren(...options);
  }

  #describe() {
    write(part("invite-role-words"), this.#words(part("invite-role").value));
  }

  async #invite(fields) {
    const made = await post("/v1/invitations", fields);
    const mailed = made.mailed ? "It is mailed to them too." : "This installation sends no mail: give it to them.";
    write(part("invited-words"), `This link makes ${made.email} a member, once. It is not shown again. ${mailed}`);
    write(part("link"), made.link);
    show(part("invite-form"), false);
    show(part("invite-words"), false);
    show(part("invited"), true);
    part("invited").querySelector("[data-copy]").focus();
    this.#onChange();
  }

  #row(invitation) {
    return make(
      "tr",
      {},
      make("td", { class: "primary" }, invitation.email),
      make("td", {}, invitation.role),
      make("td", { "data-name": "Mailed" }, invitation.mailed ? "yes" : "no"),
      make("td", { class: "number", "data-name": "Good until" }, format.date(invitation.expires_at)),
      make("td", { class: "doing" }, this.#mayInvite ? this.#takingBack(invitation) : null),
    );
  }

  #takingBack(invitation) {
    const button = make(
      "button",
      { type: "button", class: "button small", "aria-label": `Take back the invitation of ${invitation.email}` },
      "Take back",
    );
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await remove(`/v1/invitations/${encodeURIComponent(invitation.id)}`);
      } catch (fault) {
        // It may have been accepted meanwhile; the list says so.
        if (fault.status !== 404) problem(part("page-problem"), fault);
      }
      this.#onChange();
    });
    return make("div", { class: "actions" }, button);
  }
}
