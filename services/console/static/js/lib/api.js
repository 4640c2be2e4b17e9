// Calls of the console's own HTTP API, which is all that pages talk to.

export const API = "/api/v1";

/** The API's refusal: `status`, `code`, `detail` and, for some codes, `errors`. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || `The console answered ${status}.`);
    this.status = status;
    this.code = (problem.type || "").replace("urn:dibop:error:", "");
    this.errors = problem.errors || [];
    this.requestId = problem.request_id || "";
  }
}

/** Nobody answered: the network, or the console, is gone for now. */
export class OfflineError extends Error {
  constructor() {
    super("The console does not answer. Check the network; it is tried again by itself.");
  }
}

export async function call(method, path, { body, headers = {}, query = {}, type = "application/json", keepalive = false } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const address = `${API}${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  const options = { method, headers: { Accept: "application/json", ...headers }, credentials: "same-origin", keepalive };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = type;
  }
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new OfflineError();
  }
  const text = response.status === 204 ? "" : await response.text();
  let content = null;
  try {
    content = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, { detail: `The console answered ${response.status} with something that is no JSON.` });
  }
  if (!response.ok) throw new ApiError(response.status, content || {});
  return content;
}

export const getJson = (path, query) => call("GET", path, { query });
export const at = (...parts) => parts.map((part) => `/${encodeURIComponent(part)}`).join("");
