// What every signed-in page has: theme, sign-out, copy buttons.

import { post } from "./rest.js";
import "./appearance.js";

document.querySelector("[data-sign-out]")?.addEventListener("click", async (event) => {
  event.currentTarget.disabled = true;
  await post("/app/sign-out").catch(() => {});
  location.assign("/app/sign-in?out=1");
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = button.parentElement.querySelector("pre");
    button.textContent = (await copied(source)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}

// Without HTTPS browsers withhold the clipboard: then the text is selected, ready for the keyboard.
async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(source);
    return false;
  }
}
