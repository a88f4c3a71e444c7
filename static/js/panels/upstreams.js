// All upstreams in their order: enable, edit, move, test, and the week that shows which one serves when.
import { get, post } from "../api.js";
import { COOLING_DOWN, PROBING, SIMULATE_PATH, simulationOf } from "../api_names.js";
import { weekStrip } from "../chart.js";
import { config, loaded, onConfig, reload, save, upstreamNames } from "../config.js";
import { h, keyed, replace, section } from "../dom.js";
import { clock } from "../format.js";
import { said, t } from "../i18n.js";
import { live, refresh, subscribe } from "../live.js";
import {
  actionButton,
  badge,
  busy,
  button,
  clientName,
  confirm,
  dialog,
  dot,
  emptyNote,
  errorNote,
  icon,
  loadInto,
  loadingNote,
  menu,
  messageOf,
  note,
  protocolName,
  select,
  toggle,
} from "../ui.js";
import { quotaView } from "../quotas.js";
import { editUpstream } from "../upstream_editor.js";
import { testUpstream } from "../upstream_test.js";
import { budgetBars, followNumbers, numbersLine, numbersOf } from "../upstream_numbers.js";
import { findingsOf, followReports, reportView } from "../upstream_report.js";
import { hasCooldown, healthText } from "../upstream_words.js";
import { clientsUsing, undo, useDialog, useNow } from "../use_now.js";

const CLIENTS = ["messages", "responses", "chat"];
/** @type {[string, string][]} */
const OUTAGES = [
  ["0.5", "simulate.30-seconds"],
  ["2", "simulate.2-minutes"],
  ["5", "simulate.5-minutes"],
];
/**
 * @typedef {{
 *   entry: Entry, state: UpstreamState | undefined, movable: boolean, using: ProtocolName[],
 *   reports: UpstreamReport[], numbers: UpstreamNumbers | undefined
 * }} Item a row
 */

/** @type {Record<string, string>} */
const DOTS = { ready: "good", [COOLING_DOWN]: "warn", [PROBING]: "warn", busy: "warn", off: "off" };

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} given
 * @returns {Leave}
 */
export function mount(root, given) {
  const list = h("ul.entries", { "aria-label": t("nav.upstreams") });
  /** @type {HTMLInputElement} */
  const search = h("input", {
    type: "search",
    placeholder: t("upstreams.search"),
    "aria-label": t("upstreams.search"),
    oninput: () => draw(),
  });
  const week = weekCard();
  const body = h("div", {}, loadingNote());
  const outage = h("span");
  const drawOutage = section(outage, (/** @type {boolean} */ isOn) =>
    isOn
      ? actionButton(t("simulate.end"), () => simulate(null, null, 0), { key: "outage" })
      : button(t("simulate.outage"), () => outageDialog(), { key: "outage" }),
  );
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("h1", {}, t("nav.upstreams")),
        h(
          "div.row",
          {},
          search,
          h("a.button", { href: "#/numbers" }, t("numbers.compare")),
          outage,
          button(t("upstreams.add"), () => add(), { kind: "primary", key: "add" }),
        ),
      ),
      week.element,
      h("section.card", { "aria-label": t("nav.upstreams") }, body),
    ),
  );
  let revision = "";
  // a row with an open menu, or one that is being dragged, must not be replaced while it is in use
  const isInUse = () => list.querySelector("[aria-expanded=true], .dragged");
  const draw = () => {
    const known = config();
    if (!known || isInUse()) return;
    const wanted = search.value.trim().toLowerCase();
    const entries = known.upstreams.filter(
      (entry) =>
        !wanted ||
        JSON.stringify([entry.name, entry.base_url, entry.protocol, entry.models, entry.note])
          .toLowerCase()
          .includes(wanted),
    );
    if (!known.upstreams.length)
      replace(
        body,
        emptyNote(
          t("upstreams.none"),
          button(t("upstreams.add"), () => add(), { kind: "primary" }),
        ),
      );
    else if (!entries.length) replace(body, emptyNote(t("upstreams.no-match")));
    else if (!list.isConnected) replace(body, list);
    const states = new Map((live.state?.upstreams ?? []).map((one) => [one.name, one]));
    drawOutage([...states.values()].some((one) => simulationOf(one) !== null));
    const items = entries.map((entry) => ({
      entry,
      state: states.get(entry.name),
      movable: !wanted,
      using: clientsUsing(live.state?.uses, entry.name),
      reports: findingsOf(entry.name),
      numbers: numbersOf(entry.name),
    }));
    keyed(
      list,
      items,
      (item) => item.entry.name,
      (item) => row(item, list),
    );
    if (revision !== known.revision) week.load();
    else week.mark();
    revision = known.revision;
  };
  for (const end of ["menuclose", "dragend"]) list.addEventListener(end, draw);
  const ends = [
    onConfig(draw, (error) =>
      replace(
        body,
        errorNote(error, () => reload().catch(() => null)),
      ),
    ),
    subscribe("state", draw),
    followReports(draw),
    followNumbers(draw),
  ];
  /** @param {Record<string, string>} wanted */
  const again = (wanted) => wanted.edit && edit(wanted.edit);
  again(given);
  /** @type {Leave} */
  const leave = () => ends.forEach((end) => end());
  leave.again = again;
  return leave;
}

