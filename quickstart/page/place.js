// The form that places an order.
//
// Of what is wrong it finds only what is not filled in. For the rest the server says which field it
// is, and what it says is shown there.

import { get, post } from "./api.js";
import { byId, element, money, sentence, tell } from "./dom.js";
import { sumOf } from "./sums.js";

/** As many as one page of a list may have. */
const CHOICES_MAX = 200;
const ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";

const form = byId("place");
const customer = byId("customer");
const lines = byId("lines");
const submit = byId("submit");

let products = new Map();
let customers = new Map();
/** What was sent last without a sure answer, and under which id. */
let unsure;

/** Fills the form, and calls `onPlaced` with each order that is accepted. */
export async function start(onPlaced) {
  byId("add-line").addEventListener("click", () => addLine().querySelector("select").focus());
  form.addEventListener("input", showTotal);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    place(onPlaced);
  });
  try {
    await readChoices();
  } catch (error) {
    showError(error);
  }
  addLine();
}

async function readChoices() {
  const [catalogue, clients] = await Promise.all([
    get(`/v1/products?limit=${CHOICES_MAX}`),
    get(`/v1/customers?limit=${CHOICES_MAX}`),
  ]);
  products = new Map(catalogue.products.map((product) => [product.productId, product]));
  customers = new Map(clients.customers.map((client) => [client.customerId, client]));
  byId("catalogue-note").hidden = catalogue.nextCursor === undefined;
  const name = (client) => `${client.firstName} ${client.lastName} (${client.currency})`;
  customer.replaceChildren(...choices(customers, name));
  const known = [...customers.keys()].map((id) => element("option", { value: id }));
  byId("customers").replaceChildren(...known);
}

function choices(things, name) {
  const options = [...things].map(([id, thing]) => element("option", { value: id }, name(thing)));
  return [element("option", { value: "" }, "Choose …"), ...options];
}

function addLine() {
  const price = ({ name, price }) => `${name}, ${money(price.amount, price.currency)}`;
  const product = element("select", {}, ...choices(products, price));
  const attributes = { type: "number", min: 1, value: 1, inputmode: "numeric" };
  const quantity = element("input", attributes);
  const remove = element("button", { type: "button" }, "×");
  const row = element("div", { class: "row" }, product, quantity, remove);
  const line = element("li", {}, row, element("p", { class: "error" }));
  remove.addEventListener("click", () => {
    line.remove();
    number();
    byId("add-line").focus();
  });
  lines.append(line);
  number();
  return line;
}

/** Names what is in each line after its place, which changes where one before it goes. */
function number() {
  [...lines.children].forEach((line, index) => {
    const [product, quantity, remove] = line.firstChild.children;
    const error = line.lastChild;
    error.id = `line-${index}-error`;
    product.setAttribute("aria-label", `Product ${index + 1}`);
    quantity.setAttribute("aria-label", `Pieces of product ${index + 1}`);
    remove.setAttribute("aria-label", `Remove product ${index + 1}`);
    product.setAttribute("aria-describedby", error.id);
    quantity.setAttribute("aria-describedby", error.id);
  });
  showTotal();
}

function wanted() {
  return [...lines.children].map((line) => {
    const [product, quantity] = line.firstChild.children;
    return { productId: product.value, quantity: Number(quantity.value) };
  });
}

function showTotal() {
  const priced = wanted().filter((line) => products.has(line.productId));
  const sums = new Map();
  for (const { productId, quantity } of priced) {
    const { amount, currency } = products.get(productId).price;
    sums.set(currency, [...(sums.get(currency) ?? []), { amount, quantity }]);
  }
  const texts = [...sums].map(([currency, parts]) => money(sumOf(parts), currency));
  byId("total").textContent = texts.join(" + ") || "–";
}

/** What is not filled in, told as the server tells what is wrong. */
function missing({ customerId, lines }) {
  const missing = customerId === "" ? [{ pointer: "/customerId", detail: "choose a customer" }] : [];
  lines.forEach(({ productId, quantity }, index) => {
    const pointer = `/lines/${index}`;
    if (productId === "") {
      missing.push({ pointer: `${pointer}/productId`, detail: "choose a product" });
    }
    if (!Number.isSafeInteger(quantity)) {
      missing.push({ pointer: `${pointer}/quantity`, detail: "a quantity is a whole number" });
    }
  });
  return missing;
}

async function place(onPlaced) {
  clearErrors();
  const currency = customers.get(customer.value)?.currency;
  const content = { customerId: customer.value, currency, lines: wanted() };
  const violations = missing(content);
  if (violations.length > 0) {
    showError({ violations });
    return;
  }
  const text = JSON.stringify(content);
  // Pressed again after an answer was lost, it is the same order: it is never placed twice.
  const id = unsure?.text === text ? unsure.id : newId();
  unsure = { text, id };
  submit.disabled = true;
  try {
    const order = await post("/v1/orders", { id, ...content });
    unsure = undefined;
    onPlaced(order.id);
  } catch (error) {
    if (error.status > 0 && error.status < 500) {
      unsure = undefined;
    }
    showError(error);
  } finally {
    submit.disabled = false;
  }
}

/** An id of sixty random bits that people can read out. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `web-${Array.from(bytes, (byte) => ID_DIGITS[byte % ID_DIGITS.length]).join("")}`;
}

function clearErrors() {
  tell(byId("place-error"), "");
  form.querySelectorAll(".error").forEach((place) => (place.textContent = ""));
  form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
}

/** Shows what is wrong at the fields that it is wrong with, and goes to the first of them. */
function showError(error) {
  const others = [];
  for (const { pointer = "", detail } of error.violations ?? []) {
    const { field, place } = fieldOf(pointer);
    if (place) {
      field?.setAttribute("aria-invalid", "true");
      place.append(`${place.textContent && " "}${sentence(detail)}.`);
    } else {
      others.push(detail);
    }
  }
  const isShown = form.querySelector(".error:not(:empty)") !== null;
  const rest = others.length > 0 || isShown ? others.join("; ") : error.message;
  tell(byId("place-error"), rest && `${sentence(rest)}.`);
  form.querySelector("[aria-invalid]")?.focus();
}

/** The field that a JSON pointer means, and where to say what is wrong with it. */
function fieldOf(pointer) {
  const [, part, index, member] = pointer.split("/");
  if (part === "customerId" || part === "currency") {
    return { field: customer, place: byId("customer-error") };
  }
  const line = part === "lines" ? lines.children[Number(index)] : undefined;
  if (index !== undefined && line) {
    const [product, quantity] = line.firstChild.children;
    return { field: member === "quantity" ? quantity : product, place: line.lastChild };
  }
  return { place: part === "lines" ? byId("lines-error") : undefined };
}
