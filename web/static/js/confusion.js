// Which class was taken for which, on the test part.

import { make, part, show } from "./dom.js";

export function confusion(matrix, classes) {
  const drawable = Array.isArray(matrix) && matrix.length > 1 && matrix.length <= 20;
  show(part("confusion-card"), drawable);
  if (!drawable) return;
  const name = (index) => String(classes[index] ?? index);
  const head = make("tr", {}, make("th"), ...matrix.map((_, index) => make("th", { scope: "col" }, name(index))));
  const rows = matrix.map((counts, index) => {
    const total = counts.reduce((sum, value) => sum + value, 0) || 1;
    const cells = counts.map((value) => {
      const share = value / total;
      const cell = make("td", { class: value === 0 ? "zero" : share > 0.55 ? "strong" : null }, String(value));
      cell.style.setProperty("--share", share);
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row" }, name(index)), ...cells);
  });
  part("confusion").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}
