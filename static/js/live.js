// What the daemon is doing, as it tells it: the overview and the last requests.
import { follow, get } from "./api.js";

const KEPT_REQUESTS = 500;
const listeners = { state: new Set(), requests: new Set(), link: new Set() };

export const live = { state: null, requests: null, linked: null, error: null };

/** Calls back at once with what is known and on every change; returns the function that ends it. */
export function subscribe(kind, listener) {
  listeners[kind].add(listener);
  const known = { state: live.state, requests: live.requests, link: live.linked }[kind];
  if (known !== null) listener(known);
  return () => listeners[kind].delete(listener);
}

export function startLive() {
  loadRequests();
  return follow("/api/events", { state: takeState, request: takeRequest, reset: loadRequests }, takeLink);
}

/** The state again, after something was done that the next event will only tell in a moment. */
export async function refresh() {
  takeState(await get("/api/state"));
}

function tell(kind, value) {
  for (const listener of listeners[kind]) listener(value);
}

function takeState(state) {
  const restarted = live.state && live.state.boot !== state.boot;
  live.state = state;
  tell("state", state);
  if (restarted) loadRequests();
}

function takeLink(linked) {
  if (linked && live.linked === false) loadRequests();
  live.linked = linked;
  tell("link", linked);
}

async function loadRequests() {
  try {
    const { requests } = await get("/api/requests");
    live.requests = requests;
    tell("requests", requests);
  } catch {
    // the link will come back and ask again
  }
}

function takeRequest(row) {
  if (live.requests === null) return;
  const index = live.requests.findIndex((known) => known.id === row.id);
  if (index >= 0) live.requests[index] = row;
  else live.requests.unshift(row);
  if (live.requests.length > KEPT_REQUESTS) live.requests.length = KEPT_REQUESTS;
  tell("requests", live.requests);
}
