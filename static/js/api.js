// The only module that calls the daemon.

/** @typedef {Record<string, string | number | null | undefined>} Parameters */

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status
   * @param {{ field?: string, faults?: Fault[] }} [error]
   */
  constructor(message, status, { field = "", faults = [] } = {}) {
    super(message);
    this.status = status;
    this.field = field;
    this.faults = faults;
  }
}

/**
 * The status and the errors of what a call has thrown.
 * @param {unknown} error
 */
export const problemOf = (error) => (error instanceof ApiError ? error : new ApiError(String(error), 0));

/**
 * @param {string} path
 * @param {Parameters} [params]
 */
export async function get(path, params) {
  return call(path + query(params), {});
}

/**
 * @param {string} path
 * @param {string | object} [body]
 */
export async function post(path, body = {}) {
  return call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/**
 * A text with its whole length in bytes: the answer may be its beginning.
 * @param {string} path
 * @param {Parameters} [params]
 */
export async function text(path, params) {
  const response = await send(path + query(params), {});
  if (!response.ok) throw errorOf(response, await response.json().catch(() => null));
  return { text: await response.text(), bytes: Number(response.headers.get("x-body-bytes")) };
}

/** @param {string} path */
export async function staticJson(path) {
  return (await fetch(path)).json();
}

/**
 * A part of the page that is loaded when it is needed. After an update of its files, the daemon serves none, and says so.
 * @template Part
 * @param {() => Promise<Part>} load
 */
export async function part(load) {
  try {
    return await load();
  } catch (error) {
    const response = await send("/js/api.js", {});
    throw response.ok ? error : errorOf(response, await response.json().catch(() => null));
  }
}

/** @param {Parameters} [params] */
export function query(params) {
  const given = Object.entries(params ?? {}).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<any>} whatever the API answers; the caller gives it its type
 */
async function call(path, options) {
  const response = await send(path, options);
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw errorOf(response, answer);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function send(path, options) {
  try {
    return await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new ApiError("offline", 0);
  }
}

/**
 * @param {Response} response
 * @param {any} answer
 */
function errorOf(response, answer) {
  const error = answer?.error;
  return new ApiError(error?.message ?? `${response.status} ${response.statusText}`, response.status, error);
}

const RETRY_MILLISECONDS = 2000;

/**
 * Calls `handlers[event](data)` for each live event and `onLink(true | false)` when the connection comes or goes.
 * A hidden page closes its connection: a browser allows only six for one daemon, and six tabs would block a seventh.
 * @param {string} path
 * @param {Record<string, (data: any) => unknown>} handlers
 * @param {(isConnected: boolean) => void} onLink
 */
export function follow(path, handlers, onLink) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {number | undefined} */
  let timer;
  const open = () => {
    if (document.hidden) return;
    const opened = new EventSource(path);
    source = opened;
    opened.onopen = () => onLink(true);
    opened.onerror = () => {
      onLink(false);
      // the browser does not reconnect after an answer that is no event stream
      if (opened.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MILLISECONDS);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      opened.addEventListener(name, (event) => handle(event.data ? JSON.parse(event.data) : null));
    }
  };
  const end = () => {
    clearTimeout(timer);
    source?.close();
  };
  document.addEventListener("visibilitychange", () => {
    end();
    open();
  });
  open();
}
