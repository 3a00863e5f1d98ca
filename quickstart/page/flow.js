// The picture of services and topics, each with its rate, and of the way of one order through it.

import { byId, element, shape } from "./dom.js";

/** What writes to what, and what is read by what: services are named in capitals. */
const EDGES = [
  ["order-requests", "ORDERS"],
  ["ORDERS", "orders"],
  ["ORDERS", "order-lines"],
  ["order-lines", "INVENTORY"],
  ["INVENTORY", "products"],
  ["products", "ORDERS"],
  ["INVENTORY", "order-validations"],
  ["FRAUD", "order-validations"],
  ["order-validations", "ORDERS"],
  ["ORDERS", "orders-by-customer"],
  ["orders-by-customer", "FRAUD"],
  ["orders-by-customer", "PAYMENTS"],
  ["PAYMENTS", "payments"],
  ["payments", "ORDERS"],
  ["PAYMENTS", "customers"],
  ["customers", "ORDERS"],
  ["product-requests", "INVENTORY"],
  ["INVENTORY", "stock-levels"],
  ["customer-requests", "PAYMENTS"],
  ["PAYMENTS", "accounts"],
];

/** Where everything is: left, top, width and height. Two that are joined overlap in one direction,
 * so that every edge is a straight line. */
const WIDE = {
  size: [690, 372],
  boxes: {
    ORDERS: [148, 8, 96, 356],
    INVENTORY: [424, 8, 108, 142],
    FRAUD: [424, 160, 108, 56],
    PAYMENTS: [424, 226, 108, 138],
    "order-requests": [0, 70, 118, 46],
    orders: [0, 256, 118, 46],
    "order-lines": [270, 8, 128, 46],
    products: [270, 70, 128, 46],
    "order-validations": [270, 132, 128, 46],
    "orders-by-customer": [270, 194, 128, 46],
    payments: [270, 256, 128, 46],
    customers: [270, 318, 128, 46],
    "product-requests": [562, 18, 128, 46],
    "stock-levels": [562, 84, 128, 46],
    "customer-requests": [562, 240, 128, 46],
    accounts: [562, 306, 128, 46],
  },
};

const NARROW = {
  size: [358, 550],
  boxes: {
    ORDERS: [1, 66, 84, 418],
    INVENTORY: [265, 66, 92, 178],
    FRAUD: [265, 252, 92, 50],
    PAYMENTS: [265, 310, 92, 174],
    "order-requests": [1, 1, 112, 42],
    orders: [1, 507, 112, 42],
    "stock-levels": [112, 66, 124, 42],
    "order-lines": [112, 120, 124, 42],
    products: [112, 174, 124, 42],
    "order-validations": [112, 228, 124, 42],
    "orders-by-customer": [112, 282, 124, 42],
    payments: [112, 336, 124, 42],
    customers: [112, 390, 124, 42],
    accounts: [112, 444, 124, 42],
    "product-requests": [241, 1, 116, 42],
    "customer-requests": [241, 507, 116, 42],
  },
};

let nodes = new Map();
let edges = [];
let rates = [];
let order;

/** Draws the picture, and again whenever there is more or less room for it. */
export function start() {
  const narrow = matchMedia("(max-width: 44rem)");
  const redraw = () => draw(narrow.matches ? NARROW : WIDE);
  narrow.addEventListener("change", redraw);
  byId("rates").addEventListener("toggle", showTable);
  redraw();
}

function draw({ size: [width, height], boxes }) {
  nodes = new Map(Object.entries(boxes).map(([name, box]) => [name, node(name, box)]));
  edges = EDGES.map(([from, to]) => ({ from, to, line: edge(boxes[from], boxes[to]) }));
  const lines = edges.map(({ line }) => line);
  const groups = [...nodes.values()].map(({ group }) => group);
  const label = "Services and the topics between them, with records a second";
  const attributes = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label };
  byId("flow").replaceChildren(shape("svg", attributes, arrowHead(), ...lines, ...groups));
  showRates(rates);
  showOrder(order);
}

function node(name, [left, top, width, height]) {
  const isService = name === name.toUpperCase();
  const radius = isService ? 4 : 14;
  const box = shape("rect", { class: "box", x: left, y: top, width, height, rx: radius });
  const [x, y] = [left + width / 2, top + height / 2];
  const title = isService ? `${name.toLowerCase()}-service` : name;
  const short = isService ? name.toLowerCase() : name;
  const text = shape("text", { class: "name", x, y: y - 4 }, short);
  const rate = shape("text", { class: "rate", x, y: y + 12 });
  const group = shape("g", {}, shape("title", {}, title), box, text, rate);
  const kind = isService ? "service" : "topic";
  group.setAttribute("class", kind);
  return { group, rate, kind, title };
}

