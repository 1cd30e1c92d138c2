// The keyboard, and what the page is built with.
import { html, useEffect, useRef } from "./lib.js";
import * as state from "./state.js";

const KEYS = [["/", "Search a symbol"], ["j  k", "Next, previous row of the movers"], ["Enter", "All metrics of the chosen symbol"], ["a", "Open or close the newest alert"], ["t", "Dark or light"], ["Esc", "Close what is open"], ["?", "This help"]];

export function Help() {
  if (!state.help.value) return null;
  return html`<${Open} />`;
}

function Open() {
  const close = useRef(null);
  useEffect(() => { close.current.focus(); }, []);
  return html`
    <div class="veil" onClick=${() => { state.help.value = false; }}></div>
    <div class="dialog" role="dialog" aria-modal="true" aria-label="Keyboard" data-testid="help">
      <header><h2>Keyboard</h2><button ref=${close} class="icon end" aria-label="Close (Esc)" onClick=${() => { state.help.value = false; }}>✕</button></header>
      <dl>${KEYS.map(([key, what]) => html`<div key=${key}><dt>${key.split("  ").map((one) => html`<kbd>${one}</kbd>`)}</dt><dd>${what}</dd></div>`)}</dl>
      <p class="facts">An en dash (–) means that a number is not known yet; it never stands for zero. Charts: <a href="https://www.tradingview.com/" rel="noreferrer noopener" target="_blank">TradingView</a> Lightweight Charts.</p>
    </div>`;
}
