// Stock and accounts: lists of things, each with what there is of it.

import { below, get } from "./api.js";
import { byId, element } from "./dom.js";
import { isOn, onChange } from "./live.js";

const PAGE_ROWS = 20;
/** How long after news a row is read again: other services follow an order within milliseconds,
 * and one reading then serves many orders. */
const REFRESH_MS = 1000;

/** A table with a row for each thing of a list. */
class Table {
  #options;
  #rows = new Map();
  #cursor;
  #stale = new Set();
  #timer;

  /** `options`: `rows` and `more` are elements, `list` and `member` the list's path and name,
   * `id(thing)`, `detail(id)` the path of what there is of it, and `cells(thing, detail)`. */
  constructor(options) {
    this.#options = options;
    options.more.addEventListener("click", () => this.read());
  }

  /** Reads the first page, or one more. */
  async read() {
    const { list, member, id, more } = this.#options;
    const parameters = new URLSearchParams({ limit: PAGE_ROWS });
    if (this.#cursor !== undefined) {
      parameters.set("cursor", this.#cursor);
    }
    const page = await get(`${list}?${parameters}`);
    this.#cursor = page.nextCursor;
    more.hidden = page.nextCursor === undefined;
    for (const thing of page[member]) {
      const row = element("tr");
      this.#options.rows.append(row);
      this.#rows.set(id(thing), { thing, row });
    }
    await Promise.all(page[member].map((thing) => this.#refresh(id(thing))));
  }

  /** Something has happened to this thing. */
  touch(id) {
    if (this.#rows.has(id)) {
      this.#stale.add(id);
      this.#timer ??= setTimeout(() => this.#refreshStale(), REFRESH_MS);
    }
  }

  /** Reads all rows again. */
  touchAll() {
    for (const id of this.#rows.keys()) {
      this.touch(id);
    }
  }

  #refreshStale() {
    this.#timer = undefined;
    const stale = [...this.#stale];
    this.#stale.clear();
    stale.forEach((id) => this.#refresh(id));
  }

  async #refresh(id) {
    const { detail, cells } = this.#options;
    const { thing, row } = this.#rows.get(id);
    try {
      row.replaceChildren(...cells(thing, await get(detail(id))));
    } catch {
      // The row stays as it was; the head of the page says where the server is away.
    }
  }
}

const number = (text, kind = "") => element("td", { class: `number ${kind}` }, `${text}`);

const stock = new Table({
  rows: byId("stock"),
  more: byId("stock-more"),
  list: "/v1/products",
  member: "products",
  id: (product) => product.productId,
  detail: (id) => `${below("/v1/products", id)}/stock`,
  cells: (product, level) => [
    element("th", { scope: "row" }, product.name),
    number(level.onHand),
    number(level.reserved),
    number(level.available),
  ],
});

const accounts = new Table({
  rows: byId("accounts"),
  more: byId("accounts-more"),
  list: "/v1/customers",
  member: "customers",
  id: (customer) => customer.customerId,
  detail: (id) => `${below("/v1/customers", id)}/account`,
  cells: (customer, account) => [
    element(
      "th",
      { scope: "row" },
      `${customer.firstName} ${customer.lastName}`,
      element("div", { class: "muted small" }, `${customer.customerId}, ${account.currency}`),
    ),
    number(account.limit, "wide"),
    number(account.deposits, "wide"),
    number(account.authorised),
    number(account.captured),
    number(account.available),
  ],
});

/** How often all rows are read again: deliveries and deposits are no events of orders. */
const ALL_MS = 15_000;

/** Fills both tables. */
export function start() {
  stock.read().catch(() => {});
  accounts.read().catch(() => {});
  setInterval(refreshAll, ALL_MS);
  onChange(refreshAll);
}

function refreshAll() {
  if (isOn()) {
    stock.touchAll();
    accounts.touchAll();
  }
}

/** An order has changed: so may have what it holds. */
export function orderChanged(order) {
  order.lines.forEach(({ productId }) => stock.touch(productId));
  accounts.touch(order.customerId);
}
