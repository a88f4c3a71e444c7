// Conversations and projects: what they cost and took, and one conversation as a plot of its requests.
import { get } from "../api.js";
import { conversationPlot } from "../conversation_plot.js";
import { costText } from "../count_words.js";
import { h, keyed, replace } from "../dom.js";
import { agent, clock, compact, isoDay, seconds, whole } from "../format.js";
import { t } from "../i18n.js";
import { journalReader, noFilters } from "../journal.js";
import { openRequest, requestHead, requestRow } from "../request_rows.js";
import { badge, button, emptyNote, errorNote, loadInto, loadingNote, segments } from "../ui.js";
import { shareText } from "../upstream_numbers.js";

/** @typedef {{ period: string, project: string }} Chosen */

const ADDRESS = "#/sessions";
/** @type {Record<string, number>} */
const PERIODS = { today: 0, week: 6, month: 29 };
const MOST_REQUESTS = 1000;
const PLOTTED = 200;

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} given
 * @returns {Leave}
 */
export function mount(root, given) {
  /** @type {Chosen} */
  const chosen = { period: "week", project: given.project ?? "" };
  const content = h("div");
  replace(root, content);
  /** @type {() => void} */
  let end = () => {};
  /** @param {Record<string, string>} wanted */
  const again = (wanted) => {
    end();
    end = () => {};
    if (wanted.session) end = one(content, wanted.session);
    else {
      chosen.project = wanted.project ?? "";
      overview(content, chosen);
    }
  };
  again(given);
  /** @type {Leave} */
  const leave = () => end();
  leave.again = again;
  return leave;
}

/**
 * @param {HTMLElement} root
 * @param {Chosen} chosen
 */
function overview(root, chosen) {
  const body = h("div.panel");
  /** @type {() => Promise<Conversations>} */
  const fetchThem = () =>
    get("/api/conversations", { from: isoDay(PERIODS[chosen.period]), to: isoDay(), project: chosen.project });
  const load = () => loadInto(body, fetchThem, (found) => lists(found, chosen));
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("h1", {}, t("nav.sessions")),
        segments(
          t("stats.period"),
          Object.keys(PERIODS).map((period) => [period, t(`stats.period-${period}`)]),
          chosen.period,
          (period) => {
            chosen.period = period;
            load();
          },
        ),
      ),
      body,
    ),
  );
  load();
}

/**
 * @param {Conversations} found
 * @param {Chosen} chosen
 */
function lists(found, chosen) {
  if (!found.projects.length) return h("section.card", {}, emptyNote(t("sessions.none")));
  return [
    h(
      "section.card",
      { "aria-label": t("sessions.projects") },
      h("header", {}, h("h2", {}, t("sessions.projects")), countNote(found.projects.length, found.project_count)),
      sumsTable(
        t("sessions.project"),
        found.projects.map((project) => ({
          sums: project,
          name: projectLink(project.project),
          under: t("sessions.count", { count: project.conversations }),
        })),
      ),
    ),
    h(
      "section.card",
      { "aria-label": t("sessions.conversations") },
      h(
        "header",
        {},
        h("h2", {}, t("sessions.conversations")),
        chosen.project ? h("span.row", {}, badge(chosen.project), h("a", { href: ADDRESS }, t("sessions.all"))) : null,
        countNote(found.conversations.length, found.count),
      ),
      found.conversations.length
        ? sumsTable(
            t("sessions.conversation"),
            found.conversations.map((talk) => ({
              sums: talk,
              name: h("a", { href: `${ADDRESS}?session=${encodeURIComponent(talk.session)}` }, titleOf(talk)),
              under: [agent(talk.agent), talk.model, talk.session.slice(0, 8)].filter(Boolean).join(" · "),
            })),
          )
        : emptyNote(t("sessions.none")),
    ),
  ];
}

/** @param {number} shown @param {number} count */
const countNote = (shown, count) =>
  h(
    "span.muted",
    {},
    shown < count ? t("sessions.shown-of", { shown: whole(shown), total: whole(count) }) : whole(count),
  );

/** @param {string} project */
const projectLink = (project) =>
  project
    ? h("a", { href: `${ADDRESS}?project=${encodeURIComponent(project)}`, title: project }, project)
    : h("span.muted", {}, t("sessions.no-project"));

/** @param {Conversation} talk */
const titleOf = (talk) =>
  talk.began ? [lastPart(talk.project), clock(talk.ended)].filter(Boolean).join(" · ") : t("sessions.others");

/** @param {string} path */
const lastPart = (path) => path.split(/[\\/]/).filter(Boolean).at(-1) ?? "";

/** @type {[string, (sums: TalkSums) => string][]} */
const COLUMNS = [
  ["stats.cost", (sums) => costText({ ...sums })],
  [
    "stats.requests",
    (sums) => whole(sums.requests) + (sums.errors ? ` (${t("stats.failed", { count: whole(sums.errors) })})` : ""),
  ],
  ["sessions.input", (sums) => compact(sums.input + sums.cache_read + sums.cache_write)],
  ["stats.output", (sums) => compact(sums.output)],
  ["sessions.cache", (sums) => shareText(sums.cache_share)],
  ["sessions.time", (sums) => seconds(sums.seconds)],
];

/**
 * @param {string} head
 * @param {{ sums: TalkSums, name: Child, under: string }[]} rows
 */
