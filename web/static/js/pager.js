// Newer and older: the two buttons under a list.

import { part, show, write } from "./dom.js";
import { count } from "./format.js";

export class Pager {
  offset = 0;
  #limit;

  constructor(limit, onTurn) {
    this.#limit = limit;
    part("newer").addEventListener("click", () => this.#turn(-limit, onTurn));
    part("older").addEventListener("click", () => this.#turn(limit, onTurn));
  }

  get query() {
    return `limit=${this.#limit}&offset=${this.offset}`;
  }

  update({ items, total, offset }) {
    show(part("pager"), total > this.#limit);
    write(part("range"), `${count(offset + 1)} to ${count(offset + items.length)} of ${count(total)}`);
    part("newer").disabled = offset === 0;
    part("older").disabled = offset + items.length >= total;
  }

  #turn(by, onTurn) {
    this.offset = Math.max(0, this.offset + by);
    onTurn();
  }
}
