// A candle chart with volume and alert markers, in exchange time; the library loads on first use.
import { html, useEffect, useRef } from "./lib.js";
import { exchangeOffsetSeconds } from "./format.js";

const SHOWN = 120;
let library = null;
const load = () => (library ??= import("../vendor/lightweight-charts.mjs"));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Candles({ symbol, bars, alerts, theme }) {
  const place = useRef(null);
  const made = useRef(null);
  useEffect(() => {
    let gone = false;
    load().then((charts) => {
      if (gone) return;
      made.current = make(charts, place.current);
      fill(made.current, bars, alerts, true);
    });
    return () => { gone = true; made.current?.chart.remove(); made.current = null; };
  }, [symbol, theme]);
  useEffect(() => { if (made.current) fill(made.current, bars, alerts, false); }, [bars, alerts]);
  return html`<div class="candles" ref=${place} role="img" aria-label=${`1-minute candles of ${symbol}`}></div>`;
}

function make(charts, place) {
  const chart = charts.createChart(place, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: colour("--dim"), fontFamily: colour("--font"), fontSize: 11, attributionLogo: false },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.24 } },
    timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 4, minBarSpacing: 2, maxBarSpacing: 20 },
    crosshair: { mode: 0 },
    localization: { locale: "en-GB" },
  });
  const price = chart.addSeries(charts.CandlestickSeries, {
    upColor: colour("--up"), downColor: colour("--down"), wickUpColor: colour("--up"), wickDownColor: colour("--down"), borderVisible: false,
  });
  const volume = chart.addSeries(charts.HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "", lastValueVisible: false, priceLineVisible: false });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  return { chart, price, volume, markers: charts.createSeriesMarkers(price, []), up: colour("--up-flash"), down: colour("--down-flash"), accent: colour("--accent") };
}

function fill(made, bars, alerts, first) {
  if (bars.length === 0) return;
  const offset = exchangeOffsetSeconds(bars.at(-1).ms);
  const at = (ms) => Math.floor(ms / 60000) * 60 + offset;
  const priced = bars.filter((bar) => bar.open !== null);
  made.price.setData(priced.map((bar) => ({ time: at(bar.ms), open: bar.open, high: bar.high, low: bar.low, close: bar.close })));
  made.volume.setData(bars.map((bar) => ({ time: at(bar.ms), value: bar.volume ?? 0, color: bar.close >= bar.open ? made.up : made.down })));
  const times = new Set(priced.map((bar) => at(bar.ms)));
  const minutes = [...new Set(alerts.map((ms) => at(ms)))].filter((time) => times.has(time)).sort((a, b) => a - b);
  made.markers.setMarkers(minutes.map((time) => ({ time, position: "aboveBar", shape: "arrowDown", color: made.accent, size: 0.8 })));
  if (first) show(made.chart.timeScale(), bars.length);
}

function show(scale, count) {
  if (count < SHOWN) scale.fitContent();
  else scale.setVisibleLogicalRange({ from: count - SHOWN, to: count + 3 });
}

// Final bars and the open minutes of a symbol's document, oldest first, one bar a minute.
export function barsOf(document) {
  const byMinute = new Map();
  for (const [t, open, high, low, close, volume] of [...document.bars, ...document.live_minutes]) {
    byMinute.set(Date.parse(t), { ms: Date.parse(t), open, high, low, close, volume });
  }
  return [...byMinute.values()].sort((a, b) => a.ms - b.ms);
}
