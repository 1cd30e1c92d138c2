// The symbol drawer: every metric by name, the sessions, the last bars.
import { html, useEffect, useRef, useState } from "./lib.js";
import * as state from "./state.js";
import { useSymbol } from "./symbol_feed.js";
import { byUnit, clock, compact, direction, percent, price, UNKNOWN, whole } from "./format.js";

const SESSIONS = [["pm", "Pre-market"], ["rth", "Regular"], ["ah", "After hours"]];

export function Drawer() {
  const symbol = state.drawer.value;
  if (!symbol) return null;
  return html`<${Open} key=${symbol} symbol=${symbol} />`;
}

function Open({ symbol }) {
  const found = useSymbol(symbol, 12);
  const [filter, setFilter] = useState("");
  const close = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    close.current.focus();
    return () => before?.focus?.();
  }, []);
  return html`
    <div class="veil" onClick=${() => { state.drawer.value = ""; }}></div>
    <aside class="drawer" role="dialog" aria-modal="true" aria-label=${`Everything about ${symbol}`} data-testid="drawer">
      <header>
        <h2>${symbol}</h2>
        ${found && !found.missing && html`
          <span class="quote"><b>${price(found.last)}</b><span class=${direction(found.metrics.chg_pct)}>${percent(found.metrics.chg_pct)}</span></span>
          ${found.halted && html`<span class="badge halt">HALTED</span>`}`}
        <button ref=${close} class="icon end" onClick=${() => { state.drawer.value = ""; }} aria-label="Close (Esc)" title="Close (Esc)">✕</button>
      </header>
      ${!found && html`<p class="empty">Loading…</p>`}
      ${found?.missing && html`<p class="empty">${found.missing} It may appear with its first trade.</p>`}
      ${found && !found.missing && html`
        <div class="scroll">
          <${Sessions} found=${found} />
          <div class="filter"><input type="search" placeholder="Filter metrics, e.g. rsi" aria-label="Filter metrics" value=${filter} onInput=${(event) => setFilter(event.target.value)} /></div>
          <${Metrics} found=${found} filter=${filter.trim().toLowerCase()} />
          <${Bars} found=${found} />
        </div>`}
    </aside>`;
}

function Sessions({ found }) {
  return html`
    <table class="plain">
      <thead><tr><th class="left">Session</th><th>High</th><th>Low</th><th>VWAP</th><th>Volume</th><th>Trades</th></tr></thead>
      <tbody>${SESSIONS.map(([key, label]) => {
        const session = found.sessions[key];
        return html`<tr key=${key}><th scope="row" class="left">${label}${session.approx && html`<em title="Extremes could not be rebuilt exactly">≈</em>`}</th><td>${price(session.high)}</td><td>${price(session.low)}</td><td>${price(session.vwap)}</td><td>${compact(session.volume)}</td><td>${whole(session.trades)}</td></tr>`;
      })}</tbody>
    </table>`;
}

function Metrics({ found, filter }) {
  const names = Object.keys(found.metrics).filter((name) => name.toLowerCase().includes(filter));
  return html`
    <dl class="metrics" data-testid="metrics">
      ${names.map((name) => {
        const text = byUnit(found.metrics[name], found.units[name]);
        const about = state.catalogue.value?.get(name);
        return html`<div key=${name} title=${about ? `${about.formula}. Unknown: ${about.unknown}.` : undefined}><dt>${name}</dt><dd class=${text === UNKNOWN ? "unknown" : ""}>${text}</dd></div>`;
      })}
      ${names.length === 0 && html`<p class="empty">No metric has “${filter}” in its name.</p>`}
    </dl>`;
}

const REVISED = 1 | 2 | 4;  // by a late trade, a correction, a cancel
const APPROX = 8;
const GAP = 16;
function marks(flags) {
  return [
    [flags & REVISED, "*", "Revised after its minute"], [flags & APPROX, "≈", "Extremes could not be rebuilt exactly"],
    [flags & GAP, "…", "The feed had a gap in this minute"],
  ].filter(([set]) => set).map(([, mark, title]) => html`<em key=${mark} title=${title}>${mark}</em>`);
}

function Bars({ found }) {
  const bars = [...found.bars].reverse();
  if (bars.length === 0) return null;
  return html`
    <table class="plain">
      <thead><tr><th class="left">Final bars</th><th>Open</th><th>High</th><th>Low</th><th>Close</th><th>Volume</th></tr></thead>
      <tbody>${bars.map(([t, open, high, low, last, volume, , , flags]) => html`
        <tr key=${t}><th scope="row" class="left">${clock(Date.parse(t)).slice(0, 5)}${marks(flags)}</th><td>${price(open)}</td><td>${price(high)}</td><td>${price(low)}</td><td>${price(last)}</td><td>${compact(volume)}</td></tr>`)}</tbody>
    </table>`;
}
