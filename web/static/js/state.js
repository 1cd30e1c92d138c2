// What the page knows, as signals; link.js fills them, components read them.
import { signal, computed } from "./lib.js";

export const connection = signal({ state: "connecting", attempt: 0, reason: "" });
export const status = signal(null);
export const statusAt = signal(0);
export const movers = signal(null);
export const alerts = signal([]);          // newest first: {seq, alert, stamps, fresh}
export const alertsReady = signal(false);
export const alertsMore = signal(true);    // older ones may be in the store
export const rules = signal(null);
export const catalogue = signal(null);

export const sort = signal({ sort: "chg_pct", direction: "desc" });
export const focused = signal("");         // symbol in the chart
export const drawer = signal("");          // symbol in the drawer, "" closed
export const help = signal(false);
export const opened = signal(0);           // seq of the alert shown in full
export const onlyFocused = signal(false);  // alert stream of the focused symbol only
export const switching = signal("");       // market asked for, until the engine is back
export const notice = signal("");
export const theme = signal(document.documentElement.dataset.theme);

export const rows = computed(() => movers.value?.rows ?? []);
export const shownAlerts = computed(() =>
  onlyFocused.value && focused.value ? alerts.value.filter((item) => item.alert.symbol === focused.value) : alerts.value);

export const KEEP_ALERTS = 400;
export const MOVERS_ROWS = 60;
let noticeTimer = 0;

export function say(sentence) {
  notice.value = sentence;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { notice.value = ""; }, 7000);
}

export function focusSymbol(symbol) {
  if (symbol) focused.value = symbol;
}

export function setTheme(name) {
  theme.value = name;
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem("tapescan.theme", name); } catch { /* storage is off */ }
}
