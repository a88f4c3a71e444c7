// What the daemon is doing, as it tells it: the overview and the last requests.
import { follow, get } from "./api.js";

const KEPT_REQUESTS = 500;
const listeners = { state: new Set(), requests: new Set(), link: new Set() };

/** Rows told while the list is being loaded, which may be older than they are; null at other times. */
let toldMeanwhile = null;

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
  follow("/api/events", { state: takeState, request: takeRequest, reset: loadRequests }, takeLink);
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
  // also the first time: what ended between the first answer and this link was told to nobody
  if (linked) loadRequests();
  live.linked = linked;
  tell("link", linked);
}

async function loadRequests() {
  const told = [];
  toldMeanwhile = told;
  try {
    const { requests } = await get("/api/requests");
    if (toldMeanwhile !== told) return; // a later load is on its way
    live.requests = requests;
    told.forEach(put);
    tell("requests", live.requests);
  } catch {
    // the link will come back and ask again
  } finally {
    if (toldMeanwhile === told) toldMeanwhile = null;
  }
}

function takeRequest(row) {
  toldMeanwhile?.push(row);
  if (live.requests === null) return;
  put(row);
  tell("requests", live.requests);
}

function put(row) {
  const index = live.requests.findIndex((known) => known.id === row.id);
  if (index >= 0) live.requests[index] = row;
  else live.requests.unshift(row);
  if (live.requests.length > KEPT_REQUESTS) live.requests.length = KEPT_REQUESTS;
}
