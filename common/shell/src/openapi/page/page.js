// Shows /openapi.json and sends requests as it describes them. Whatever the document says is put
// into the page as text, never as markup.
"use strict";

const METHODS = ["get", "put", "post", "delete", "patch"];

/** An element with these attributes (an `on...` is a listener) and children. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

/** A description: paragraphs, with `code` in backquotes. */
function prose(text) {
  const paragraph = (part) =>
    element("p", {}, part.split("`").map((piece, at) => (at % 2 ? element("code", {}, piece) : piece)));
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map(paragraph);
}

const nameOf = (reference) => reference.split("/").pop();
const pretty = (value) => JSON.stringify(value, null, 2);

function main(api) {
  /** What a reference stands for. */
  const resolved = (thing) =>
    thing?.$ref
      ? { ...thing.$ref.slice(2).split("/").reduce((at, key) => at[key], api), ...thing }
      : thing;

  /** A schema in one line: its type or name, and its limits. */
  function inShort(schema) {
    if (!schema) return ["anything"];
    if (schema.$ref) {
      const name = nameOf(schema.$ref);
      return [element("a", { href: `#schema-${name}` }, name)];
    }
    const choice = schema.oneOf ?? schema.anyOf;
    if (choice) return choice.flatMap((one, at) => (at ? [" or ", ...inShort(one)] : inShort(one)));
    if (schema.const !== undefined) return [JSON.stringify(schema.const)];
    if (schema.enum) return [schema.enum.join(" | ")];
    const type = [schema.type ?? "anything"].flat().join(" or ");
    const limits = [
      schema.format,
      schema.minimum !== undefined && `at least ${schema.minimum}`,
      schema.maximum !== undefined && `at most ${schema.maximum}`,
      schema.minLength !== undefined && `${schema.minLength} characters or more`,
      schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
      schema.minItems !== undefined && `${schema.minItems} or more`,
      schema.maxItems !== undefined && `at most ${schema.maxItems}`,
      schema.pattern,
    ].filter(Boolean);
    const items = schema.items ? [" of ", ...inShort(schema.items)] : [];
    return [type, ...items, limits.length ? ` (${limits.join(", ")})` : ""];
  }

  /** A schema with its fields, each with its own. */
  function shown(schema) {
    if (!schema?.properties) return element("p", {}, inShort(schema));
    const row = ([name, field]) => {
      const isRequired = schema.required?.includes(name);
      const about = field.description ?? field.oneOf?.find((one) => one.description)?.description;
      const nested = field.items?.properties ? shown(field.items) : field.properties && shown(field);
      return element("tr", {},
        element("td", {}, element("code", {}, name), isRequired ? "" : " (optional)"),
        element("td", {}, inShort(field), prose(about), nested));
    };
    return element("table", {}, Object.entries(schema.properties).map(row));
  }

  function parameterRow(parameter, inputs) {
    const example = parameter.example === undefined ? "" : String(parameter.example);
    const input = element("input", {
      placeholder: example,
      value: parameter.required ? example : "",
      "aria-label": parameter.name,
    });
    inputs.push({ parameter, input });
    return element("tr", {},
      element("td", {}, element("code", {}, parameter.name),
        element("div", { class: "note" }, parameter.in, parameter.required ? ", required" : "")),
      element("td", {}, prose(parameter.description), element("div", { class: "note" }, inShort(parameter.schema))),
      element("td", {}, input));
  }

  /** The request as the form says it. */
  function requestOf(method, path, inputs, body) {
    const headers = {};
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value === "") continue;
      else if (parameter.in === "query") query.set(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    if (body) headers["Content-Type"] = "application/json";
    const url = query.size ? `${path}?${query}` : path;
    return [url, { method: method.toUpperCase(), headers, body: body?.value, cache: "no-store" }];
  }

  async function send([url, request], answer) {
    answer.replaceChildren("…");
    try {
      const response = await fetch(url, request);
      const text = await response.text();
      let shownText = text;
      try { shownText = pretty(JSON.parse(text)); } catch { /* It is no JSON: shown as it is. */ }
      const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      answer.replaceChildren(
        element("p", {}, element("code", {}, `${request.method} ${url}`), ` ${response.status} ${response.statusText}`),
        element("pre", {}, headers), element("pre", {}, shownText));
    } catch (error) {
      answer.replaceChildren(`No answer: ${error}`);
    }
  }

  /** The form of a request's body, and the field that holds it. */
  function bodyForm(requestBody) {
    const content = requestBody?.content?.["application/json"];
    if (!content) return [undefined, []];
    const examples = content.examples ?? { Example: { value: content.example ?? {} } };
    const names = Object.keys(examples);
    const field = element("textarea", { "aria-label": "Body", spellcheck: "false" });
    field.value = pretty(examples[names[0]].value);
    const choose = element("select", {
      "aria-label": "Example",
      onchange: (event) => { field.value = pretty(examples[event.target.value].value); },
    }, names.map((name) => element("option", { value: name }, name)));
    return [field, [
      element("h3", {}, "Body: ", inShort(content.schema)), shown(resolved(content.schema)),
      names.length > 1 ? choose : undefined, field,
    ]];
  }

  function responseRow([status, response]) {
    const { description, headers, content } = resolved(response);
    const header = ([name, value]) =>
      element("div", { class: "note" }, element("code", {}, name), " ", value.description ?? "");
    const media = ([type, { schema }]) => element("div", { class: "note" }, type, ": ", inShort(schema));
    return element("tr", {},
      element("td", {}, element("code", {}, status)),
      element("td", {}, prose(description), Object.entries(headers ?? {}).map(header)),
      element("td", {}, Object.entries(content ?? {}).map(media)));
  }

  function operationView(path, method, operation) {
    const inputs = [];
    const parameters = (operation.parameters ?? []).map(resolved);
    const rows = parameters.map((parameter) => parameterRow(parameter, inputs));
    const [field, form] = bodyForm(resolved(operation.requestBody));
    const answer = element("div", { "aria-live": "polite" });
    return element("details", { id: operation.operationId },
      element("summary", {}, element("span", { class: "method" }, method.toUpperCase()),
        element("code", {}, path), element("span", {}, operation.summary ?? "")),
      prose(operation.description),
      rows.length ? element("table", {}, rows) : undefined,
      form,
      element("button", {
        onclick: () => send(requestOf(method, path, inputs, field), answer),
      }, "Send"),
      answer,
      element("h3", {}, "Answers"),
      element("table", {}, Object.entries(operation.responses).map(responseRow)));
  }

  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  const tags = [...new Set(operations.map(([, , operation]) => operation.tags?.[0] ?? "Other"))];
  const content = document.getElementById("content");
  const index = document.getElementById("index");
  document.title = api.info.title;
  content.replaceChildren(element("h1", {}, api.info.title), ...prose(api.info.description),
    element("p", {}, element("a", { href: "/openapi.json" }, "/openapi.json"), ` (OpenAPI ${api.openapi})`));
  for (const tag of tags) {
    content.append(element("h2", {}, tag));
    index.append(element("h2", {}, tag));
    for (const [path, method, operation] of operations) {
      if ((operation.tags?.[0] ?? "Other") !== tag) continue;
      content.append(operationView(path, method, operation));
      index.append(element("a", { href: `#${operation.operationId}` },
        element("span", { class: "method" }, method.toUpperCase()), path));
    }
  }
  content.append(element("h2", {}, "Schemas"));
  for (const [name, schema] of Object.entries(api.components?.schemas ?? {})) {
    content.append(element("details", { id: `schema-${name}` },
      element("summary", {}, element("code", {}, name)), prose(schema.description), shown(schema)));
  }
  // Whoever follows a link wants to see what it leads to.
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(main)
  .catch((error) => { document.getElementById("content").textContent = `Not shown: ${error}`; });
