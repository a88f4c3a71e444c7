// The settings file as the API returns it, and changes to it that carry the revision they are based on.
import { ApiError, get, post } from "./api.js";
import { live, subscribe } from "./live.js";

/** @type {Set<(config: Config) => void>} */
const listeners = new Set();
/** @type {Config | null} */
let known = null;
/** @type {Promise<Config> | null} */
let loading = null;

/**
 * Calls the listener with the file now and whenever it changes; returns a function that unsubscribes.
 * @param {(config: Config) => void} listener
 * @param {(error: unknown) => void} onError
 */
export function onConfig(listener, onError) {
  listeners.add(listener);
  if (known) listener(known);
  else reload().catch(onError);
  return () => listeners.delete(listener);
}

export async function reload() {
  loading ??= get("/api/configs").finally(() => (loading = null));
  const config = await loading;
  take(config);
  return config;
}

export const config = () => known;

/** The file, also for a click that comes before it was first fetched. */
export const loaded = async () => known ?? (await reload());

/**
 * A change of the file. On a conflict the newer file is fetched before the error goes on to the caller.
 * @param {string} path
 * @param {Record<string, unknown>} body
 * @returns {Promise<any>}
 */
export async function save(path, body) {
  try {
    const answer = await post(path, { ...body, revision: body.revision ?? known?.revision });
    await reload();
    return answer;
  } catch (error) {
    if (error instanceof ApiError && [404, 409].includes(error.status)) await reload().catch(() => null);
    throw error;
  }
}

export function followRevision() {
  return subscribe("state", (state) => {
    if (known && state.revision !== known.revision) reload().catch(() => null);
  });
}

/** @param {Config} config */
function take(config) {
  known = config;
  for (const listener of listeners) listener(config);
}

export const upstreamNames = () => (known?.upstreams ?? live.state?.upstreams ?? []).map((upstream) => upstream.name);
