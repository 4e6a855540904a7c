// The days of a month as bars of what each backend cost.

import { make } from "./dom.js";
import { day as spoken, money } from "./format.js";

/** Kinds of bars that the stylesheet has; further backends share the last. */
const KINDS = 5;

/** `days`: `[{date, cost, backend_breakdown}]` of the month that begins at `month`; days without usage are left out. */
export function draw(place, keys, days, month) {
  const known = new Map(days.map((row) => [row.date, row]));
  const backends = [...new Set(days.flatMap((row) => Object.keys(row.backend_breakdown)))].sort();
  const kind = (backend) => Math.min(backends.indexOf(backend), KINDS - 1);
  const most = Math.max(...days.map((row) => row.cost), Number.MIN_VALUE);
  const length = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 0)).getUTCDate();
  const bars = Array.from({ length }, (_, index) => {
    const date = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth(), index + 1)).toISOString().slice(0, 10);
    const row = known.get(date);
    const parts = Object.entries(row?.backend_breakdown ?? {}).filter(([, cost]) => cost > 0);
    const bar = make("div", { class: "day-bar", title: `${spoken(date)}: ${money(row?.cost ?? 0)}` });
    for (const [backend, cost] of parts) {
      const piece = make("span", { "data-kind": kind(backend) });
      piece.style.setProperty("--share", cost / most);
      bar.append(piece);
    }
    bar.append(make("i", {}, index % 5 === 0 ? String(index + 1) : ""));
    return bar;
  });
  place.replaceChildren(...bars);
  keys.replaceChildren(...backends.map((name) => make("span", { "data-kind": kind(name) }, name)));
}
