// Numbers and times the way traders read them; unknown is an en dash, never 0.
export const UNKNOWN = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

export function price(value) {
  if (!known(value)) return UNKNOWN;
  const digits = Math.abs(value) < 1 ? 4 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function percent(value, digits = 2) {
  if (!known(value)) return UNKNOWN;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return `${text}%`;
  return `${value > 0 ? "+" : "−"}${text}%`;
}

export function fixed(value, digits = 1) {
  return known(value) ? value.toFixed(digits) : UNKNOWN;
}

export function whole(value) {
  return known(value) ? Math.round(value).toLocaleString("en-US") : UNKNOWN;
}

export function compact(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toFixed(2)}B`;
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)}K`;
  return whole(value);
}

export function duration(ms) {
  if (!known(ms)) return UNKNOWN;
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

export function anyNumber(value) {
  if (!known(value)) return UNKNOWN;
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  return value.toLocaleString("en-US", { maximumFractionDigits: size >= 100 ? 2 : size >= 1 ? 3 : 5 });
}

const UNITS = {
  usd: (value) => price(value), pct: (value) => percent(value), shares: compact, count: whole,
  bps: (value) => fixed(value, 1), points: (value) => fixed(value, 1), ratio: (value) => fixed(value, 2),
  flag: (value) => (value ? "yes" : "no"), s: (value) => `${whole(value)} s`, min: (value) => `${fixed(value, 1)} min`,
};
export function byUnit(value, unit) {
  if (!known(value)) return UNKNOWN;
  return (UNITS[unit] ?? anyNumber)(value);
}

const ZONE = "America/New_York";
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, weekday: "short", day: "numeric", month: "short", year: "numeric" });
export const clock = (ms) => clockFormat.format(ms);
export const day = (ms) => dayFormat.format(ms);

const offsetFormat = new Intl.DateTimeFormat("en-US", { timeZone: ZONE, timeZoneName: "longOffset" });
export function exchangeOffsetSeconds(ms) {
  const name = offsetFormat.formatToParts(ms).find((part) => part.type === "timeZoneName").value;
  const found = /GMT([+-])(\d\d):(\d\d)/.exec(name);
  if (!found) return 0;
  return (found[1] === "-" ? -1 : 1) * (Number(found[2]) * 3600 + Number(found[3]) * 60);
}

export function direction(value) {
  if (!known(value) || Number(value.toFixed(2)) === 0) return "flat";
  return value > 0 ? "up" : "down";
}
