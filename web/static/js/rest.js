// REST calls; an answer that is not 2xx becomes a notice with the server's own sentence.
import { say } from "./state.js";

export async function getJson(path, quiet = true) {
  try {
    const answer = await fetch(path, { headers: { Accept: "application/json" } });
    const body = await answer.json();
    if (answer.ok) return body;
    if (!quiet) say(body.detail);
  } catch {
    if (!quiet) say("The engine does not answer; this page reconnects by itself.");
  }
  return null;
}

export async function postJson(path, document) {
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document),
    });
    const body = await answer.json();
    if (!answer.ok) say(body.detail);
    return answer.ok;
  } catch {
    say("The engine does not answer; this page reconnects by itself.");
    return false;
  }
}
