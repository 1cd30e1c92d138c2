// Keyboard: / search, j and k rows, Enter drawer, a newest alert, t theme, Esc close, ? help.
import * as state from "./state.js";

export function listen() {
  document.addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return close();
  if (event.target.closest?.("input, textarea, select")) return undefined;
  const action = ACTIONS[event.key];
  if (!action || (event.key === "Enter" && event.target.closest?.("button, a"))) return undefined;
  event.preventDefault();
  return action();
}

const ACTIONS = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  Enter: () => { if (state.focused.value) state.drawer.value = state.focused.value; },
  a: () => {
    const newest = state.shownAlerts.value[0];
    if (newest) state.opened.value = state.opened.value === newest.seq ? 0 : newest.seq;
  },
  t: () => state.setTheme(state.theme.value === "dark" ? "light" : "dark"),
  "?": () => { state.help.value = !state.help.value; },
};

function close() {
  if (state.help.value) state.help.value = false;
  else if (state.drawer.value) state.drawer.value = "";
  else state.opened.value = 0;
}

function move(step) {
  const rows = state.rows.value;
  const at = rows.findIndex((row) => row.symbol === state.focused.value);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  if (next) {
    state.follow.value = true;
    state.focused.value = next.symbol;
    if (state.drawer.value) state.drawer.value = next.symbol;
  }
}