// --- a row ---

/**
 * @param {Item} item
 * @param {HTMLElement} list
 */
function row({ entry, state, movable, using, reports, numbers }, list) {
  const name = entry.name;
  const on = entry.enabled !== false;
  /** @type {HTMLElement} */
  const made = h(
    "li.entry",
    { class: on ? "" : "off" },
    movable ? grip(name, list, () => made) : h("span"),
    toggle(
      on,
      t(on ? "upstreams.disable" : "upstreams.enable", { name }),
      (enabled) => save("/api/upstreams/toggle", { name, enabled }),
      `toggle-${name}`,
    ),
    h(
      "div.stack",
      {},
      h(
        "div.row",
        {},
        dot(state?.models?.length && state.state === "ready" ? "warn" : (DOTS[state?.state ?? ""] ?? "off")),
        h(
          "button.link.entry-name",
          { type: "button", dataset: { key: `edit-${name}` }, onclick: () => edit(name), title: t("upstreams.edit") },
          name,
        ),
        badge(protocolName(entry.protocol ?? "messages")),
        roleBadge(entry),
        entry.priority ? badge(t("upstreams.priority-badge", { priority: entry.priority })) : null,
        using.length ? badge(t("use.used"), "accent", using.map((client) => clientName(client)).join(", ")) : null,
        state?.under_way ? badge(t("upstreams.in-progress", { count: state.under_way }), "accent") : null,
      ),
      h("div.mono.muted.cut", { title: entry.url }, entry.url),
      h(
        "div.facts",
        {},
        facts(entry).map((fact) => h("span.cut", { title: fact }, fact)),
      ),
      healthText(state) ? h("div.warn.wrap", {}, healthText(state)) : null,
      quotaView(state),
      numbersLine(numbers),
      budgetBars(numbers?.budget),
      reportView(reports),
      activationText(state) ? h("div.faint.wrap", {}, activationText(state)) : null,
    ),
    h(
      "div.row.tight.actions",
      {},
      on ? useButton(name, using) : null,
      actionButton(t("upstreams.test"), () => testUpstream({ name, protocol: entry.protocol, models: entry.models }), {
        kind: "small",
        key: `test-${name}`,
      }),
      button(t("upstreams.edit"), () => edit(name), { kind: "small", key: `edit-button-${name}` }),
      menu(t("upstreams.more", { name }), actions(entry, state), `menu-${name}`),
    ),
  );
  return made;
}

/**
 * @param {string} name
 * @param {ProtocolName[]} using
 */
const useButton = (name, using) =>
  using.length
    ? actionButton(t("use.undo"), () => undo(using), {
        kind: "small",
        key: `use-${name}`,
      })
    : actionButton(t("use.now"), () => useNow(name), { kind: "small", key: `use-${name}`, title: t("use.now-help") });

/** @param {Entry} entry */
const roleBadge = (entry) =>
  entry.role && entry.role !== "primary" ? badge(t(`role.${entry.role}`), entry.role === "rescue" ? "warn" : "") : null;

