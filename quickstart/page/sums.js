// Sums of money, exact: amounts are decimal texts, and stay so.

/** The sum of `{amount, quantity}`; undefined where a quantity is no whole number. */
export function sumOf(parts) {
  if (!parts.every(({ quantity }) => Number.isSafeInteger(quantity))) {
    return undefined;
  }
  const digits = Math.max(...parts.map(({ amount }) => decimals(amount)));
  const terms = parts.map(({ amount, quantity }) => units(amount, digits) * BigInt(quantity));
  return text(terms.reduce((sum, term) => sum + term, 0n), digits);
}

function decimals(amount) {
  const [, fraction = ""] = amount.split(".");
  return fraction.length;
}

function units(amount, digits) {
  const [whole, fraction = ""] = amount.split(".");
  return BigInt(whole + fraction.padEnd(digits, "0"));
}

function text(units, digits) {
  const sign = units < 0n ? "-" : "";
  const all = `${units}`.replace("-", "").padStart(digits + 1, "0");
  const [whole, fraction] = [all.slice(0, all.length - digits), all.slice(all.length - digits)];
  return sign + whole + (digits > 0 ? `.${fraction}` : "");
}
