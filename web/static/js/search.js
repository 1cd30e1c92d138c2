// The search field: type a ticker, Enter opens it; "/" puts the cursor here.
import { html, useEffect, useRef, useState } from "./lib.js";
import * as state from "./state.js";
import { getJson } from "./rest.js";
import { percent, price, direction } from "./format.js";

export function Search() {
  const [text, setText] = useState("");
  const [found, setFound] = useState([]);
  const [chosen, setChosen] = useState(0);
  const [open, setOpen] = useState(false);
  const field = useRef(null);
  useEffect(() => {
    let current = true;
    if (!text.trim()) { setFound([]); return undefined; }
    const timer = setTimeout(async () => {
      const page = await getJson(`/api/v1/symbols?limit=8&search=${encodeURIComponent(text.trim().slice(0, 24))}`);
      if (current && page) { setFound(page.data); setChosen(0); }
    }, 80);
    return () => { current = false; clearTimeout(timer); };
  }, [text]);

  function take(symbol) {
    if (!symbol) return;
    state.focusSymbol(symbol);
    state.drawer.value = symbol;
    setText(""); setOpen(false);
    field.current.blur();
  }
  function onKeyDown(event) {
    if (event.key === "ArrowDown") setChosen(Math.min(chosen + 1, found.length - 1));
    else if (event.key === "ArrowUp") setChosen(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") take(found[chosen]?.symbol);
    else if (event.key === "Escape") { setText(""); setOpen(false); field.current.blur(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  const listed = open && text.trim() !== "";
  return html`
    <div class="search">
      <input ref=${field} id="search" type="search" placeholder="Symbol" aria-label="Search a symbol" autocomplete="off" spellcheck="false"
        role="combobox" aria-expanded=${listed} aria-controls="found" aria-activedescendant=${listed && found[chosen] ? `found-${chosen}` : undefined}
        value=${text} onInput=${(event) => { setText(event.target.value); setOpen(true); }} onKeyDown=${onKeyDown}
        onFocus=${() => setOpen(true)} onBlur=${() => setTimeout(() => setOpen(false), 150)} />
      <kbd>/</kbd>
      ${listed && html`
        <ul id="found" role="listbox">
          ${found.map((row, at) => html`
            <li key=${row.symbol} id=${`found-${at}`} role="option" aria-selected=${at === chosen} onMouseDown=${() => take(row.symbol)}>
              <b>${row.symbol}</b><span>${price(row.last)}</span><span class=${direction(row.chg_pct)}>${percent(row.chg_pct)}</span></li>`)}
          ${found.length === 0 && html`<li class="none">No symbol begins with “${text.trim().toUpperCase()}”.</li>`}
        </ul>`}
    </div>`;
}