/** @param {Entry} entry */
function facts(entry) {
  const days =
    entry.weekdays && entry.weekdays.length < 7 ? entry.weekdays.map((day) => t(`day.${day}`)).join(" ") : "";
  const when = [days, entry.hours].filter(Boolean).join(" ");
  const models = entry.models ?? {};
  const names = Array.isArray(models)
    ? models
    : Object.entries(models).map(([from, to]) => (from === to || !to ? from : `${from} → ${to}`));
  const clients =
    entry.clients && entry.clients.length < 3
      ? t("upstreams.only-for", { clients: entry.clients.map((client) => protocolName(client)).join(", ") })
      : "";
  return [
    when || t("upstreams.always"),
    names.length ? names.join(", ") : t("upstreams.all-models"),
    clients,
    entry.keys ? t("upstreams.keys", { count: entry.keys.length }) : keyText(entry.key),
    entry.note,
  ].filter(Boolean);
}

/** @param {StoredKey | undefined} key */
function keyText(key) {
  if (!key || key.kind === "literal") return "";
  return t(`key.${key.kind}`, { name: key.name ?? "" });
}

/** @param {UpstreamState | undefined} state */
function activationText(state) {
  const activation = state?.activation;
  if (!activation) return "";
  const last = activation.last
    ? t(activation.ok ? "upstreams.activated" : "upstreams.activation-failed", {
        time: clock(activation.last),
        detail: said(activation.detail),
      })
    : "";
  return [t("upstreams.activation", { at: activation.at }), last].filter(Boolean).join(" · ");
}

/**
 * @param {Entry} entry
 * @param {UpstreamState | undefined} state
 */
function actions(entry, state) {
  const name = entry.name;
  const names = upstreamNames();
  const at = names.indexOf(name);
  return [
    { label: t("upstreams.edit"), run: () => edit(name) },
    { label: t("upstreams.duplicate"), run: () => duplicate(name) },
    state?.enabled ? { label: t("use.open"), run: () => useDialog(name) } : null,
    at > 0 ? { label: t("upstreams.move-up"), run: () => move(name, names[at - 1]) } : null,
    at < names.length - 1 ? { label: t("upstreams.move-down"), run: () => move(name, names[at + 2] ?? null) } : null,
    state && (hasCooldown(state) || state.missing.length)
      ? { label: t("upstreams.clear"), run: () => clear(name) }
      : null,
    { label: t("upstreams.activate"), run: () => activate(name) },
    simulationOf(state)
      ? { label: t("simulate.end"), run: () => simulate(name, null, 0) }
      : { label: t("simulate.open"), run: () => simulationDialog(name) },
    { label: t("delete"), kind: "bad", run: () => remove(name) },
  ];
}

// --- order: by mouse, by keyboard ---

/**
 * @param {string} name
 * @param {HTMLElement} list
 * @param {() => HTMLElement} rowOf
 */
function grip(name, list, rowOf) {
  return h(
    "button.grip",
    {
      type: "button",
      draggable: "true",
      title: t("upstreams.reorder"),
      "aria-label": t("upstreams.reorder-name", { name }),
      dataset: { key: `grip-${name}` },
      ondragstart: (event) => startDrag(event, name, list, rowOf()),
      onkeydown: (event) => moveByKey(event, name),
    },
    icon("grip"),
  );
}

/**
 * @param {KeyboardEvent & { currentTarget: HTMLElement }} event
 * @param {string} name
 */
async function moveByKey(event, name) {
  const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 2 : 0;
  if (!step) return;
  event.preventDefault();
  const names = upstreamNames();
  const at = names.indexOf(name);
  if (at + step < 0 || (event.key === "ArrowDown" && at === names.length - 1)) return;
  await busy(event.currentTarget, () => move(name, names[at + step] ?? null));
}

/**
 * @param {DragEvent & { currentTarget: HTMLElement }} event
 * @param {string} name
 * @param {HTMLElement} list
 * @param {HTMLElement} row
 */
function startDrag(event, name, list, row) {
  if (!event.dataTransfer) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", name);
  event.dataTransfer.setDragImage(row, 20, 20);
  row.classList.add("dragged");
  /** @type {HTMLElement | null} */
  let target = null;
  let after = false;
  const unmark = () => target?.classList.remove("drop-before", "drop-after");
  /** @param {DragEvent} moved */
  const over = (moved) => {
    const found = moved.target instanceof Element ? moved.target.closest(".entry") : null;
    if (!(found instanceof HTMLElement) || found.parentElement !== list) return;
    moved.preventDefault();
    unmark();
    target = found;
    const box = found.getBoundingClientRect();
    after = moved.clientY > box.top + box.height / 2;
    found.classList.add(after ? "drop-after" : "drop-before");
  };
  /** @param {DragEvent} dropped */
  const drop = (dropped) => {
    if (!target) return;
    dropped.preventDefault();
    const follower = after ? target.nextElementSibling : target;
    const before = follower instanceof HTMLElement ? (follower.dataset.row ?? null) : null;
    if (target !== row && before !== name) move(name, before).catch((error) => note(messageOf(error), { kind: "bad" }));
  };
  const end = () => {
    unmark();
    row.classList.remove("dragged");
    list.removeEventListener("dragover", over);
    list.removeEventListener("drop", drop);
  };
  list.addEventListener("dragover", over);
  list.addEventListener("drop", drop);
  event.currentTarget.addEventListener("dragend", end, { once: true });
}

