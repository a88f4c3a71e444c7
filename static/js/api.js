// The only module that calls the daemon.

export class ApiError extends Error {
  constructor(message, status, { field = "", faults = [] } = {}) {
    super(message);
    this.status = status;
    this.field = field;
    this.faults = faults;
  }
}

export async function get(path, params) {
  return call(path + query(params), {});
}

export async function post(path, body = {}) {
  return call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export async function staticJson(path) {
  return (await fetch(path)).json();
}

export function query(params) {
  const given = Object.entries(params ?? {}).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new ApiError("offline", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  const error = answer?.error;
  throw new ApiError(error?.message ?? `${response.status} ${response.statusText}`, response.status, error);
}

const RETRY_MILLISECONDS = 2000;

/**
 * Calls `handlers[event](data)` for each live event and `onLink(true | false)` when the connection comes or goes.
 * A hidden page closes its connection: a browser allows only six for one daemon, and six tabs would block a seventh.
 */
export function follow(path, handlers, onLink) {
  let source;
  let timer;
  const open = () => {
    if (document.hidden) return;
    source = new EventSource(path);
    source.onopen = () => onLink(true);
    source.onerror = () => {
      onLink(false);
      // the browser does not reconnect after an answer that is no event stream
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MILLISECONDS);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(event.data ? JSON.parse(event.data) : null));
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
