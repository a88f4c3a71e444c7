// The requests of the journal, page by page, with the filters of the list.
import { get } from "./api.js";

/**
 * What the list of requests is limited to; "" and null mean all. Times are those of the end of a request.
 * @typedef {object} RequestFilters
 * @property {string} text
 * @property {string} protocol
 * @property {string} upstream
 * @property {string} outcome
 * @property {string} model
 * @property {string} client
 * @property {string} session
 * @property {string} project
 * @property {number | null} since
 * @property {number | null} until
 */

/** @returns {RequestFilters} */
export const noFilters = () => ({
  text: "",
  protocol: "",
  upstream: "",
  outcome: "",
  model: "",
  client: "",
  session: "",
  project: "",
  since: null,
  until: null,
});

/**
 * The same decision as that of the daemon, for the requests in memory.
 * @param {RequestRow} row
 * @param {RequestFilters} filters
 */
export function fits(row, filters) {
  const { text, protocol, upstream, outcome, model, client, session, project, since, until } = filters;
  const at = row.at + (row.duration ?? 0);
  const names = [row.model, row.sent, row.upstream, row.agent, row.client, row.session, row.project];
  return (
    (!protocol || row.protocol === protocol) &&
    (!upstream || row.upstream === upstream) &&
    (!outcome || row.outcome === outcome) &&
    (!session || row.session === session) &&
    (!project || row.project === project) &&
    (!model || [row.model, row.sent].some((name) => name.toLowerCase().includes(model.toLowerCase()))) &&
    (!client || row.client === client || programOf(row) === client) &&
    (since === null || at >= since) &&
    (until === null || at < until) &&
    (!text || [...names, row.error ?? "", row.id].join("\n").toLowerCase().includes(text.trim().toLowerCase()))
  );
}

/** @param {RequestRow} row */
export const programOf = (row) => (row.agent ?? "").split(" ")[0].split("/")[0];

/**
 * Reads on where the last page has ended. `next` is null at the end of the journal.
 * @param {RequestFilters} filters
 */
export function journalReader(filters) {
  let isStopped = false;
  /** @type {{ next: string | null, reached: Time | null, isBusy: boolean, read: typeof read, stop: () => void }} */
  const reader = { next: "", reached: null, isBusy: false, read, stop: () => (isStopped = true) };
  /**
   * Calls `take` with each page until it has had enough, and `progress` before each further one.
   * @param {(rows: JournalRow[]) => boolean} take
   * @param {() => void} progress
   */
  async function read(take, progress) {
    if (reader.isBusy) return;
    reader.isBusy = true;
    isStopped = false;
    try {
      while (reader.next !== null && !isStopped) {
        progress();
        /** @type {JournalPage} */
        const page = await get("/api/journal", { ...filters, start: reader.next });
        reader.next = page.next;
        reader.reached = page.reached ?? reader.reached;
        if (take(page.requests)) return;
      }
    } finally {
      reader.isBusy = false;
    }
  }
  return reader;
}
