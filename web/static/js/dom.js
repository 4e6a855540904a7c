// Everything that comes from the server becomes text here, never markup.

/** The element of this page with `data-part="name"`. */
export function part(name, root = document) {
  return root.querySelector(`[data-part="${name}"]`);
}

/**
 * A new element: `make("td", {class: "number", "data-name": "Took"}, "4 s", node)`.
 * Strings and numbers become text nodes; null and undefined are left out; functions are event listeners.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Writes only what differs, so that a selection in the page or a screen reader is not disturbed. */
export function write(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function show(element, visible) {
  element.hidden = !visible;
}

/** A filled track; `share` from 0 to 1. */
export function bar(share, kind = "") {
  const element = make("div", { class: `bar ${kind}`.trim(), "aria-hidden": "true" });
  fill(element, share);
  return element;
}

export function fill(element, share) {
  const value = Number.isFinite(share) ? Math.min(Math.max(share, 0), 1) : 0;
  element.style.setProperty("--value", value);
}

/** A list of names and values; a value may be a node. Rows without a value are left out. */
export function facts(list, rows) {
  list.replaceChildren(
    ...rows
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
  );
}

/** Shows a problem as a sentence; null hides it. */
export function problem(element, fault) {
  element.replaceChildren();
  show(element, Boolean(fault));
  if (!fault) return;
  element.append(make("span", {}, fault.message));
  const rows = fault.details?.errors ?? [];
  for (const row of rows.slice(1, 4)) element.append(make("span", {}, `${row.field}: ${row.message}`));
}
