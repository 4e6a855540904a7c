// Loaded before the first paint, so that a chosen theme does not flash. Without a choice the system's decides.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("qstore-theme");
  } catch {
    return; // Storage is switched off in this browser: the system's theme stays.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
