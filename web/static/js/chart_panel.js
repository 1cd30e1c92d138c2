// The chart of the focused symbol.
import { html, useMemo } from "./lib.js";
import * as state from "./state.js";
import { barsOf, Candles } from "./candles.js";
import { useSymbol } from "./symbol_feed.js";
import { compact, direction, percent, price } from "./format.js";

const BARS = 200;

export function ChartPanel() {
  const symbol = state.focused.value;
  const found = useSymbol(symbol, BARS);
  const times = useAlertTimes(symbol);
  const bars = useMemo(() => (found && !found.missing ? barsOf(found) : []), [found]);
  const live = found && !found.missing && found.symbol === symbol ? found : null;
  const change = live?.metrics?.chg_pct;
  return html`
    <section class="panel chart" aria-label="Chart">
      <header>
        <h2>${symbol || "Chart"}</h2>
        ${live && html`
          <span class="quote"><b>${price(live.last)}</b><span class=${direction(change)}>${percent(change)}</span></span>
          <span class="quote small">${live.bid !== null || live.ask !== null ? `bid ${price(live.bid)} · ask ${price(live.ask)} · ` : ""}vol ${compact(live.metrics.vol_all)}</span>
          ${live.halted && html`<span class="badge halt">HALTED</span>`}
          ${live.blind && html`<span class="badge halt" title="Its feed has a gap: rules do not fire">BLIND</span>`}`}
        ${symbol && html`<button class="link end" data-testid="open-drawer" onClick=${() => { state.drawer.value = symbol; }}>All metrics</button>`}
      </header>
      <div class="body">
        ${symbol && bars.length > 0 && html`<${Candles} key=${symbol} symbol=${symbol} bars=${bars} alerts=${times} theme=${state.theme.value} />`}
        ${live && bars.length === 0 && html`<p class="empty">No bar of ${symbol} yet. The first one appears with its first trade.</p>`}
        ${!symbol && html`<p class="empty">Choose a symbol in the movers, or press / and type one.</p>`}
        ${found?.missing && html`<p class="empty">${found.missing}</p>`}
      </div>
    </section>`;
}

export function useAlertTimes(symbol) {
  const mine = state.alerts.value.filter((item) => item.alert.symbol === symbol);
  const key = mine.map((item) => item.seq).join();
  return useMemo(() => mine.map((item) => Date.parse(item.alert.scan_ts)), [key]);
}
