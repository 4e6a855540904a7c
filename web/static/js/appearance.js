// The dark-or-light toggle. The choice stays in this browser; `themechange` tells the plots to take new colours.

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
}

/** A token's colour as the canvas understands it. */
export function colour(token) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function announce() {
  window.dispatchEvent(new Event("themechange"));
}

for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("qstore-theme", root.dataset.theme);
    } catch {
      // Storage is switched off: the choice lasts until the next page.
    }
    announce();
  });
}

system.addEventListener("change", announce);
