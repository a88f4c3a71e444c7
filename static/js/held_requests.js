// The requests that are held because all upstreams are failing: why, for how long, and when the next try is.
import { post } from "./api.js";
import { byId, h, keyed } from "./dom.js";
import { agent, clock, stopwatch } from "./format.js";
import { said, t } from "./i18n.js";
import { refresh } from "./live.js";
import { actionButton, dot, protocolName } from "./ui.js";

/**
 * Updates the times of a row.
 * @typedef {(now: Time) => void} Counter
 */

/**
 * The counter of each row.
 * @type {WeakMap<Element, Counter>}
 */
const counters = new WeakMap();
const SHOWN = 6;
const TICK_MILLISECONDS = 1000;
/** A shorter hold shows the end of its time to the second. */
const SHORT_SECONDS = 120;

/** A section for the overview, hidden while nothing is held: { element, announcement, draw(held, now), end() }. */
export function heldSection() {
  const list = h("ul.lines");
  const more = h("p.muted.more", { hidden: true });
  const element = h(
    "section.card",
    { "aria-label": t("held.title"), hidden: true },
    h(
      "header",
      {},
      h("div", {}, h("h2", {}, t("held.title")), h("p.muted", {}, t("held.help"))),
      actionButton(t("held.try-all"), () => act("/api/held/try"), { kind: "small", key: "try-all" }),
    ),
    list,
    more,
  );
  const announcement = h("p.off-screen", { role: "status", "aria-live": "polite" });
  let aheadBy = 0; // the daemon may run on a machine with another clock
  const count = () => [...list.children].forEach((row) => counters.get(row)?.(Date.now() / 1000 + aheadBy));
  const timer = setInterval(count, TICK_MILLISECONDS);

  /** @param {HeldRequest[]} held @param {Time} now */
  const draw = (held, now) => {
    aheadBy = now - Date.now() / 1000;
    const hadFocus = element.contains(document.activeElement);
    keyed(list, held.slice(0, SHOWN), (one) => one.id, heldRow);
    count();
    more.hidden = held.length <= SHOWN;
    more.textContent = t("overview.more", { count: held.length - SHOWN });
    announce(announcement, held.length);
    element.hidden = !held.length;
    if (hadFocus && (element.hidden || document.activeElement === document.body)) focusNear(list);
  };
  return { element, announcement, draw, end: () => clearInterval(timer) };
}

/**
 * @param {HTMLElement} element
 * @param {number} count
 */
function announce(element, count) {
  const text = count ? t("held.count", { count }) : element.textContent ? t("held.none") : "";
  write(element, text);
}

/**
 * The row with the focus has gone: the focus moves to the next one, or to the start of the page.
 * @param {HTMLElement} list
 */
function focusNear(list) {
  (list.querySelector("button") ?? byId("main")).focus();
}

/** @param {HeldRequest} held */
function heldRow(held) {
  const age = h("span");
  const next = h("span");
  const row = h(
    "li.held",
    {},
    dot("running"),
    h(
      "div.grow.stack",
      {},
      h(
        "div",
        {},
        h(
          "div.row",
          {},
          h(
            "a.cut",
            {
              href: `#/requests?id=${encodeURIComponent(held.id)}`,
              title: held.model,
              dataset: { key: `held-${held.id}` },
            },
            held.model || "–",
          ),
          h("span.muted.cut", { title: held.agent }, clientOf(held)),
        ),
        h(
          "div.row.muted",
          {},
          age,
          next,
          h("span", {}, t("held.until", { time: clock(held.until, held.until - held.since < SHORT_SECONDS) })),
        ),
      ),
      h("ul.skips", {}, held.upstreams.map(waitedFor)),
    ),
    h(
      "div.row.tight",
      {},
      actionButton(t("held.try"), () => tryNow(held), { kind: "small", key: `try-${held.id}` }),
      actionButton(t("held.give-up"), () => act("/api/held/give-up", { id: held.id }), {
        kind: "small bad",
        key: `give-up-${held.id}`,
      }),
    ),
  );
  counters.set(row, (now) => {
    write(age, t("held.for", { time: stopwatch(now - held.since) }));
    write(next, nextTry(held, now));
  });
  return row;
}

/** @param {HeldRequest} held */
const clientOf = (held) =>
  [held.client, agent(held.agent), protocolName(held.protocol), held.session].filter(Boolean).join(" · ");

/** @param {HeldRequest["upstreams"][number]} waited */
function waitedFor({ upstream, model, reason, tries }) {
  const count = tries ? ` (${t("held.tries", { count: tries })})` : "";
  return h(
    "li",
    {},
    h("span.cut", { title: `${upstream} · ${model}` }, upstream),
    h("span.why", {}, `— ${said(reason)}${count}`),
  );
}

/**
 * @param {HeldRequest} held
 * @param {Time} now
 */
function nextTry({ queued, next_try: next }, now) {
  if (queued) return t("held.queued");
  const left = next === null ? 0 : Math.ceil(next - now);
  if (left <= 0) return t("held.trying");
  return t("held.next", { time: left < 60 ? `${left} s` : stopwatch(left) });
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HeldRequest} held */
async function tryNow(held) {
  const names = new Set(held.upstreams.map((one) => one.upstream));
  await Promise.all([...names].map((upstream) => post("/api/held/try", { upstream })));
  await refresh();
}

/**
 * @param {string} path
 * @param {object} [body]
 */
async function act(path, body) {
  await post(path, body);
  await refresh();
}
