// Puts the page together.
import { html, render } from "./lib.js";
import { start } from "./link.js";
import { listen } from "./keys.js";
import { Topbar } from "./topbar.js";
import { Banner, Notice } from "./banner.js";
import { Movers } from "./movers.js";
import { ChartPanel } from "./chart_panel.js";
import { Alerts } from "./alerts.js";
import { Engine } from "./engine.js";
import { Drawer } from "./drawer.js";
import { Help } from "./help.js";

function Page() {
  return html`
    <a class="skip" href="#movers">Skip to movers</a>
    <${Topbar} />
    <${Banner} />
    <main>
      <div class="column"><${Movers} /><${ChartPanel} /></div>
      <div class="column"><${Alerts} /><${Engine} /></div>
    </main>
    <${Drawer} />
    <${Help} />
    <${Notice} />`;
}

const root = document.getElementById("app");
root.textContent = "";
render(html`<${Page} />`, root);
listen();
start();
