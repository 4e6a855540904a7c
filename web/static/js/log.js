// The last lines of a job's log, read after what moved it. (A followed log would hold one of the six connections
// that a browser opens to a server, for every tab.)

import { make, part, write } from "./dom.js";
import { clock } from "./format.js";
import { get } from "./rest.js";

const LINES = 200;
const PAUSE_MS = 700;

export class Log {
  #path;
  #shown = "";
  #waiting = false;

  constructor(jobId) {
    this.#path = `/v1/jobs/${encodeURIComponent(jobId)}/logs?lines=${LINES}`;
  }

  /** Reads soon; many calls in a row read once. */
  refresh() {
    if (this.#waiting) return;
    this.#waiting = true;
    setTimeout(async () => {
      this.#waiting = false;
      try {
        this.#draw((await get(this.#path)).logs);
      } catch (fault) {
        write(part("log-hint"), fault.message);
      }
    }, this.#shown ? PAUSE_MS : 0);
  }

  #draw(lines) {
    const last = lines.at(-1);
    const now = `${lines.length} ${last?.seq} ${last?.timestamp} ${last?.message}`;
    if (now === this.#shown) return;
    this.#shown = now;
    const place = part("log");
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    place.replaceChildren(
      ...lines.map((line) =>
        make(
          "li",
          { "data-level": String(line.level).toUpperCase() },
          make("time", { datetime: line.timestamp }, clock(line.timestamp)),
          make("span", {}, line.message),
        ),
      ),
    );
    write(part("log-hint"), lines.length === LINES ? `last ${LINES} lines` : "");
    // Whoever scrolled up to read stays there.
    if (atEnd) place.scrollTop = place.scrollHeight;
  }
}
