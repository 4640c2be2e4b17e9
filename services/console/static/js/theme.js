// Runs in the head, before anything is painted: the theme that the person has chosen here, else the system's.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("dibop.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is blocked: the system's theme.
  }
})();
