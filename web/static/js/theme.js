// Sets the theme before anything is painted: the saved choice, else what the system prefers.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("tapescan.theme"); } catch { /* storage is off */ }
  const light = window.matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : light ? "light" : "dark";
})();
