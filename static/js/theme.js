// Applies the chosen theme before the first paint; without a choice the theme of the system applies.
(() => {
  /** @type {string | null} */
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // storage is disabled: the theme of the system applies
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