/**
 * @param {string} name
 * @param {string | null} before
 */
const move = (name, before) => save("/api/upstreams/move", { name, before });

// --- actions ---

async function add() {
  await loaded();
  const saved = await editUpstream(null);
  if (saved) offerTest(saved);
}

/** @param {string} name */
async function edit(name) {
  const { upstreams } = await loaded();
  const entry = upstreams.find((one) => one.name === name);
  if (entry) await editUpstream(entry);
}

/** @param {UpstreamSummary} saved */
function offerTest({ name, protocol, models }) {
  note(t("upstreams.added", { name }), {
    kind: "good",
    action: { label: t("upstreams.test"), run: () => testUpstream({ name, protocol, models }) },
  });
}

/** @param {string} name */
async function duplicate(name) {
  const { name: copy } = await save("/api/upstreams/duplicate", { name });
  note(t("upstreams.duplicated", { name: copy }), {
    kind: "good",
    action: { label: t("upstreams.edit"), run: () => edit(copy) },
  });
}

/** @param {string} name */
async function remove(name) {
  if (!(await confirm(t("upstreams.delete-title"), t("upstreams.delete-question", { name }), t("delete")))) return;
  const { version } = await save("/api/upstreams/delete", { name });
  note(t("upstreams.deleted", { name }), {
    action: { label: t("undo"), run: () => save("/api/upstreams/undelete", { name, version }) },
  });
}

/** @param {string} name */
async function clear(name) {
  await post("/api/upstreams/clear", { name });
  await refresh();
}

/** @param {string} name */
async function activate(name) {
  const { detail } = await post("/api/upstreams/activate", { name });
  note(t("upstreams.activation-sent", { name, detail: said(detail) }), { kind: "good" });
}

/**
 * @param {string | null} upstream
 * @param {string | null} mode
 * @param {number} minutes
 */
async function simulate(upstream, mode, minutes) {
  await post(SIMULATE_PATH, { upstream, mode, minutes });
  await refresh();
}

/** @param {string} name */
function simulationDialog(name) {
  let mode = "down";
  const minutes = h("input", { type: "number", min: "1", max: "60", value: "5" });
  return dialog(
    t("simulate.title"),
    (close) => ({
      body: h(
        "div.stack.loose",
        {},
        h("p.muted.wrap", {}, t("simulate.help", { name })),
        h(
          "label.field",
          {},
          h("span", {}, t("simulate.mode")),
          select(
            ["down", "slow", "cut"].map((key) => [key, t(`simulate.${key}`)]),
            mode,
            (chosen) => (mode = chosen),
          ),
        ),
        h("label.field", {}, h("span", {}, t("simulate.minutes")), minutes),
      ),
      footer: startButtons(close, () => simulate(name, mode, Number(minutes.value))),
    }),
    { kind: "small" },
  );
}

/** Treats all upstreams as down for a while, to show how requests are held. */
function outageDialog() {
  let minutes = "0.5";
  return dialog(
    t("simulate.outage-title"),
    (close) => ({
      body: h(
        "div.stack.loose",
        {},
        h("p.muted.wrap", {}, t("simulate.outage-help")),
        h(
          "label.field",
          {},
          h("span", {}, t("simulate.outage-duration")),
          select(
            OUTAGES.map(([key, words]) => [key, t(words)]),
            minutes,
            (chosen) => (minutes = chosen),
          ),
        ),
      ),
      footer: startButtons(close, () => simulate(null, "down", Number(minutes))),
    }),
    { kind: "small" },
  );
}

/**
 * @param {Close<void>} close
 * @param {() => Promise<void>} start
 */
