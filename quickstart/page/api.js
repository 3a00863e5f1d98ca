// The REST API as this page uses it.

/** An answer that is no success, told as a problem (RFC 9457), or no answer at all. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    /** HTTP status; 0 where the server was not reached. */
    this.status = status;
    /** What is wrong with which part of the request: [{pointer or parameter, detail}]. */
    this.violations = problem.errors ?? [];
  }
}

/** Asks for a path; gives the JSON of the answer. */
export function get(path) {
  return send(path, {});
}

/** Posts a JSON value, or nothing; gives the JSON of the answer. */
export function post(path, value) {
  const headers = value === undefined ? {} : { "Content-Type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(value) });
}

/** The path of a thing under a path: its id may hold characters that a path cannot. */
export function below(path, id) {
  return `${path}/${encodeURIComponent(id)}`;
}

async function send(path, options) {
  const response = await reach(path, options);
  const text = await response.text();
  const value = parse(text);
  if (!response.ok) {
    throw new ApiError(response.status, value ?? {});
  }
  return value;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new ApiError(0, { detail: "the server cannot be reached" });
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
