// Movers: the server ranks, this table shows; a change flashes in its direction.
import { html, useLayoutEffect, useRef } from "./lib.js";
import * as state from "./state.js";
import { setSort } from "./link.js";
import { compact, direction, fixed, percent, price, UNKNOWN } from "./format.js";

const VIEWS = [["Gainers", "chg_pct", "desc"], ["Losers", "chg_pct", "asc"], ["Moving", "move_5m_pct", "desc"], ["Active", "volume", "desc"]];
const COLUMNS = [
  { key: "symbol", label: "Symbol", first: "asc", left: true },
  { key: "last", label: "Last", show: price, flash: true, title: "Last eligible trade" },
  { key: "chg_pct", label: "Chg %", show: percent, signed: true, title: "Change against the previous close" },
  { key: "chg_1m_pct", label: "1m %", show: percent, signed: true, narrow: 1, title: "Change over 1 minute" },
  { key: "chg_5m_pct", label: "5m %", show: percent, signed: true, title: "Change over 5 minutes" },
  { key: "volume", label: "Volume", show: compact, title: "Shares, all sessions of the day" },
  { key: "vwap_dist_pct", label: "VWAP %", show: percent, signed: true, narrow: 2, title: "Distance to the VWAP of regular hours" },
  { key: "rsi", label: "RSI", show: (value) => fixed(value, 1), narrow: 2, title: "RSI(14) of 1-minute bars" },
];
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

export function Movers() {
  const { sort, direction: way } = state.sort.value;
  const data = state.movers.value;
  return html`
    <section class="panel movers" id="movers" aria-label="Movers">
      <header>
        <h2>Movers</h2>
        <div class="segments" role="group" aria-label="Ranking">
          ${VIEWS.map(([label, key, order]) => html`
            <button key=${label} aria-pressed=${sort === key && way === order} onClick=${() => setSort(key, order)}>${label}</button>`)}
        </div>
        <span class="count">${data ? (data.rows.length < data.total ? `${data.rows.length} of ${data.total.toLocaleString("en-US")}` : `${data.total} symbols`) : ""}</span>
      </header>
      <div class="scroll" tabindex="-1">
        <table>
          <thead><tr>${COLUMNS.map((column) => html`<${Head} key=${column.key} column=${column} sort=${sort} way=${way} />`)}
            <th class="narrow2 trend" scope="col" title="Closes of the last 30 minutes">30 min</th></tr></thead>
          <tbody data-testid="movers">
            ${state.rows.value.map((row) => html`<${Row} key=${row.symbol} row=${row} chosen=${row.symbol === state.focused.value} />`)}
          </tbody>
        </table>
        ${data && data.rows.length === 0 && html`
          <p class="empty">No symbol has traded yet. A symbol appears here with its first trade.</p>`}
        ${!data && html`<p class="empty">Waiting for the first numbers from the engine…</p>`}
      </div>
    </section>`;
}

function Head({ column, sort, way }) {
  const active = sort === column.key;
  const next = active ? (way === "desc" ? "asc" : "desc") : column.first ?? "desc";
  return html`
    <th scope="col" class=${`${column.left ? "left" : ""} ${column.narrow ? `narrow${column.narrow}` : ""}`}
      aria-sort=${active ? (way === "desc" ? "descending" : "ascending") : "none"}>
      <button title=${column.title} onClick=${() => setSort(column.key, next)}>${column.label}<i aria-hidden="true">${active ? (way === "desc" ? "▼" : "▲") : ""}</i></button>
    </th>`;
}

function Row({ row, chosen }) {
  const line = useRef(null);
  useLayoutEffect(() => { if (chosen && state.follow.peek()) { state.follow.value = false; line.current.scrollIntoView({ block: "nearest" }); } }, [chosen]);
  const open = () => { state.focusSymbol(row.symbol); if (chosen) state.drawer.value = row.symbol; };
  return html`
    <tr ref=${line} class=${chosen ? "chosen" : ""} aria-selected=${chosen} onClick=${open} data-symbol=${row.symbol}>
      <th scope="row" class="left ticker"><button tabindex="-1">${row.symbol}</button>${row.halted ? html`<em title="Trading is halted">HALT</em>` : null}</th>
      ${COLUMNS.slice(1).map((column) => html`<${Cell} key=${column.key} value=${row[column.key]} column=${column} />`)}
      <td class="narrow2 trend"><${Spark} steps=${row.spark} rising=${row.chg_pct} /></td>
    </tr>`;
}

function Cell({ value, column }) {
  const cell = useRef(null);
  const before = useRef(value);
  const text = column.show(value);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = value;
    if (!column.flash || typeof old !== "number" || typeof value !== "number" || calm.matches || column.show(old) === text) return;
    const colour = getComputedStyle(cell.current).getPropertyValue(value > old ? "--up-flash" : "--down-flash");
    cell.current.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], { duration: 700, easing: "ease-out" });
  }, [text]);
  const tone = text === UNKNOWN ? "unknown" : column.signed ? direction(value) : "";
  return html`<td ref=${cell} class=${`${tone} ${column.narrow ? `narrow${column.narrow}` : ""}`}>${text}</td>`;
}

const WIDE = 74;
const HIGH = 20;
function Spark({ steps }) {
  if (!steps) return html`<span class="unknown">${UNKNOWN}</span>`;
  const dx = WIDE / (steps.length - 1);
  const points = steps.map((step, at) => (step === null ? null : `${(at * dx).toFixed(1)},${(HIGH - 2 - (step / 99) * (HIGH - 4)).toFixed(1)}`)).filter(Boolean);
  const known = steps.filter((step) => step !== null);
  return html`<svg class=${`spark ${known.at(-1) >= known[0] ? "up" : "down"}`} viewBox=${`0 0 ${WIDE} ${HIGH}`} width=${WIDE} height=${HIGH} aria-hidden="true"><polyline points=${points.join(" ")} /></svg>`;
}