const startButtons = (close, start) => [
  button(t("cancel"), () => close()),
  actionButton(t("simulate.start"), async () => (await start(), close()), { kind: "primary" }),
];

// --- the week ---

function weekCard() {
  let client = "messages";
  const strip = h("div.inside");
  /** @type {WeekPlan | null} */
  let plan = null;
  let marked = "";
  /** @param {WeekPlan} found */
  const drawPlan = (found) => {
    plan = found;
    marked = JSON.stringify(marksOf(found, client));
    return draw(found, client);
  };
  const load = () => loadInto(strip, () => get("/api/week", { client }), drawPlan);
  /** Draws it again if a cooldown or "use now" has begun or ended. */
  const mark = () => {
    if (plan && JSON.stringify(marksOf(plan, client)) !== marked) replace(strip, drawPlan(plan));
  };
  const element = h(
    "section.card",
    { "aria-label": t("week.title") },
    h(
      "header",
      {},
      h("h2", {}, t("week.title")),
      select(
        CLIENTS.map((name) => [name, clientName(name)]),
        client,
        (chosen) => ((client = chosen), load()),
        { "aria-label": t("explain.client") },
      ),
    ),
    strip,
  );
  return { element, load, mark };
}

/**
 * What is added to the plan now: cooldowns, and the upstream that is used now, in minutes of the plan.
 * @param {WeekPlan} plan
 * @param {string} client
 * @returns {[string, Mark[]][]}
 */
function marksOf(plan, client) {
  const start = new Date(`${plan.start}T00:00`).getTime() / 1000;
  const end = plan.days.length * 1440;
  /** @param {Time | null | undefined} until */
  const minutes = (until) => (until ? Math.min(end, Math.round((until - start) / 60)) : end);
  const protocol = /** @type {ProtocolName} */ (client);
  const use = live.state?.uses[protocol];
  // as a whole, or for the model that the plan is about
  const cooling = live.state?.routes[protocol].skipped.filter((one) => one.reason === "cooldown");
  return plan.rows.map(({ upstream }) => {
    const state = live.state?.upstreams.find((one) => one.name === upstream);
    /** @type {Mark[]} */
    const marks = [];
    if (use?.upstream === upstream) {
      const title = use.until ? t("week.used-until", { time: clock(use.until) }) : t("week.used");
      marks.push({ kind: "used", to: minutes(use.until), title });
    }
    const own = state?.state === COOLING_DOWN ? state.until : cooling?.find((one) => one.upstream === upstream)?.until;
    if (own) marks.push({ kind: "cooldown", to: minutes(own), title: t("week.cooldown-until", { time: clock(own) }) });
    return [upstream, marks];
  });
}

/**
 * @param {WeekPlan} plan
 * @param {string} client
 */
function draw(plan, client) {
  const marks = new Map(marksOf(plan, client));
  if (!plan.rows.length) return emptyNote(t("week.none"));
  /** @param {number} minutes */
  const time = (minutes) =>
    `${String(Math.floor((minutes % 1440) / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  /** @param {Omit<Span, "title">} span @returns {Span} */
  const span = ({ from, to, place }) => ({
    from,
    to,
    place,
    title: `${t(`day.${plan.days[Math.floor(from / 1440)]}`)} ${time(from)} – ${time(to)} · ${place === 1 ? t("week.first") : t("week.later", { place })}`,
  });
  const rows = plan.rows.map((row) => ({
    name: row.upstream,
    spans: row.spans.map(span),
    marks: marks.get(row.upstream) ?? [],
    label: [...(marks.get(row.upstream) ?? []), ...row.spans.map(span)].map((one) => one.title).join("; "),
  }));
  const kinds = new Set([...marks.values()].flat().map((one) => one.kind));
  return h(
    "div.stack",
    {},
    weekStrip({ rows, days: plan.days.map((day) => t(`day.${day}`)), now: plan.now, label: t("week.title") }),
    h(
      "div.row.faint",
      {},
      h("span.swatch.week-first"),
      t("week.first"),
      h("span.swatch.week-later"),
      t("week.standby"),
      ["used", "cooldown"].map((kind) =>
        kinds.has(kind) ? [h("span.swatch", { class: `week-${kind}` }), t(`week.${kind}`)] : null,
      ),
      h("span.cut", {}, t("overview.requested-model", { model: plan.model })),
    ),
  );
}
