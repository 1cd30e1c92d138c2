// The top bar: whose time it is, what kind of market, whether we are connected.
import { html, useEffect, useState } from "./lib.js";
import * as state from "./state.js";
import { clock, day, fixed } from "./format.js";
import { Search } from "./search.js";
import { postJson } from "./rest.js";

const SESSIONS = { pre: "Pre-market", regular: "Regular session", after: "After hours", closed: "Market closed" };
const MARKETS = [["replay", "Recorded 2013", "Real trades of 8 October 2013: AIG, BAC, IBM, SPY"],
  ["simulator", "Simulated 10,000", "A seeded, simulated market of 10,000 symbols"]];

export function Topbar() {
  return html`
    <header class="topbar">
      <h1 class="brand"><img src="/static/icon.svg" alt="" width="22" height="22" />Tapescan</h1>
      <${MarketBadge} />
      <${SessionClock} />
      <${Search} />
      <${MarketSwitch} />
      <${ConnectionState} />
      <div class="tools">
        <button class="icon" data-testid="theme" onClick=${() => state.setTheme(state.theme.value === "dark" ? "light" : "dark")}
          title="Switch between dark and light (t)" aria-label="Switch between dark and light">
          ${state.theme.value === "dark" ? html`<${Moon} />` : html`<${Sun} />`}</button>
        <button class="icon" onClick=${() => { state.help.value = true; }} title="Keyboard (?)" aria-label="Keyboard help">?</button>
      </div>
    </header>`;
}

function MarketBadge() {
  const stream = state.status.value?.stream;
  if (!stream) return html`<span class="badge quiet">starting</span>`;
  const pace = stream.live ? "" : stream.speed > 0 ? `${stream.speed.toLocaleString("en-US")}×` : "max speed";
  if (stream.simulated) {
    return html`<span class="badge simulated" title="Prices are made up by the seeded simulator">SIMULATED${pace && html`<small>${pace}</small>`}</span>`;
  }
  if (stream.live) return html`<span class="badge live">LIVE</span>`;
  return html`<span class="badge replay" title="A recording, played at this multiple of its own pace">REPLAY<small>${pace}</small></span>`;
}

function SessionClock() {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 200);
    return () => clearInterval(timer);
  }, []);
  const status = state.status.value;
  if (!status?.t) return html`<div class="session"><time class="clock">--:--:--</time><span>waiting for the first cycle</span></div>`;
  const ms = engineTime(status);
  return html`
    <div class="session" title="Engine time T of the newest cycle, exchange time zone">
      <time class="clock" data-testid="clock" datetime=${new Date(ms).toISOString()}>${clock(ms)}<small>ET</small></time>
      <span>${day(ms)} · ${SESSIONS[status.session] ?? ""}</span>
    </div>`;
}

// Between two status messages time goes on at the measured pace, at most for two seconds.
function engineTime(status) {
  const since = Math.min(2000, performance.now() - state.statusAt.value);
  const runs = state.connection.value.state === "open" && status.rates.pace > 0;
  return Date.parse(status.t) + (runs ? since * status.rates.pace : 0);
}

function MarketSwitch() {
  const stream = state.status.value?.stream;
  if (stream && (stream.live || !stream.switchable)) return null;
  const current = state.switching.value || stream?.provider;
  async function choose(market) {
    if (!stream || market === current || state.switching.value) return;
    state.switching.value = market;
    const taken = await postJson("/api/v1/demo-market", { market });
    if (!taken) state.switching.value = "";
    else setTimeout(() => { if (state.switching.value === market) state.switching.value = ""; }, 120000);
  }
  return html`
    <div class="segments market" role="group" aria-label="Demo market">
      ${MARKETS.map(([market, label, title]) => html`
        <button key=${market} data-testid=${`market-${market}`} aria-pressed=${current === market} title=${title}
          disabled=${!stream || Boolean(state.switching.value)} onClick=${() => choose(market)}>${label}</button>`)}
    </div>`;
}

function ConnectionState() {
  const { state: now } = state.connection.value;
  const label = { open: "Connected", connecting: "Connecting", waiting: "Reconnecting" }[now];
  const pace = state.status.value?.rates?.pace;
  const title = now === "open" && pace ? `Engine time runs at ${fixed(pace, 1)}× just now` : "";
  return html`<span class=${`connection ${now}`} data-testid="connection" role="status" title=${title}><i></i>${label}</span>`;
}

const Moon = () => html`<svg viewBox="0 0 20 20" width="16" height="16" aria-hidden="true"><path d="M16.5 12.4A7 7 0 0 1 7.6 3.5a7 7 0 1 0 8.9 8.9Z" fill="currentColor"/></svg>`;
const Sun = () => html`<svg viewBox="0 0 20 20" width="16" height="16" aria-hidden="true"><circle cx="10" cy="10" r="3.6" fill="currentColor"/><path d="M10 1.5v2.2M10 16.3v2.2M1.5 10h2.2M16.3 10h2.2M4 4l1.6 1.6M14.4 14.4 16 16M4 16l1.6-1.6M14.4 5.6 16 4" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/></svg>`;
