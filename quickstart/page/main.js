// Puts the parts of the page together. The order that is shown is named in the address, so that it
// can be kept, sent, and left with the browser's button.

import { addressOf, byId } from "./dom.js";
import * as flow from "./flow.js";
import * as list from "./list.js";
import * as live from "./live.js";
import * as order from "./order.js";
import * as place from "./place.js";
import * as rates from "./rates.js";
import * as tables from "./tables.js";

function showOrderOfAddress() {
  const id = new URLSearchParams(location.hash.slice(1)).get("order") ?? undefined;
  order.show(id);
  list.choose(id);
}

function goToOrder(id) {
  location.hash = addressOf(id);
}

function sayWhetherReached(isReached) {
  const server = byId("server");
  const text = isReached ? "Connected" : "The server does not answer";
  if (server.textContent !== text) {
    server.textContent = text;
    server.className = `server ${isReached ? "good" : "bad"}`;
  }
}

function pauseOrGoOn({ target }) {
  const isPaused = target.getAttribute("aria-pressed") === "true";
  target.setAttribute("aria-pressed", `${!isPaused}`);
  live.setPaused(!isPaused);
}

/** Whoever opens an order from the list wants to be where it is shown. */
function goWithLink({ target }) {
  if (target.closest("a")) {
    byId("order").focus();
  }
}

byId("orders").addEventListener("click", goWithLink);
byId("pause").addEventListener("click", pauseOrGoOn);
addEventListener("hashchange", showOrderOfAddress);
flow.start();
order.start(flow.showOrder);
list.start(tables.orderChanged);
tables.start();
rates.start(flow.showRates, sayWhetherReached);
showOrderOfAddress();
place.start((id) => {
  goToOrder(id);
  byId("order").scrollIntoView({ block: "nearest" });
});
