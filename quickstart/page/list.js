// The newest orders, live, and the pages behind them as they were when they were asked for.

import { get } from "./api.js";
import { addressOf, byId, element, money, sentence, state, time } from "./dom.js";
import { EventStream, isOn, onChange } from "./live.js";

const PAGE_ORDERS = 20;
/** How long news are gathered before they are drawn, in milliseconds: more could not be read. */
const DRAW_MS = 250;
/** How long after an order has left the page it is read again for the one that moves up. */
const MOVE_UP_MS = 1000;

const filter = { customer: byId("filter-customer"), state: byId("filter-state") };

/** The orders of the page that is shown, by id. */
let orders = new Map();
/** Those of them that came live. */
let arrived = new Set();
/** The number of the page; only the first one is live. */
let page = 1;
/** Where the next page begins; undefined where there is none, or on the live page. */
let nextCursor;
let chosen;
let drawing;
let movingUp;
/** Grows with each reading, so that an answer that is not wanted any more is known. */
let reading = 0;

/** Shows the list, and calls `onOrders` with orders that have news. */
export function start(onOrders) {
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("change", () => read(1));
  byId("newest").addEventListener("click", () => read(1));
  byId("older").addEventListener("click", readOlder);
  const stream = new EventStream("/v1/order-events", {
    // What comes after this reading comes by the stream, which is open already.
    onOpen: () => page === 1 && read(1),
    onEvent({ order }) {
      take(order);
      onOrders(order);
    },
  });
  onChange(() => {
    stream.update();
    draw();
  });
  read(1);
}

/** Marks the order that is shown beside the list. */
export function choose(id) {
  chosen = id;
  draw();
}

function query(cursor) {
  const parameters = new URLSearchParams({ limit: PAGE_ORDERS });
  const set = (name, value) => value && parameters.set(name, value);
  set("customerId", filter.customer.value.trim());
  set("state", filter.state.value);
  set("cursor", cursor);
  return `/v1/orders?${parameters}`;
}

async function read(number, cursor) {
  clearTimeout(movingUp);
  movingUp = undefined;
  reading += 1;
  const mine = reading;
  page = number;
  // Live events are taken from now on; those of the answer may be older.
  const before = number === 1 ? orders : new Map();
  const since = new Map();
  orders = since;
  arrived = new Set();
  showError("");
  try {
    const answer = await get(query(cursor));
    if (mine !== reading) {
      return;
    }
    answer.orders.forEach((order) => keepNewer(order));
    nextCursor = number === 1 ? undefined : answer.nextCursor;
    byId("older").disabled = answer.nextCursor === undefined;
  } catch (error) {
    if (mine !== reading) {
      return;
    }
    orders = error.status === 0 || error.status === 503 ? before : since;
    showError(error.message);
  }
  draw();
}

/** The live page moves on while it is looked at, so where it ends is asked for now. */
async function readOlder() {
  try {
    const cursor = page === 1 ? (await get(query())).nextCursor : nextCursor;
    if (cursor === undefined) {
      byId("older").disabled = true;
    } else {
      await read(page + 1, cursor);
    }
  } catch (error) {
    showError(error.message);
  }
}

function showError(text) {
  byId("filter-error").textContent = text && `${sentence(text)}.`;
}

function matches(order) {
  const customer = filter.customer.value.trim();
  const isOf = customer === "" || order.customerId === customer;
  return isOf && (filter.state.value === "" || order.state === filter.state.value);
}

/** Takes the news of an order. */
function take(order) {
  const isShown = orders.has(order.id);
  if (!isShown && page === 1 && matches(order)) {
    arrived.add(order.id);
    orders.set(order.id, order);
  } else if (isShown && page === 1 && !matches(order)) {
    orders.delete(order.id);
    movingUp ??= byId("older").disabled ? undefined : setTimeout(() => read(1), MOVE_UP_MS);
  } else if (isShown) {
    keepNewer(order);
  } else {
    return;
  }
  drawing ??= setTimeout(draw, DRAW_MS);
}

function keepNewer(order) {
  const known = orders.get(order.id);
  if (known === undefined || known.version < order.version) {
    orders.set(order.id, order);
  }
}

/** Newest first, as the API lists them. */
function inOrder(one, other) {
  const by = (left, right) => (left < right ? 1 : left > right ? -1 : 0);
  return by(one.placedAt, other.placedAt) || by(one.id, other.id);
}

function draw() {
  clearTimeout(drawing);
  drawing = undefined;
  const rows = [...orders.values()].sort(inOrder).slice(0, PAGE_ORDERS);
  if (page === 1) {
    byId("older").disabled &&= orders.size <= PAGE_ORDERS;
    orders = new Map(rows.map((order) => [order.id, order]));
  }
  update(byId("orders"), rows);
  arrived = new Set();
  byId("orders-empty").hidden = rows.length > 0;
  byId("newest").disabled = page === 1;
  byId("page-note").textContent = note();
}

function note() {
  if (page > 1) {
    return `Page ${page}, as it was`;
  }
  return isOn() ? "Page 1, live" : "Page 1, paused";
}

/** Changes the rows that changed, so that the focus stays where it is. */
function update(body, rows) {
  const existing = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const wanted = rows.map((order) => {
    const row = existing.get(order.id) ?? element("tr", { "data-id": order.id });
    if (row.dataset.version !== `${order.version}`) {
      row.dataset.version = order.version;
      const link = row.querySelector("a");
      row.replaceChildren(...cells(order, link));
    }
    row.classList.toggle("chosen", order.id === chosen);
    row.classList.toggle("new", arrived.has(order.id) || row.classList.contains("new"));
    return row;
  });
  for (const row of existing.values()) {
    if (!wanted.includes(row)) {
      row.remove();
    }
  }
  wanted.forEach((row, index) => {
    if (body.children[index] !== row) {
      body.insertBefore(row, body.children[index] ?? null);
    }
  });
}

function cells(order, link) {
  const open = link ?? element("a", { class: "code", href: addressOf(order.id) }, order.id);
  // Where there is no room for a column, the customer stands below the order.
  const below = element("div", { class: "slim muted small" }, order.customerId);
  return [
    element("td", {}, open, below),
    element("td", { class: "wide" }, order.customerId),
    element("td", {}, state(order.state)),
    element("td", { class: "number" }, money(order.total, order.currency)),
    element("td", { class: "number wide" }, time(order.placedAt)),
  ];
}