function arrowHead() {
  const attributes = {
    id: "arrow",
    viewBox: "0 0 8 8",
    refX: 8,
    refY: 4,
    markerWidth: 6,
    markerHeight: 6,
    orient: "auto-start-reverse",
  };
  const head = shape("path", { class: "head", d: "M0 0 8 4 0 8z" });
  return shape("defs", {}, shape("marker", attributes, head));
}

/** A straight line between two boxes, where they overlap as seen from one another. */
function edge(from, to) {
  const [fromLeft, fromTop, fromWidth, fromHeight] = from;
  const [toLeft, toTop, toWidth, toHeight] = to;
  const y = middle(fromTop, fromHeight, toTop, toHeight);
  const x = middle(fromLeft, fromWidth, toLeft, toWidth);
  const points =
    y === undefined
      ? fromTop < toTop
        ? [x, fromTop + fromHeight, x, toTop]
        : [x, fromTop, x, toTop + toHeight]
      : fromLeft < toLeft
        ? [fromLeft + fromWidth, y, toLeft, y]
        : [fromLeft, y, toLeft + toWidth, y];
  const [x1, y1, x2, y2] = points;
  return shape("line", { class: "edge", x1, y1, x2, y2, "marker-end": "url(#arrow)" });
}

function middle(start, length, otherStart, otherLength) {
  const from = Math.max(start, otherStart);
  const to = Math.min(start + length, otherStart + otherLength);
  return from < to ? (from + to) / 2 : undefined;
}

/** Shows the rates: what services read, and what is written to topics. */
export function showRates(now) {
  rates = now;
  const read = sums((rate) => rate.service, "read");
  const written = sums((rate) => rate.topic, "written");
  const of = ({ kind, title }) => (kind === "service" ? read : written).get(title) ?? 0;
  for (const shown of nodes.values()) {
    const rate = of(shown);
    shown.rate.textContent = rates.length > 0 ? `${digits(rate)}/s` : "–";
    shown.group.classList.toggle("active", rate > 0);
  }
  for (const { from, to, line } of edges) {
    const topic = nodes.get(from).kind === "topic" ? from : to;
    line.classList.toggle("active", of(nodes.get(topic)) > 0);
  }
  showTable();
}

function sums(key, member) {
  const sums = new Map();
  for (const rate of rates) {
    sums.set(key(rate), (sums.get(key(rate)) ?? 0) + rate[member]);
  }
  return sums;
}

function digits(rate) {
  const shown = rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en");
  return shown === "0.0" ? "<0.1" : shown;
}

function showTable() {
  if (!byId("rates").open) {
    return;
  }
  const number = (rate) => element("td", { class: "number" }, digits(rate));
  const rows = rates.map(({ service, topic, read, written }) => {
    const names = [service, topic].map((name) => element("td", {}, name));
    return element("tr", {}, ...names, number(read), number(written));
  });
  byId("rates-rows").replaceChildren(...rows);
}

/** Marks where an order has been; undefined marks nothing. */
export function showOrder(now) {
  order = now;
  const { visited, failed } = order ? way(order) : { visited: [], failed: [] };
  for (const [name, { group }] of nodes) {
    group.classList.toggle("visited", visited.includes(name) && !failed.includes(name));
    group.classList.toggle("failed", failed.includes(name));
  }
  byId("flow-order").textContent = order
    ? `Outlined: where order ${order.id} has been; it is ${order.state}.`
    : "";
}

function way({ state, checks, failures }) {
  const visited = ["order-requests", "ORDERS", "orders"];
  const failed = [];
  const check = (name, service) => {
    const list = checks[name] === "FAIL" ? failed : visited;
    if (checks[name] !== "PENDING") {
      list.push(service);
      visited.push("order-validations");
    }
  };
  if (checks.ORDER_DETAILS === "PASS") {
    visited.push("order-lines", "orders-by-customer");
    check("INVENTORY", "INVENTORY");
    check("FRAUD", "FRAUD");
  } else {
    failed.push("ORDERS");
  }
  if (state === "PAID" || state === "SHIPPED") {
    visited.push("PAYMENTS", "payments");
  }
  if (failures.some(({ reason }) => reason === "PAYMENT_DECLINED")) {
    visited.push("payments");
    failed.push("PAYMENTS");
  }
  return { visited, failed };
}
