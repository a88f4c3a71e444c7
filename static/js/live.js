// The live state of the daemon: the overview and the recent requests.
import { follow, get } from "./api.js";

const KEPT_REQUESTS = 500;
const listeners = { state: new Set(), requests: new Set(), link: new Set() };

/** Rows that arrive while the list is being loaded and may be newer than it; null at other times. */
let receivedMeanwhile = null;

export const live = { state: null, requests: null, linked: null, error: null };

/** Calls the listener with the current value and on every change; returns a function that unsubscribes. */
export function subscribe(kind, listener) {
  listeners[kind].add(listener);
  const known = { state: live.state, requests: live.requests, link: live.linked }[kind];
  if (known !== null) listener(known);
  return () => listeners[kind].delete(listener);
}

export function startLive() {
  loadRequests();
  follow("/api/events", { state: takeState, request: takeRequest, reset: loadRequests }, takeLink);
}

/** Loads the state after an action, before the next event brings it. */
export async function refresh() {
  takeState(await get("/api/state"));
}

function notify(kind, value) {
  for (const listener of listeners[kind]) listener(value);
}

function takeState(state) {
  const restarted = live.state && live.state.boot !== state.boot;
  live.state = state;
  notify("state", state);
  if (restarted) loadRequests();
}

function takeLink(linked) {
  // also the first time: no event brought what ended between the first answer and this connection
  if (linked) loadRequests();
  live.linked = linked;
  notify("link", linked);
}

async function loadRequests() {
  const received = [];
  receivedMeanwhile = received;
  try {
    const { requests } = await get("/api/requests");
    if (receivedMeanwhile !== received) return; // a later load has started
    live.requests = requests;
    received.forEach(put);
    notify("requests", live.requests);
  } catch {
    // the next connection loads them again
  } finally {
    if (receivedMeanwhile === received) receivedMeanwhile = null;
  }
}

function takeRequest(row) {
  receivedMeanwhile?.push(row);
  if (live.requests === null) return;
  put(row);
  notify("requests", live.requests);
}

function put(row) {
  const index = live.requests.findIndex((known) => known.id === row.id);
  if (index >= 0) live.requests[index] = row;
  else live.requests.unshift(row);
  if (live.requests.length > KEPT_REQUESTS) live.requests.length = KEPT_REQUESTS;
}