function sumsTable(head, rows) {
  return h(
    "div.table-holder",
    {},
    h(
      "table.cards-when-narrow",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, head),
          h("th", { scope: "col" }, t("sessions.upstreams")),
          COLUMNS.map(([label]) =>
            h(
              "th.number",
              { scope: "col", title: t(`${label}-help`) === `${label}-help` ? null : t(`${label}-help`) },
              t(label),
            ),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(({ sums, name, under }) =>
          h(
            "tr",
            {},
            h("td.wrap", {}, name, h("div.faint", {}, under)),
            h("td.wrap.upstreams-of", { dataset: { label: t("sessions.upstreams") } }, upstreamsText(sums)),
            COLUMNS.map(([label, text]) => h("td.number", { dataset: { label: t(label) } }, text(sums))),
          ),
        ),
      ),
    ),
  );
}

/** @param {TalkSums} sums */
const upstreamsText = ({ by_upstream: counts }) => {
  const names = Object.entries(counts);
  if (names.length === 1) return names[0][0];
  return h(
    "span",
    {},
    names.map(([name, count], index) => [
      index ? ", " : "",
      h("span.one", {}, name, h("span.faint", {}, ` ${whole(count)}`)),
    ]),
  );
};

// --- one conversation ---

/**
 * Reads its requests from the journal, draws them, and returns what ends the reading.
 * @param {HTMLElement} root
 * @param {string} session
 */
function one(root, session) {
  const body = h("div", {}, loadingNote());
  const foot = h("div.list-foot.row");
  const list = h("div.requests", { role: "list", "aria-label": t("nav.requests") });
  const plot = h("div.panel");
  const reader = journalReader({ ...noFilters(), session });
  /** @type {JournalRow[]} */
  const rows = [];
  let wanted = PLOTTED;
  /** @param {RequestRow} row */
  const open = (row) => openRequest(row, ADDRESS);
  let drawn = -1;
  const draw = () => {
    if (drawn === rows.length) return; // a column of the plot may have the focus
    drawn = rows.length;
    const inOrder = [...rows].reverse();
    if (rows.length) replace(plot, summary(rows), conversationPlot(inOrder.slice(-PLOTTED), open));
    keyed(
      list,
      rows,
      (row) => row.id,
      (row) => requestRow(row, open),
    );
    if (rows.length) replace(body, requestHead(), list);
    else if (reader.next === null) replace(body, emptyNote(t("sessions.no-requests")));
  };
  const drawFoot = () => {
    const reached = reader.reached === null ? "" : t("requests.back-to", { time: clock(reader.reached) });
    replace(
      foot,
      reader.isBusy
        ? [
            h("span.spinner", { "aria-hidden": "true" }),
            h("span.muted", { role: "status" }, t("requests.searching"), " ", reached),
            button(t("requests.stop"), reader.stop, { kind: "small" }),
          ]
        : reader.next === null
          ? null
          : [button(t("requests.older"), () => ((wanted += PLOTTED), load())), h("span.faint", {}, reached)],
    );
  };
  const load = async () => {
    try {
      await reader.read((found) => {
        rows.push(...found);
        if (found.length) draw();
        return rows.length >= Math.min(wanted, MOST_REQUESTS);
      }, drawFoot);
      draw();
    } catch (error) {
      drawn = -1;
      replace(body, errorNote(error, load));
    }
    drawFoot();
  };
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("h1.wrap", {}, t("sessions.conversation"), " ", h("span.muted.mono", {}, session)),
        h(
          "div.row",
          {},
          h("a.button", { href: ADDRESS }, t("sessions.all")),
          h("a.button", { href: `#/requests?session=${encodeURIComponent(session)}` }, t("nav.requests")),
        ),
      ),
      plot,
      h("section.card", { "aria-label": t("nav.requests") }, body, foot),
    ),
  );
  load();
  return () => reader.stop();
}

/** @param {JournalRow[]} rows newest first */
function summary(rows) {
  const [newest, oldest] = [rows[0], rows[rows.length - 1]];
  const priced = rows.filter((row) => row.cost !== null);
  const usages = rows.flatMap((row) => (row.usage ? [row.usage] : []));
  /** @param {(usage: Usage) => number} read */
  const sum = (read) => usages.reduce((total, usage) => total + read(usage), 0);
  const read = sum((usage) => usage.cache_read);
  const input = sum((usage) => usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h);
  const failed = rows.filter((row) => row.outcome === "failed").length;
  const cost = priced.length ? priced.reduce((total, row) => total + (row.cost ?? 0), 0) : null;
  const unpriced = rows.filter((row) => row.cost === null && !row.local && row.usage).length;
  const cells = [
    [t("stats.cost"), costText({ cost, unpriced }), ""],
    [t("stats.requests"), whole(rows.length), failed ? t("stats.failed", { count: whole(failed) }) : ""],
    [t("sessions.input"), compact(input), ""],
    [t("stats.output"), compact(sum((usage) => usage.output)), ""],
    [t("sessions.cache"), shareText(input ? read / input : null), ""],
    [
      t("sessions.time"),
      seconds(rows.reduce((total, row) => total + (row.duration ?? 0), 0)),
      `${clock(oldest.at)} – ${clock(newest.at + (newest.duration ?? 0))}`,
    ],
  ];
  return h(
    "section.card",
    { "aria-label": t("stats.totals") },
    newest.project ? h("header", {}, h("h2.wrap", {}, newest.project)) : null,
    h(
      "dl.numbers.six",
      {},
      cells.map(([name, value, under]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, value, under ? h("div.under.wrap", {}, under) : null)),
      ),
    ),
  );
}
