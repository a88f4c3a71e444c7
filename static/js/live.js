// The live state of the daemon: the overview and the recent requests.
import { follow, get } from "./api.js";

/** @typedef {{ state: State, requests: RequestRow[], link: boolean }} Live what there is to subscribe to */

const KEPT_REQUESTS = 500;
/** @type {{ [Kind in keyof Live]: Set<(value: Live[Kind]) => void> }} */
const listeners = { state: new Set(), requests: new Set(), link: new Set() };

/**
 * Rows that arrive while the list is being loaded and may be newer than it; null at other times.
 * @type {RequestRow[] | null}
 */
let receivedMeanwhile = null;

/** @type {{ state: State | null, requests: RequestRow[] | null, linked: boolean | null }} */
export const live = { state: null, requests: null, linked: null };

/**
 * Calls the listener with the current value and on every change; returns a function that unsubscribes.
 * @template {keyof Live} Kind
 * @param {Kind} kind
 * @param {(value: Live[Kind]) => void} listener
 */
export function subscribe(kind, listener) {
  listeners[kind].add(listener);
  const known = /** @type {Live[Kind] | null} */ (
    { state: live.state, requests: live.requests, link: live.linked }[kind]
  );
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

/**
 * @template {keyof Live} Kind
 * @param {Kind} kind
 * @param {Live[Kind]} value
 */
function notify(kind, value) {
  for (const listener of listeners[kind]) listener(value);
}

/** @param {State} state */
function takeState(state) {
  const restarted = live.state && live.state.boot !== state.boot;
  live.state = state;
  notify("state", state);
  if (restarted) loadRequests();
}

/** @param {boolean} linked */
function takeLink(linked) {
  // also the first time: no event brought what ended between the first answer and this connection
  if (linked) loadRequests();
  live.linked = linked;
  notify("link", linked);
}

async function loadRequests() {
  /** @type {RequestRow[]} */
  const received = [];
  receivedMeanwhile = received;
  try {
    const { requests } = await get("/api/requests");
    if (receivedMeanwhile !== received) return; // a later load has started
    live.requests = received.reduce(withRow, requests);
    notify("requests", live.requests);
  } catch {
    // the next connection loads them again
  } finally {
    if (receivedMeanwhile === received) receivedMeanwhile = null;
  }
}

/** @param {RequestRow} row */
function takeRequest(row) {
  receivedMeanwhile?.push(row);
  if (live.requests === null) return;
  live.requests = withRow(live.requests, row);
  notify("requests", live.requests);
}

/**
 * The rows with this one in its place, or first if it is new.
 * @param {RequestRow[]} rows
 * @param {RequestRow} row
 */
function withRow(rows, row) {
  const isKnown = rows.some((known) => known.id === row.id);
  if (isKnown) return rows.map((known) => (known.id === row.id ? row : known));
  return [row, ...rows].slice(0, KEPT_REQUESTS);
}
