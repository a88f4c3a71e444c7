// The requests: those in memory live on top, the older ones from the journal; filter, open, export.
import { query } from "../api.js";
import { captureControl } from "../capture_control.js";
import { debounced, h, keyed, replace, section } from "../dom.js";
import { clock } from "../format.js";
import { t } from "../i18n.js";
import { fits, journalReader, noFilters, programOf } from "../journal.js";
import { live, subscribe } from "../live.js";
import { openRequest, requestHead, requestRow } from "../request_rows.js";
import { OUTCOMES } from "../request_words.js";
import { button, choices, emptyNote, errorNote, loadingNote, messageOf, note, protocolName, select } from "../ui.js";

/** @typedef {import("../journal.js").RequestFilters} RequestFilters */
/** @typedef {{ reached: number | null, isBusy: boolean, isAtEnd: boolean }} Progress of reading the journal */

const ADDRESS = "#/requests";
const PROTOCOLS = ["messages", "responses", "chat"];
const PAGE = 100;
const TYPING_MILLISECONDS = 250;
/** @type {Record<string, number>} */
const PERIODS = { hour: 3600, day: 86400, week: 7 * 86400, month: 30 * 86400 };
/** @type {("model" | "client" | "session" | "project")[]} */
const MORE = ["model", "client", "session", "project"];

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} given
 * @returns {Leave}
 */
export function mount(root, given) {
  const filters = noFilters();
  const shown = olderRequests(filters, () => soon());
  const list = h("div.requests", { role: "list", "aria-label": t("nav.requests") });
  const body = h("div", {}, loadingNote());
  const foot = h("div.list-foot.row");
  const drawFoot = section(foot, shown.foot);
  const count = h("span.muted", { "aria-live": "polite" });
  const capture = captureControl();
  const controls = h("div.stack");
  let waiting = false;
  let names = "";
  /** @type {string[]} */
  let captured = [];

  const draw = () => {
    waiting = false;
    if (!live.requests) return;
    const rows = shown.rows(live.requests);
    count.textContent = t("requests.count", { count: rows.length });
    const isFiltered = JSON.stringify(filters) !== JSON.stringify(noFilters());
    if (rows.length) {
      if (!list.isConnected) replace(body, requestHead(), list);
    } else if (shown.isAtEnd()) replace(body, emptyNote(t(isFiltered ? "requests.no-match" : "requests.none-yet")));
    else replace(body);
    keyed(
      list,
      rows.map((row) => ({ row, isCaptured: captured.includes(row.id) })),
      ({ row }) => row.id,
      ({ row, isCaptured }) => requestRow(row, (one) => openRequest(one, ADDRESS), isCaptured),
    );
    drawFoot(shown.progress());
  };
  // many events at once are one redraw
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  };
  const changed = debounced(() => shown.restart(), TYPING_MILLISECONDS);
  const apply = () => {
    soon();
    changed();
  };
  const drawFilters = () => replace(controls, filterControls(filters, apply, drawFilters));
  /** @param {State} state */
  const drawControls = (state) => {
    const known = JSON.stringify(state.upstreams.map((one) => one.name));
    if (known !== names) drawFilters();
    names = known;
    capture.draw(state.capture);
    if (JSON.stringify(state.capture.requests) !== JSON.stringify(captured)) {
      captured = state.capture.requests;
      soon();
    }
  };

  /** @param {Record<string, string>} wanted */
  const take = (wanted) => {
    const names = /** @type {const} */ (["text", "upstream", "outcome", "model", "client", "session", "project"]);
    Object.assign(filters, noFilters());
    for (const name of names) filters[name] = wanted[name] ?? "";
    drawFilters();
    apply();
  };
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("h1", {}, t("nav.requests")),
        h("div.row", {}, count, exportLinks(filters), capture.choice),
      ),
      capture.status,
      controls,
      h("section.card", { "aria-label": t("nav.requests") }, body, foot),
    ),
  );
  take(given);
  const ends = [
    subscribe("requests", (rows) => {
      shown.keep(rows);
      soon();
    }),
    subscribe("state", drawControls),
    subscribe("link", (linked) => linked === false && !live.requests && replace(body, errorNote(new Error("offline")))),
  ];
  /** @param {Record<string, string>} wanted */
  const again = (wanted) => (wanted.id ? openRequest({ id: wanted.id, place: wanted.place }, ADDRESS) : take(wanted));
  if (given.id) again(given);
  /** @type {Leave} */
  const leave = () => {
    shown.end();
    ends.forEach((end) => end());
  };
  leave.again = again;
  return leave;
}

