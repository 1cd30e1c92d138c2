// The WebSocket: reconnects with growing, jittered waits; alerts go on after the last seq seen.
import { batch } from "./lib.js";
import * as state from "./state.js";
import { getJson } from "./rest.js";

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;
const FLUSH_MS = 80;
const SILENCE_MS = 6000;   // status comes every second
let socket = null;
let lastSeq = 0;
let attempt = 0;
let heardAt = 0;
let timer = 0;
let arrived = [];
let flushTimer = 0;

export function start() {
  connect();
  setInterval(watch, 1000);
  window.addEventListener("online", () => again(0));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !isOpen()) again(0); });
}

export function setSort(sort, direction) {
  state.sort.value = { sort, direction };
  subscribeMovers();
}

const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;
const send = (message) => { if (isOpen()) socket.send(JSON.stringify(message)); };
const subscribeMovers = () => send({ type: "subscribe_movers", ...state.sort.value, limit: state.MOVERS_ROWS });

function connect() {
  clearTimeout(timer);
  const opening = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket = opening;
  heardAt = performance.now();
  opening.onopen = () => {
    batch(() => {
      state.connection.value = { state: "open", attempt: 0, reason: "" };
    });
    send(lastSeq > 0 ? { type: "subscribe_alerts", resume_from: lastSeq } : { type: "subscribe_alerts" });
    subscribeMovers();
    loadOnce();
  };
  opening.onmessage = (event) => {
    if (socket !== opening) return;
    heardAt = performance.now();
    attempt = 0;
    receive(JSON.parse(event.data));
  };
  opening.onclose = (event) => { if (socket === opening) again(undefined, event.reason); };
}

function again(wait, reason = "") {
  const old = socket;
  socket = null;
  if (old) { old.onclose = null; old.close(); }
  attempt += 1;
  const grown = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 8));
  state.connection.value = { state: "waiting", attempt, reason };
  clearTimeout(timer);
  timer = setTimeout(connect, wait ?? grown * (0.7 + 0.3 * Math.random()));
}

function watch() {
  if (socket && performance.now() - heardAt > SILENCE_MS) again(0, "nothing was heard for a while");
}

function receive(message) {
  batch(() => {
    if (message.type === "status") onStatus(message.data);
    else if (message.type === "movers") onMovers(message.data);
    else if (message.type === "alert") onAlert(message);
    else if (message.type === "snapshot") onSnapshot(message);
    else if (message.type === "error") state.say(message.message);
  });
}

function onStatus(data) {
  const before = state.status.value;
  state.status.value = data;
  state.statusAt.value = performance.now();
  if (before && before.stream.provider !== data.stream.provider) {  // another market: no symbol of the old one is in it
    state.focused.value = state.drawer.value = "";
    state.onlyFocused.value = false;
  }
  if (state.switching.value && data.stream.provider === state.switching.value && data.n > 0) state.switching.value = "";
  if (before && (before.rules_version !== data.rules_version || before.stream.stream_id !== data.stream.stream_id)) loadRules();
}

function onMovers(data) {
  state.movers.value = data;
  const known = data.rows.some((row) => row.symbol === state.focused.value);
  if (!state.focused.value || (data.total <= data.rows.length && !known)) state.focused.value = data.rows[0]?.symbol ?? "";
}

function onAlert(message) {
  if (message.seq <= lastSeq) return;
  lastSeq = message.seq;
  arrived.unshift({ ...message, fresh: true });
  flushTimer ||= setTimeout(flush, FLUSH_MS);
}

// Alerts come one by one and are shown in batches: a burst costs one rendering.
function flush() {
  flushTimer = 0;
  const all = [...arrived, ...state.alerts.value];
  state.alerts.value = all.slice(0, state.KEEP_ALERTS);
  if (all.length > state.KEEP_ALERTS) state.alertsMore.value = true;
  arrived = [];
}

function onSnapshot(message) {
  state.alertsReady.value = true;
  if (message.resumed) return;
  lastSeq = message.seq;
  arrived = [];
  state.alerts.value = message.data;
  state.alertsMore.value = message.data.length > 0;
}

export async function loadOlder() {
  const shown = state.still.value ?? state.alerts.value;
  const oldest = shown.at(-1);
  if (!oldest) return;
  const page = await getJson(`/api/v1/alerts?limit=100&cursor=${oldest.seq}`);
  if (!page) return;
  if (state.still.value) state.still.value = [...state.still.value, ...page.data];
  else state.alerts.value = [...state.alerts.value, ...page.data];
  state.alertsMore.value = page.next_cursor !== null;
}

async function loadRules() {
  const found = await getJson("/api/v1/rules");
  if (found) state.rules.value = found.data;
}

async function loadOnce() {
  loadRules();
  if (state.catalogue.value) return;
  const found = await getJson("/api/v1/metrics");
  if (found) state.catalogue.value = new Map(found.data.map((metric) => [metric.name, metric]));
}
