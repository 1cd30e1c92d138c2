// The state of the engine: how fast, how late, who is alive.
import { html } from "./lib.js";
import * as state from "./state.js";
import { compact, duration, fixed, UNKNOWN, whole } from "./format.js";

export function Engine() {
  const status = state.status.value;
  const live = state.connection.value.state === "open";
  const health = !live ? ["unknown", "not connected"] : { ok: ["good", "all well"], degraded: ["warn", "degraded"], starting: ["warn", "starting"], closed: ["bad", "closed"] }[status?.state] ?? ["unknown", "waiting"];
  return html`
    <section class="panel engine" aria-label="Engine">
      <header><h2>Engine</h2><span class=${`health ${health[0]}`} data-testid="health"><i></i>${health[1]}</span></header>
      ${status ? html`<${Numbers} status=${status} /><${Roles} roles=${status.roles} />` : html`<p class="empty">No status yet. The engine sends it every second.</p>`}
    </section>`;
}

function Numbers({ status }) {
  const { tick_to_alert: alert, cycle } = status.latency;
  const ring = status.rings[0];
  const share = ring ? ring.depth / ring.capacity : 0;
  const refused = status.refusals ? status.refusals.refused_future + status.refusals.refused_capacity + status.refusals.refused_tick : null;
  return html`
    <dl class="numbers" data-testid="numbers">
      <${Tile} name="Cycle" title="Dense number n of the newest cycle" value=${whole(status.n)} more=${`${fixed(status.rates.cycles_per_s, 1)}/s`} />
      <${Tile} name="Ticks" title="Ticks applied since the stream began" value=${compact(status.ticks)} more=${`${compact(status.rates.ticks_per_s)}/s`} />
      <${Tile} name="Tick to alert" title="From receiving a tick to its stored alert: median and 99th percentile of the last minute" value=${duration(alert.p50_ms)} more=${`p99 ${duration(alert.p99_ms)}`} />
      <${Tile} name="Scan" title="Metrics and rules of one cycle: median and 99th percentile of the last minute" value=${duration(cycle.p50_ms)} more=${`p99 ${duration(cycle.p99_ms)}`} />
      <${Tile} name="Ring" title="Ticks published and not yet taken by bars" value=${ring ? compact(ring.depth) : UNKNOWN} more=${`${fixed(share * 100, share < 0.1 ? 1 : 0)}% full`} warn=${share > 0.5} />
      <${Tile} name="Absent cycles" title="Grid points at which no cycle could be decided" value=${whole(status.absent_cycles)} more=${status.stride > 1 ? `stride ${status.stride}` : status.interval_ms ? `every ${status.interval_ms} ms` : ""} warn=${status.stride > 1} />
      <${Tile} name="Rules" title="Version of the rules in force" value=${state.rules.value ? whole(state.rules.value.length) : UNKNOWN} more=${status.rules_version ? `v${status.rules_version}` : ""} />
      <${Tile} name="Refused" title="Ticks refused: from the future, no room, impossible values; late trades revise their bar" value=${whole(refused)} more=${status.refusals ? `${compact(status.refusals.late)} late` : ""} warn=${refused > 0} />
    </dl>`;
}

function Tile({ name, title, value, more, warn }) {
  return html`<div title=${title} class=${warn ? "warn" : ""}><dt>${name}</dt><dd>${value}</dd><dd class="more">${more}</dd></div>`;
}

const LONG_WAIT_MS = 1000; // within a cycle roles wait for each other all the time

function isHeldUp(role) {
  return role.waits_ms !== null && role.waits_ms >= LONG_WAIT_MS;
}

function about(role) {
  const beat = role.beat_age_ms === null ? "never" : `${duration(role.beat_age_ms)} ago`;
  const wait = isHeldUp(role) ? `, has been waiting for ${role.waits_for} for ${duration(role.waits_ms)}` : "";
  return `process ${role.pid}, last beat ${beat}, restarted ${role.restarts} times${wait}`;
}

function saying(role) {
  if (role.state !== "running") return role.state;
  if (!role.beating) return "silent";
  if (isHeldUp(role)) return `→ ${role.waits_for}`;
  return `${(role.beat_age_ms / 1000).toFixed(1)} s`;
}

function Roles({ roles }) {
  return html`
    <ul class="roles" aria-label="Processes" data-testid="roles">
      ${roles.map((role) => html`
        <li key=${role.name} class=${role.beating ? "good" : "bad"} title=${about(role)}>
          <i></i><b>${role.name}</b><span>${saying(role)}</span>
          ${role.restarts > 0 && html`<em title="restarts">↻${role.restarts}</em>`}
        </li>`)}
    </ul>`;
}