/**
 * The requests that the list shows below those in memory.
 * @param {RequestFilters} filters
 * @param {() => void} changed
 */
function olderRequests(filters, changed) {
  /** @type {Map<string, RequestRow>} */
  let older = new Map();
  /** @type {RequestRow[]} */
  let before = [];
  let reader = journalReader({ ...filters });

  /** @param {RequestRow[]} current */
  const rows = (current) => {
    const ids = new Set(current.map((row) => row.id));
    return [...current, ...[...older.values()].filter((row) => !ids.has(row.id))].filter((row) => fits(row, filters));
  };
  /** @param {number} wanted how many rows are enough */
  const fill = async (wanted) => {
    const own = reader;
    try {
      await own.read(
        (found) => {
          if (own !== reader) return true;
          for (const row of found) older.set(row.id, row);
          changed();
          return rows(live.requests ?? []).length >= wanted;
        },
        () => own === reader && changed(),
      );
    } catch (error) {
      if (own === reader) note(messageOf(error), { kind: "bad" });
    }
    if (own === reader) changed();
  };
  return {
    rows,
    isAtEnd: () => reader.next === null,
    end: () => reader.stop(),
    restart: () => {
      reader.stop();
      reader = journalReader({ ...filters });
      older = new Map();
      const enough = rows(live.requests ?? []).length >= PAGE;
      if (!enough) fill(PAGE);
    },
    /**
     * What has left the memory since the last time stays in the list.
     * @param {RequestRow[]} current
     */
    keep: (current) => {
      const ids = new Set(current.map((row) => row.id));
      const gone = before.filter((row) => !ids.has(row.id) && row.outcome !== "running");
      if (gone.length) older = new Map([...gone.map((row) => /** @type {const} */ ([row.id, row])), ...older]);
      before = current;
    },
    /** @returns {Progress} */
    progress: () => ({ reached: reader.reached, isBusy: reader.isBusy, isAtEnd: reader.next === null }),
    /** @param {Progress} progress @returns {Child} */
    foot: (progress) => {
      const reached = progress.reached === null ? "" : t("requests.back-to", { time: clock(progress.reached) });
      if (progress.isBusy) {
        return [
          h("span.spinner", { "aria-hidden": "true" }),
          h("span.muted", { role: "status" }, t("requests.searching"), " ", reached),
          button(t("requests.stop"), () => reader.stop(), { kind: "small", key: "stop" }),
        ];
      }
      if (progress.isAtEnd) return h("span.faint", {}, t("requests.no-older"));
      const more = () => fill(rows(live.requests ?? []).length + PAGE);
      return [button(t("requests.older"), more, { key: "older" }), h("span.faint", {}, reached)];
    },
  };
}

/** @param {RequestFilters} filters */
function exportLinks(filters) {
  return ["csv", "jsonl"].map((kind) => {
    const href = () => `/api/journal.${kind}${query({ ...filters })}`;
    /** @type {HTMLAnchorElement} */
    const link = h(
      "a.button.small",
      {
        download: "",
        href: href(),
        title: t("requests.export-help"),
        onclick: () => (link.href = href()),
      },
      t(`requests.export-${kind}`),
    );
    return link;
  });
}

// --- filters ---

/**
 * @param {RequestFilters} filters
 * @param {() => void} apply
 * @param {() => void} redraw
 */
