// The alert stream, newest first; a click shows why the rule fired.
import { batch, html, Fragment, useRef } from "./lib.js";
import * as state from "./state.js";
import { loadOlder } from "./link.js";
import { anyNumber, clock, duration, price, whole } from "./format.js";

export function Alerts() {
  const shown = state.shownAlerts.value;
  const current = state.status.value?.stream?.stream_id;
  const focused = state.focused.value;
  const waiting = state.waitingAlerts.value;
  const list = useRef(null);
  const pointer = useRef(false);
  const look = () => { state.reading.value = pointer.current || list.current.scrollTop > 30; };
  const release = () => {
    list.current.scrollTop = 0;
    batch(() => { state.opened.value = 0; state.reading.value = false; state.still.value = null; });
  };
  return html`
    <section class="panel alerts" aria-label="Alerts">
      <header>
        <h2>Alerts</h2>
        <div class="segments" role="group" aria-label="Which alerts">
          <button aria-pressed=${!state.onlyFocused.value} onClick=${() => { state.onlyFocused.value = false; }}>All</button>
          <button aria-pressed=${state.onlyFocused.value} disabled=${!focused} onClick=${() => { state.onlyFocused.value = true; }}>${focused || "Symbol"}</button>
        </div>
        ${waiting > 0 && html`<button class="waiting" data-testid="waiting" onClick=${release} title="The list stands still while you read; show the new ones">↑ ${waiting >= state.KEEP_ALERTS ? "many" : whole(waiting)} new</button>`}
        <span class="count">${state.status.value?.alerts != null ? `${whole(state.status.value.alerts)} fired` : ""}</span>
      </header>
      <div class="scroll" ref=${list} onScroll=${look}
        onPointerEnter=${(event) => { pointer.current = event.pointerType === "mouse"; look(); }}
        onPointerLeave=${() => { pointer.current = false; look(); }}>
        <ol class=${`stream ${shown.some((item) => item.alert.symbol.length > 5) ? "wide" : ""}`} data-testid="alerts">
          ${shown.map((item, at) => html`
            <${Fragment} key=${item.seq}>
              ${current && item.alert.stream_id !== current && (at === 0 || shown[at - 1].alert.stream_id === current) && html`
                <li class="divider">Earlier runs</li>`}
              <${Item} item=${item} old=${Boolean(current) && item.alert.stream_id !== current} />
            <//>`)}
        </ol>
        ${shown.length > 0 && state.alertsMore.value && !state.onlyFocused.value && html`<button class="more" onClick=${loadOlder}>Show older alerts</button>`}
        ${shown.length === 0 && state.alertsReady.value && html`<${Nothing} />`}
        ${!state.alertsReady.value && html`<p class="empty">Waiting for the engine…</p>`}
      </div>
    </section>`;
}

function Item({ item, old }) {
  const { alert, seq } = item;
  const open = state.opened.value === seq;
  const toggle = () => {
    state.opened.value = open ? 0 : seq;
    state.focusSymbol(alert.symbol);
  };
  return html`
    <li class=${`${open ? "open" : ""} ${old ? "old" : ""} ${item.fresh ? "fresh" : ""}`} data-seq=${seq}>
      <button class="line" aria-expanded=${open} onClick=${toggle}>
        <time>${clock(Date.parse(alert.scan_ts))}</time>
        <b>${alert.symbol}</b>
        <span class="rule">${alert.rule_name || alert.rule_id}</span>
        <span class="price">${price(alert.price)}</span>
      </button>
      ${open && html`<${Why} item=${item} />`}
    </li>`;
}

const RESULTS = { true: ["✓", "true"], false: ["✗", "false"], null: ["?", "unknown"] };
function Why({ item }) {
  const { alert, stamps } = item;
  const spent = stamps?.stored && stamps?.decided ? Date.parse(stamps.stored) - Date.parse(stamps.decided) : null;
  return html`
    <div class="why" data-testid="why">
      <p>Fired because</p>
      <table>
        <tbody>
          ${(alert.explain ?? []).map((leaf) => {
            const [mark, word] = RESULTS[String(leaf.result)] ?? RESULTS.null;
            return html`<tr key=${leaf.text}>
              <td class=${`mark ${word}`} title=${word}>${mark}<span class="hidden">${word}</span></td>
              <td class="text"><code>${leaf.text}</code>${leaf.gap && html` <span class="gap" title="A window of this condition reaches into a gap in the symbol's feed: trades may be missing from the value">gap in its window</span>`}</td>
              <td class="value">was <b>${anyNumber(leaf.left)}</b></td></tr>`;
          })}
        </tbody>
      </table>
      <p class="facts">
        <span>rule <code>${alert.rule_id}</code> v${alert.rule_version}</span>
        <span>cycle ${whole(alert.n)}</span>
        ${spent !== null && spent >= 0 && html`<span>stored ${duration(spent)} after the decision</span>`}
        <button class="link" onClick=${() => { state.drawer.value = alert.symbol; }}>All metrics of ${alert.symbol}</button>
      </p>
    </div>`;
}

function Nothing() {
  const rules = state.rules.value;
  if (state.onlyFocused.value) return html`<p class="empty">No alert for ${state.focused.value} yet.</p>`;
  if (!rules) return html`<p class="empty">No alert yet.</p>`;
  if (rules.length === 0) {
    return html`<p class="empty">No rule is in force, so nothing can fire. Write rules into the file that <code>rules.path</code> names, then run <code>tapescan reload</code>.</p>`;
  }
  return html`
    <div class="empty">
      <p>No alert yet. ${rules.length} ${rules.length === 1 ? "rule is" : "rules are"} being evaluated:</p>
      <ul>${rules.slice(0, 12).map((rule) => html`<li key=${rule.id}>${rule.name}</li>`)}</ul>
    </div>`;
}
