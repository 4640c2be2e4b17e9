// What the server has put into the page, and small things every page does.

export function pageData() {
  const node = document.getElementById("page-data");
  return node ? JSON.parse(node.textContent) : {};
}

export const styleNonce = () => document.querySelector('meta[name="style-nonce"]')?.content ?? "";

/** Say something to screen readers; at most one message a second, the last one wins. */
let announcing = 0;
export function announce(message) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    const region = document.getElementById("announcer");
    if (region) region.textContent = message;
  }, 200);
}

export function storedValue(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function storeValue(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Storage is blocked or full: what is kept there is a convenience.
  }
}

const THEMES = ["system", "light", "dark"];

/** The theme switch: each press is the next of system, light, dark. */
export function themeSwitch() {
  return {
    chosen: storedValue("dibop.theme") || "system",
    get label() {
      return `Theme: ${this.chosen}`;
    },
    next() {
      this.chosen = THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length];
      if (this.chosen === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = this.chosen;
      storeValue("dibop.theme", this.chosen === "system" ? null : this.chosen);
    },
  };
}

/** A moment until the page shows what was just changed, then focus what `selector` finds. */
export function focusSoon(selector, within = document) {
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const found = [...within.querySelectorAll(selector)].filter((each) => each.offsetParent !== null).at(-1);
    found?.focus();
  }));
}