function filterControls(filters, apply, redraw) {
  /** @param {Exclude<keyof RequestFilters, "since" | "until">} name @param {string} value */
  const set = (name, value) => {
    filters[name] = value;
    apply();
  };
  const upstreams = (live.state?.upstreams ?? []).map((one) => one.name);
  if (filters.upstream && !upstreams.includes(filters.upstream)) upstreams.push(filters.upstream);
  /** @type {HTMLInputElement} */
  const search = h("input", {
    type: "search",
    value: filters.text,
    placeholder: t("requests.search"),
    "aria-label": t("requests.search"),
    dataset: { key: "search" },
    oninput: () => set("text", search.value.trim()),
  });
  const more = MORE.map((name) => moreFilter(name, filters, (value) => set(name, value)));
  const isOpen = MORE.some((name) => filters[name]);
  return [
    h(
      "div.filters",
      { role: "search" },
      search,
      select(
        [["", t("requests.all-clients")], ...choices(PROTOCOLS, protocolName)],
        filters.protocol,
        (value) => set("protocol", value),
        { "aria-label": t("requests.column-client") },
      ),
      select(
        [
          ["", t("requests.all-upstreams")],
          ...choices(upstreams, (name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name)),
        ],
        filters.upstream,
        (value) => set("upstream", value),
        { "aria-label": t("requests.column-upstream") },
      ),
      select(
        [["", t("requests.all-outcomes")], ...choices(OUTCOMES, (name) => t(`outcome.${name}`))],
        filters.outcome,
        (value) => set("outcome", value),
        { "aria-label": t("requests.column-outcome") },
      ),
      periodControl(filters, apply),
    ),
    h(
      "details.more-filters",
      { open: isOpen },
      h("summary", {}, t("requests.more-filters")),
      h(
        "div.filters",
        {},
        more,
        button(
          t("requests.clear-filters"),
          () => {
            Object.assign(filters, noFilters());
            redraw();
            apply();
          },
          { kind: "small" },
        ),
      ),
    ),
  ];
}

/**
 * @param {"model" | "client" | "session" | "project"} name
 * @param {RequestFilters} filters
 * @param {(value: string) => void} set
 */
function moreFilter(name, filters, set) {
  /** @param {RequestRow} row */
  const read = (row) => (name === "client" ? [row.client, programOf(row)] : [row[name]]);
  const known = [...new Set((live.requests ?? []).flatMap(read))].filter(Boolean).slice(0, 50);
  const id = `filter-${name}`;
  /** @type {HTMLInputElement} */
  const input = h("input", {
    value: filters[name],
    list: id,
    autocomplete: "off",
    placeholder: t(`requests.filter-${name}`),
    "aria-label": t(`requests.filter-${name}`),
    oninput: () => set(input.value.trim()),
  });
  return [
    input,
    h(
      "datalist",
      { id },
      known.map((value) => h("option", { value })),
    ),
  ];
}

/**
 * The last hours or days, or a range of days.
 * @param {RequestFilters} filters
 * @param {() => void} apply
 */
function periodControl(filters, apply) {
  const from = h("input", { type: "datetime-local", "aria-label": t("requests.since") });
  const to = h("input", { type: "datetime-local", "aria-label": t("requests.until") });
  const range = h("span.row.tight.range", { hidden: true }, from, h("span.muted", {}, "–"), to);
  const take = () => {
    filters.since = from.value ? new Date(from.value).getTime() / 1000 : null;
    filters.until = to.value ? new Date(to.value).getTime() / 1000 : null;
    apply();
  };
  for (const input of [from, to]) input.addEventListener("change", take);
  const names = ["", ...Object.keys(PERIODS), "range"];
  const chosen = select(
    names.map((name) => [name, t(`requests.period-${name || "any"}`)]),
    "",
    (name) => {
      range.hidden = name !== "range";
      filters.until = null;
      filters.since = PERIODS[name] ? Math.floor(Date.now() / 1000) - PERIODS[name] : null;
      if (name === "range") take();
      else apply();
    },
    { "aria-label": t("requests.period") },
  );
  return [chosen, range];
}
