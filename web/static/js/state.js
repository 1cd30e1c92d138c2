// What the page knows, as signals; link.js fills them, components read them.
import { signal, computed, effect } from "./lib.js";

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
export const follow = signal(false);       // the keyboard moved the focus: keep its row in view
export const drawer = signal("");          // symbol in the drawer, "" closed
export const help = signal(false);
export const opened = signal(0);           // seq of the alert shown in full
export const onlyFocused = signal(false);  // alert stream of the focused symbol only
export const switching = signal("");       // market asked for, until the engine is back
export const notice = signal("");
export const theme = signal(document.documentElement.dataset.theme);

export const rows = computed(() => movers.value?.rows ?? []);
const mine = (items) =>
  onlyFocused.value && focused.value ? items.filter((item) => item.alert.symbol === focused.value) : items;

// While somebody reads (pointer on the list, scrolled down, an alert open) the list stands still.
export const reading = signal(false);
export const still = signal(null);         // the list as it was when it began to stand still
export const shownAlerts = computed(() => mine(still.value ?? alerts.value));
export const waitingAlerts = computed(() => {
  if (!still.value) return 0;
  const newest = still.value[0]?.seq ?? 0;
  return mine(alerts.value.filter((item) => item.seq > newest)).length;
});
effect(() => {
  if (!reading.value && opened.value === 0) still.value = null;
  else if (still.peek() === null && alerts.peek().length > 0) still.value = alerts.peek();
});

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
