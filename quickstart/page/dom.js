// Elements and texts.

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with these attributes and children; text is never read as markup. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children);
  return made;
}

/** Shows a text in an element that is there only while there is one. */
export function tell(target, text) {
  target.textContent = text;
  target.hidden = text === "";
}

/** The state of an order, or of a check. */
export function state(name) {
  return element("span", { class: `state ${name}` }, name);
}

/** A time as a clock on the wall shows it, the day only where it is not today. */
export function time(text, withMillis = false) {
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString()} `;
  const digits = withMillis ? { fractionalSecondDigits: 3 } : {};
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const shown = day + at.toLocaleTimeString(undefined, { ...options, ...digits });
  return element("time", { datetime: text, title: text }, shown);
}

/** An amount, or a dash where there is none. */
export function money(amount, currency) {
  return amount === null || amount === undefined ? "–" : `${amount} ${currency}`;
}

/** The part of this page's address that shows an order. */
export function addressOf(orderId) {
  return `#${new URLSearchParams({ order: orderId })}`;
}

/** A text of the API as a sentence of the page. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
