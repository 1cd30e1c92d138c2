// Fetches one symbol's document every second while somebody looks at it.
import { useEffect, useState } from "./lib.js";

const EVERY_MS = 1000;

export function useSymbol(symbol, bars) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let current = true;
    let timer = 0;
    setFound(null);
    async function load() {
      if (!document.hidden) {
        try {
          const answer = await fetch(`/api/v1/symbols/${encodeURIComponent(symbol)}?bars=${bars}`);
          const body = await answer.json();
          if (current && (answer.ok || answer.status === 404)) setFound(answer.ok ? body : { missing: body.detail });
        } catch { /* the banner says that the engine does not answer */ }
      }
      if (current) timer = setTimeout(load, EVERY_MS);
    }
    if (symbol) load();
    return () => { current = false; clearTimeout(timer); };
  }, [symbol, bars]);
  return found;
}
