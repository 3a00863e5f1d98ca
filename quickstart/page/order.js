// One order, as its events come: where it is, what became of it, and its history.

import { ApiError, below, get, post } from "./api.js";
import { byId, element, money, sentence, state, tell, time } from "./dom.js";
import { EventStream, isVisible, onChange } from "./live.js";

/** The states on an order's way, in order; it may fail or be cancelled instead of the next. */
const WAY = ["CREATED", "VALIDATED", "PAID", "SHIPPED"];
const FINAL = ["SHIPPED", "FAILED", "CANCELLED"];
const CANCELLABLE = ["CREATED", "VALIDATED", "PAID"];
const CHECKS = { ORDER_DETAILS: "Order details", INVENTORY: "Inventory", FRAUD: "Fraud" };

let shown;
let stream;
/** The events of the order that is shown, by version. */
let events = new Map();
let onChanged;

/** Gets ready to show orders, and calls `changed` with the order that is shown, however it is. */
export function start(changed) {
  onChanged = changed;
  byId("ship").addEventListener("click", () => ask("ship"));
  byId("cancel").addEventListener("click", () => ask("cancel"));
  onChange(() => isOver() || stream?.update());
}

/** Shows an order, live; undefined shows none. */
export async function show(id) {
  if (id === shown) {
    return;
  }
  stream?.close();
  stream = undefined;
  shown = id;
  events = new Map();
  tell(byId("order-error"), "");
  byId("order-body").hidden = true;
  byId("order-empty").hidden = id !== undefined;
  onChanged(undefined);
  if (id === undefined) {
    return;
  }
  try {
    // An order that is not there is no stream, and a stream does not say why.
    await get(below("/v1/orders", id));
  } catch (error) {
    showError(id, error);
    return;
  }
  if (id === shown) {
    follow(id);
  }
}

function follow(id) {
  stream = new EventStream(`${below("/v1/orders", id)}/events`, {
    while: isVisible,
    onEvent(event) {
      if (events.has(event.order.version)) {
        return;
      }
      events.set(event.order.version, event);
      draw();
      if (isOver()) {
        stream.close();
      }
    },
  });
}

/** All events, oldest first. */
function past() {
  return [...events.values()].sort((one, other) => one.order.version - other.order.version);
}

function latest() {
  return past().at(-1)?.order;
}

function isOver() {
  return FINAL.includes(latest()?.state);
}

async function ask(change) {
  const id = shown;
  tell(byId("order-error"), "");
  setButtons(undefined);
  try {
    await post(`${below("/v1/orders", id)}/${change}`);
  } catch (error) {
    showError(id, error);
    draw();
  }
}

function showError(id, error) {
  if (id !== shown) {
    return;
  }
  const text = error instanceof ApiError ? error.message : `${error}`;
  tell(byId("order-error"), `${sentence(text)}.`);
}

function draw() {
  const order = latest();
  byId("order-body").hidden = false;
  byId("order-id").textContent = order.id;
  const who = byId("order-who");
  who.replaceChildren(`for ${order.customerId}, placed `, time(order.placedAt));
  byId("order-state").replaceChildren(state(order.state));
  byId("order-said").textContent = `Order ${order.id} is ${order.state}`;
  drawSteps(order);
  const failures = order.failures.map(({ check, productId, reason, detail }) => {
    const of = productId ? `${productId}: ` : "";
    return element("li", {}, `${of}${sentence(detail ?? reason)} (${CHECKS[check] ?? check})`);
  });
  byId("order-failures").replaceChildren(...failures);
  const rows = order.lines.map(({ productId, quantity, unitPrice }) =>
    row(productId, quantity, money(unitPrice, order.currency)),
  );
  byId("order-lines").replaceChildren(...rows);
  byId("order-total").textContent = money(order.total, order.currency);
  const checks = Object.entries(order.checks).flatMap(([check, result]) => [
    element("dt", {}, CHECKS[check] ?? check),
    element("dd", {}, state(result)),
  ]);
  byId("order-checks").replaceChildren(...checks);
  setButtons(order.state);
  drawHistory();
  onChanged(order);
}

function row(product, quantity, price) {
  const number = (text) => element("td", { class: "number" }, text);
  return element("tr", {}, element("td", {}, product), number(quantity), number(price));
}

function setButtons(now) {
  byId("ship").disabled = now !== "PAID";
  byId("cancel").disabled = !CANCELLABLE.includes(now);
}

/** The way so far with the time each step took, and what is still ahead. */
function drawSteps(order) {
  let before = Infinity;
  const done = past().map(({ order: { state: reached, updatedAt } }) => {
    const at = Date.parse(updatedAt);
    // Events that follow from one another within the services have the time of the first.
    const took = at > before ? `+${duration(at - before)}` : "";
    before = at;
    const isEnd = reached === "FAILED" || reached === "CANCELLED";
    return step(reached, isEnd ? "failed" : "done", took);
  });
  const ahead = isOver() ? [] : WAY.slice(WAY.indexOf(order.state) + 1);
  byId("order-steps").replaceChildren(...done, ...ahead.map((name) => step(name, "ahead", "")));
}

function step(name, kind, took) {
  const text = sentence(name.toLowerCase());
  return element("li", { class: kind }, text, element("span", {}, took));
}

function duration(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** Adds what is new: what the user has opened stays open. */
function drawHistory() {
  const history = byId("history");
  const all = past();
  if (history.dataset.order !== shown) {
    history.dataset.order = shown;
    history.replaceChildren();
  }
  for (const { type, place, order } of all.slice(history.children.length)) {
    const at = element("span", { class: "muted small" }, time(order.updatedAt, true));
    const summary = element("summary", {}, `${order.version}. ${type} `, at);
    const [partition, offset] = place.split(":");
    const where = `Topic orders, partition ${partition}, offset ${offset}`;
    const content = element("pre", { tabindex: 0 }, JSON.stringify(order, undefined, 2));
    const note = element("p", { class: "muted small" }, where);
    history.append(element("li", {}, element("details", {}, summary, note, content)));
  }
}
