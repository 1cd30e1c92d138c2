// One line under the top bar when something is not as it should be, and what happens about it.
import { html } from "./lib.js";
import * as state from "./state.js";

export function Banner() {
  const found = reason();
  if (!found) return null;
  return html`<div class=${`banner ${found.level}`} role="status" data-testid="banner"><strong>${found.title}</strong><span>${found.text}</span></div>`;
}

function reason() {
  const { state: now, attempt } = state.connection.value;
  const status = state.status.value;
  if (state.switching.value) {
    const name = state.switching.value === "simulator" ? "the simulated market" : "the recorded market";
    return { level: "info", title: "Switching", text: `The engine restarts on ${name}; the page comes back by itself in a few seconds.` };
  }
  if (now === "waiting" && attempt > 1) {
    const text = status
      ? "What you see is the last known state. The page reconnects by itself and brings every alert missed meanwhile."
      : "Start it with “make run” (or “tapescan run”); the page connects by itself.";
    return { level: "bad", title: "The engine does not answer.", text };
  }
  if (!status) return null;
  if (status.state === "starting") {
    return { level: "info", title: "The engine is starting.", text: status.waiting_for?.[0] ?? "Numbers appear with the first cycle." };
  }
  if (status.degraded?.length) return { level: "warn", title: "Degraded.", text: status.degraded.join(" ") };
  return null;
}

export function Notice() {
  const sentence = state.notice.value;
  return html`<div class=${`notice ${sentence ? "shown" : ""}`} role="alert">${sentence}</div>`;
}
