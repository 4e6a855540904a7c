// ReDoc: the reference, in the dashboard's colours.

import { description, fail, isDark, place } from "./explorer.js";

// It asks for its maker's logo, elsewhere. The policy would refuse that; this keeps it from being asked for at all.
const foreign = (value) => new URL(value, location).origin !== location.origin && !String(value).startsWith("data:");
const set = Element.prototype.setAttribute;
Element.prototype.setAttribute = function setAttribute(name, value) {
  if (!(this instanceof HTMLImageElement && name === "src" && foreign(value))) set.call(this, name, value);
};
const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
Object.defineProperty(HTMLImageElement.prototype, "src", {
  ...source,
  set(value) {
    if (!foreign(value)) source.set.call(this, value);
  },
});

const style = getComputedStyle(document.documentElement);

// Names of colours become what they are in this theme: ReDoc computes with them.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function theme() {
  const [ink, soft, faint] = [colour("ink"), colour("ink-2"), colour("ink-3")];
  const [paper, surface, sunk, line] = [colour("surface"), colour("paper"), colour("sunk"), colour("line")];
  const fontFamily = style.getPropertyValue("--sans");
  return {
    colors: {
      primary: { main: colour("accent") },
      success: { main: colour("good") },
      warning: { main: colour("wait") },
      error: { main: colour("bad") },
      text: { primary: ink, secondary: soft },
      border: { dark: line, light: line },
      responses: {
        success: { color: colour("good"), backgroundColor: colour("good-soft"), tabTextColor: "#7fd6a8" },
        error: { color: colour("bad"), backgroundColor: colour("bad-soft"), tabTextColor: "#ff9c94" },
        redirect: { color: colour("wait"), backgroundColor: colour("wait-soft"), tabTextColor: "#e9be57" },
        info: { color: soft, backgroundColor: sunk, tabTextColor: "#b6c0cb" },
      },
      http: { get: "#14713f", post: "#0a6b83", put: "#7c5700", delete: "#b0241d", patch: "#b0531b" },
    },
    schema: {
      nestedBackground: sunk,
      linesColor: line,
      typeNameColor: soft,
      typeTitleColor: soft,
      labelsTextSize: "0.85em",
      requireLabelColor: colour("bad"),
      arrow: { color: faint },
    },
    typography: {
      fontFamily,
      fontSize: "15px",
      headings: { fontFamily, fontWeight: "650" },
      code: { fontFamily: style.getPropertyValue("--mono"), color: colour("accent-strong"), backgroundColor: sunk },
      links: { color: colour("accent"), hover: colour("accent-strong"), visited: colour("accent") },
    },
    sidebar: { backgroundColor: surface, textColor: soft, activeTextColor: colour("accent"), arrow: { color: faint } },
    rightPanel: { backgroundColor: isDark() ? "#080c11" : "#1a222b", textColor: "#e8edf2" },
    fab: { backgroundColor: paper, color: ink },
  };
}

try {
  const options = { theme: theme(), hideHostname: true, scrollYOffset: 48, sortTagsAlphabetically: false };
  globalThis.Redoc.init(await description(), options, place);
} catch (cause) {
  fail(cause);
}
