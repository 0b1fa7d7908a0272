// Asking the box: JSON in, JSON out, and its refusals as errors that say why.

let csrf = null;
let skew = 0;

/** What the box refused, or that it did not answer (status 0). */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || (status ? `Refused with status ${status}.` : "The box does not answer."));
    this.status = status;
    this.code = problem.code || "unreachable";
    this.errors = problem.errors || [];
  }

  /** All of it in one line. */
  get told() {
    const fields = this.errors.map((one) => `${one.path} ${one.message}`).join("; ");
    return fields ? `${this.message}: ${fields}` : this.message;
  }
}

/** Told when a login is needed. */
export const gate = new EventTarget();

/** What changes must carry beside the cookie. */
export function setCsrf(word) {
  csrf = word;
}

/** Headers of a change. */
export function changeHeaders() {
  return csrf ? { "X-CSRF-Token": csrf } : {};
}

/** Milliseconds by the box's clock, which may not be this device's. */
export function boxNow() {
  return Date.now() + skew;
}

/** A path with its query; what is null or empty is left out. */
export function withQuery(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Ask; gives the JSON, or text, or null for nothing. */
export async function ask(method, path, { query, body, seconds = 10, signal } = {}) {
  const headers = method === "GET" ? {} : changeHeaders();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(seconds * 1000);
  let answer, content;
  try {
    answer = await fetch(withQuery(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
    });
    content = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, {});
  }
  heed(answer);
  const json = (answer.headers.get("Content-Type") || "").includes("json");
  const value = json && content ? JSON.parse(content) : content || null;
  // Health says "not well" with a body that is as good as any.
  if (answer.ok || (answer.status === 503 && json && !value.code)) return value;
  throw refusalOf(answer.status, json ? value : {});
}

export const get = (path, query, more) => ask("GET", path, { query, ...more });
export const post = (path, body, more) => ask("POST", path, { body, ...more });
export const remove = (path, more) => ask("DELETE", path, more);

/** A refusal; whoever watches the gate hears of missing logins. */
export function refusalOf(status, problem) {
  if (status === 401) gate.dispatchEvent(new Event("login"));
  return new Refusal(status, problem || {});
}

/** Learn the box's time from an answer. */
export function heed(answer) {
  const date = Date.parse(answer.headers.get("Date") || "");
  // The header counts whole seconds: on average it is half a second late.
  if (!Number.isNaN(date)) skew = Math.abs(date + 500 - Date.now()) < 1500 ? 0 : date + 500 - Date.now();
}
