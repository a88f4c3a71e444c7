// Which upstream answers each client now and why the others do not, what is in progress, and the numbers of today.
import { get, post } from "../api.js";
import { isLegacyFormat, simulationOf } from "../api_names.js";
import { costNotes, costText, requestNotes } from "../count_words.js";
import { h, replace, section } from "../dom.js";
import { agent, clock, compact, seconds, whole } from "../format.js";
import { firstRun } from "../first_run.js";
import { heldSection } from "../held_requests.js";
import { waitingCallsSection } from "../waiting_calls.js";
import { said, t } from "../i18n.js";
import { live, refresh, subscribe } from "../live.js";
import { quotaView } from "../quotas.js";
import { outcomeBadge, outcomeDot, tokensText } from "../request_words.js";
import { FLAGS, ruleText } from "../rule_words.js";
import {
  actionButton,
  badge,
  button,
  choices,
  clientName,
  copyButton,
  dialog,
  dot,
  emptyNote,
  errorNote,
  faultText,
  loadingNote,
  protocolName,
  select,
} from "../ui.js";
import { accountName, accountText, hasCooldown, healthText } from "../upstream_words.js";
import { useNow, usesBanner } from "../use_now.js";

/** @typedef {{ routes: Record<string, Route>, urls: Record<string, string>, known: number, expanded: string[] }} Lanes */

const SKIPS_SHOWN = 4;
const RECENT = 8;
/** @type {ProtocolName[]} */
const CLIENTS = ["messages", "responses", "chat"];
/** @type {Record<string, string>} */
const PROGRAMS = { messages: "claude-code", responses: "codex" };
/** @type {Set<string>} */
const expanded = new Set();

/** @param {HTMLElement} root */
export function mount(root) {
  const banners = h("div.stack");
  const start = firstRun();
  const uses = h("div.stack");
  const lanes = h("div");
  const recent = h("ul.lines");
  const today = h("div");
  const cooldowns = h("div.stack.loose");
  const quotas = h("div");
  const held = heldSection();
  const calls = waitingCallsSection();
  const panel = h(
    "div.panel",
    {},
    h(
      "div.panel-head",
      {},
      h("h1", {}, t("overview.title")),
      button(t("explain.open"), () => explainDialog(), { key: "explain" }),
      held.announcement,
      calls.announcement,
    ),
    banners,
    start.element,
    uses,
    calls.element,
    held.element,
    h(
      "section.card",
      { "aria-label": t("overview.routes") },
      h("header", {}, h("h2", {}, t("overview.routes"))),
      lanes,
    ),
    h(
      "div.columns",
      {},
      h(
        "section.card",
        { "aria-label": t("overview.requests") },
        h(
          "header",
          {},
          h("h2", {}, t("overview.requests")),
          h("a", { href: "#/requests" }, t("overview.all-requests")),
        ),
        recent,
      ),
      h(
        "div.stack.loose",
        {},
        h(
          "section.card",
          { "aria-label": t("overview.today") },
          h(
            "header",
            {},
            h("h2", {}, t("overview.today")),
            h("a", { href: "/token-stats.html" }, t("overview.statistics")),
          ),
          today,
        ),
        cooldowns,
        quotas,
      ),
    ),
  );
  replace(root, loadingNote());

  const drawBanners = section(banners, fileBanners);
  const drawUses = section(uses, usesBanner);
  const drawLanes = section(lanes, (/** @type {Lanes} */ shown) =>
    CLIENTS.map((client) => lane(shown.routes[client], shown, () => drawLanesNow())),
  );
  const drawRecent = section(recent, recentLines);
  const drawToday = section(today, todayNumbers);
  const drawCooldowns = section(cooldowns, cooldownsCard);
  const drawQuotas = section(quotas, quotasCard);
  const drawLanesNow = () => {
    if (!live.state) return;
    const { routes, urls, upstreams } = live.state;
    drawLanes({ routes: withoutTimes(routes), urls, known: upstreams.length, expanded: [...expanded] });
  };
  const drawRequests = () => live.requests && drawRecent(live.requests.slice(0, RECENT));

  const ends = [
    subscribe("state", (state) => {
      if (!panel.isConnected) replace(root, panel);
      drawBanners({ file: state.file, problems: state.problems, notices: state.notices });
      drawUses(state.uses);
      held.draw(state.held, state.now);
      calls.draw(state.waiting_calls);
      drawLanesNow();
      drawToday(state.today);
      drawCooldowns(state.upstreams.filter((one) => hasCooldown(one) || simulationOf(one)));
      drawQuotas(state.upstreams);
    }),
    subscribe("requests", drawRequests),
    subscribe("link", (linked) => {
      if (linked === false && !live.state) replace(root, errorNote(new Error("offline")));
    }),
  ];
  if (!live.state)
    refresh().catch((error) =>
      replace(
        root,
        errorNote(error, () => refresh().catch(() => null)),
      ),
    );
  return () => [...ends, held.end, start.end].forEach((end) => end());
}

/**
 * Routes without their time and what else is not shown, so that an unchanged route is not drawn again.
 * @param {Record<string, Route>} routes
 * @returns {Record<string, Route>}
 */
const withoutTimes = (routes) =>
  Object.fromEntries(Object.entries(routes).map(([client, route]) => [client, { ...route, at: null, held: [] }]));

// --- errors and warnings ---

/** @param {Pick<State, "file" | "problems" | "notices">} state */
function fileBanners({ file, problems, notices }) {
  return [
    file.faults.length
      ? h(
          "div.banner.bad-line",
          { role: "alert" },
          h("strong", {}, t("overview.file-errors", { path: file.path })),
          h(
            "ul",
            {},
            file.faults.map((fault) =>
              h(
                "li.wrap",
                {},
                h("code", {}, fault.path),
                fault.line ? ` (${t("error.position", { ...fault })})` : "",
                ": ",
                faultText(fault),
              ),
            ),
          ),
        )
      : null,
    problems.length ? h("div.banner.bad-line", { role: "alert" }, lines(problems)) : null,
    notices.length ? h("div.banner", {}, lines(notices)) : null,
    file.warnings.length
      ? h(
          "div.banner",
          {},
          h(
            "details",
            {},
            h("summary", {}, t("overview.file-warnings", { count: file.warnings.length })),
            h(
              "ul",
              {},
              file.warnings.map((warning) => h("li.wrap", {}, said(warning))),
            ),
          ),
        )
      : null,
    isLegacyFormat(file) ? h("div.banner", {}, t("overview.legacy-format")) : null,
  ];
}

const addLink = () => h("a", { href: "#/upstreams" }, t("upstreams.add"));

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {string[]} texts */
const lines = (texts) =>
  h(
    "div.stack",
    {},
    texts.map((text) => h("p.wrap", {}, sentence(said(text)))),
  );

// --- routes ---

/**
 * @param {Route} route
 * @param {Lanes} lanes
 * @param {() => void} redraw
 */
function lane(route, { urls, known }, redraw) {
  return h(
    "div.lane",
    { dataset: { client: route.client } },
    h(
      "div.stack",
      {},
      h("div", {}, h("strong", {}, clientName(route.client))),
      h(
        "div.address",
        {},
        h("code.cut", { title: urls[route.client] }, urls[route.client]),
        copyButton(urls[route.client], t("copy"), `copy-${route.client}`),
      ),
      h("div.muted.cut", { title: route.model }, t("overview.requested-model", { model: route.model })),
      route.rule ? h("div.muted", {}, t("explain.rule", { rule: ruleText(route.rule) })) : null,
    ),
    h("div.stack", {}, track(route, known), skips(route, redraw)),
  );
}

/**
 * The upstreams of a route in their order: the current one, the next ones, the rescue upstreams.
 * @param {Route} route
 * @param {number} [known]
 */
function track(route, known = 1) {
  const first = route.candidates[0];
  if (!first && route.held_for.length) return heldTrack(route);
  if (!first)
    return h(
      "div.row",
      {},
      dot("bad"),
      h("span", {}, t(known ? "overview.no-candidate" : "overview.no-upstreams")),
      known ? null : addLink(),
    );
  return h(
    "div.track",
    {},
    route.candidates.map((candidate, index) =>
      h("span.leg", {}, index ? h("span.rail", { "aria-hidden": "true" }) : null, stop(candidate, route, index)),
    ),
    route.rescues.map((candidate) =>
      h("span.leg", {}, h("span.rail.broken", { "aria-hidden": "true" }), stop(candidate, route, -1)),
    ),
  );
}

/**
 * All upstreams are cooling down: those that a new request waits for.
 * @param {Route} route
 */
function heldTrack(route) {
  return h(
    "div.stack",
    {},
    h("p", {}, dot("warn"), " ", t("overview.held-for")),
    h(
      "div.track.waits",
      {},
      route.held_for.map((one) =>
        h(
          "span.stop.last-resort",
          { title: `${one.upstream} · ${one.model}` },
          h("span.cut", {}, one.upstream),
          one.model === route.model ? null : h("span.sent.cut", {}, `→ ${one.model}`),
          one.not_before === null
            ? null
            : badge(t("overview.held-from", { time: clock(one.not_before, true) }), "warn"),
        ),
      ),
    ),
  );
}

/**
 * @param {Candidate} candidate
 * @param {Route} route
 * @param {number} index
 */
function stop(candidate, route, index) {
  const words =
    index === 0
      ? route.last_resort
        ? "overview.last-resort"
        : "overview.current"
      : index > 0
        ? "overview.next"
        : "overview.rescue";
  const renamed = candidate.model !== route.model;
  const isNow = route.at === null; // the lanes leave the time out
  return h(
    "span.stop",
    {
      class: index === 0 ? (route.last_resort ? "first last-resort" : "first") : "",
      title: [
        accountName(candidate),
        protocolName(candidate.protocol),
        candidate.model,
        said(candidate.why),
        candidate.unlikely ? t("overview.unlikely-help") : null,
        t("overview.first-byte", { seconds: candidate.first_byte }),
      ]
        .filter(Boolean)
        .join(" · "),
    },
    index === 0 ? dot(route.last_resort ? "warn" : "good") : null,
    h("span.off-screen", {}, `${t(words)}: `),
    h("span.cut", {}, accountName(candidate)),
    renamed ? h("span.sent.cut", {}, `→ ${candidate.model}`) : null,
    index === 0 && route.last_resort ? badge(t("overview.last-resort"), "warn") : null,
    candidate.used ? badge(t("use.used"), "accent") : null,
    index < 0 ? badge(t("overview.rescue")) : null,
    candidate.unlikely ? badge(t("overview.unlikely"), "warn") : null,
    index > 0 && isNow && !candidate.used && !candidate.unlikely
      ? actionButton(t("use.now"), () => useNow(candidate.upstream, route.client), {
          kind: "quiet small",
          key: `use-${route.client}-${candidate.upstream}`,
          title: t("use.for-client", { name: candidate.upstream, client: clientName(route.client) }),
        })
      : null,
  );
}

/**
 * @param {Route} route
 * @param {() => void} redraw
 */
function skips(route, redraw) {
  if (!route.skipped.length) return null;
  const all = expanded.has(route.client) || route.skipped.length <= SKIPS_SHOWN + 1;
  const shown = all ? route.skipped : route.skipped.slice(0, SKIPS_SHOWN);
  return h(
    "div",
    {},
    h(
      "ul.skips",
      { "aria-label": t("overview.skipped") },
      shown.map((skip) =>
        h(
          "li",
          {},
          h("span.cut", { title: accountText(skip.upstream) }, accountText(skip.upstream)),
          h("span.why", { title: said(skip.text) }, `— ${said(skip.text)}`),
        ),
      ),
    ),
    all
      ? null
      : button(
          t("overview.more", { count: route.skipped.length - shown.length }),
          () => (expanded.add(route.client), redraw()),
          { kind: "quiet small", key: `more-${route.client}` },
        ),
  );
}

// --- requests ---

/** @param {RequestRow[]} rows */
function recentLines(rows) {
  if (!rows.length) return h("li", {}, emptyNote(t("requests.none")));
  return rows.map((row) =>
    h(
      "li",
      {},
      outcomeDot(row),
      h(
        "div.grow",
        {},
        h(
          "div.cut",
          {},
          h(
            "a",
            { href: `#/requests?id=${encodeURIComponent(row.id)}`, dataset: { key: `request-${row.id}` } },
            row.model || "–",
          ),
          h("span.muted", {}, row.upstream ? ` → ${row.upstream}` : ""),
        ),
        h(
          "div.faint.cut",
          {},
          `${clock(row.at, true)} · ${agent(row.agent)}`,
          row.outcome === "running" ? "" : ` · ${seconds(row.duration)}`,
        ),
      ),
      h("div.number", {}, outcomeBadge(row), h("div.faint", {}, tokensText(row.usage))),
    ),
  );
}

// --- today ---

/** @param {Today} today */
function todayNumbers(today) {
  const cells = [
    [t("stats.requests"), whole(today.requests), requestNotes(today)],
    [t("stats.cost"), costText(today), costNotes(today)],
    [t("stats.input"), compact(today.input), t("stats.fresh")],
    [
      t("stats.output"),
      compact(today.output),
      today.reasoning ? t("stats.of-which-reasoning", { count: compact(today.reasoning) }) : "",
    ],
    [t("stats.cache-read"), compact(today.cache_read), ""],
    [t("stats.cache-write"), compact(today.cache_write), ""],
  ];
  return h(
    "dl.numbers.three",
    {},
    cells.map(([name, value, under]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value, under ? h("div.under", {}, under) : null)),
    ),
  );
}

// --- cooldowns ---

/** @param {UpstreamState[]} upstreams */
function quotasCard(upstreams) {
  const views = upstreams.flatMap((one) => {
    const view = quotaView(one);
    return view ? [h("li", {}, h("div.grow", {}, h("div.cut", { title: one.name }, one.name), view))] : [];
  });
  if (!views.length) return null;
  return h(
    "section.card",
    { "aria-label": t("quotas.title") },
    h("header", {}, h("h2", {}, t("quotas.title"))),
    h("ul.lines", {}, views),
  );
}

/** @param {UpstreamState[]} upstreams */
function cooldownsCard(upstreams) {
  if (!upstreams.length) return null;
  return h(
    "section.card",
    { "aria-label": t("overview.cooling-down") },
    h(
      "header",
      {},
      h("h2", {}, t("overview.cooling-down")),
      actionButton(t("overview.clear-all"), () => clear(), { kind: "small", key: "clear-all" }),
    ),
    h(
      "ul.lines",
      {},
      upstreams.map((one) =>
        h(
          "li",
          {},
          dot("warn"),
          h("div.grow", {}, h("div.cut", { title: one.name }, one.name), h("div.muted.wrap", {}, healthText(one))),
          actionButton(t("upstreams.clear"), () => clear(one.name), { kind: "small", key: `clear-${one.name}` }),
        ),
      ),
    ),
  );
}

/** @param {string} [name] */
async function clear(name) {
  await post("/api/upstreams/clear", name ? { name } : {});
  await refresh();
}

// --- explain ---

/**
 * How many requests are held for an upstream and model, and when the next try is.
 * @param {HeldTarget} target
 */
function heldText({ requests: count, upstream, model, next_try: next }) {
  const text = t("explain.held", { count, upstream, model });
  return next === null
    ? `${text} ${t("explain.held-trying")}`
    : `${text} ${t("explain.held-next", { time: clock(next, true) })}`;
}

function explainDialog() {
  let client = "messages";
  const model = h("input", {
    type: "text",
    value: live.state?.routes.messages.model ?? "",
    "aria-label": t("explain.model"),
    autofocus: true,
  });
  const at = h("input", { type: "text", placeholder: t("explain.at-example"), "aria-label": t("explain.at") });
  const project = h("input.mono", { type: "text", placeholder: "~/company/shop", "aria-label": t("when.project") });
  const tokens = h("input", { type: "number", min: "0", step: "1", "aria-label": t("explain.tokens") });
  let kind = "";
  const answer = h("div.stack.loose", { "aria-live": "polite" });
  /** What rules would see of the request. */
  const facts = () => ({
    program: PROGRAMS[client] ?? "",
    project: project.value,
    tokens: tokens.value,
    ...(kind ? { [kind]: "true" } : {}),
  });
  /** @param {Event} event */
  const explain = async (event) => {
    event.preventDefault();
    try {
      /** @type {Route} */
      const route = await get("/api/explain", { client, model: model.value, at: at.value, ...facts() });
      replace(
        answer,
        route.rule ? h("p", {}, t("explain.rule", { rule: ruleText(route.rule) })) : null,
        h("div.muted", {}, t("explain.order")),
        track(route),
        route.held.map((one) => h("p", {}, heldText(one))),
        h(
          "ul.skips",
          {},
          route.skipped.map((skip) =>
            h(
              "li",
              {},
              h("span.cut", { title: accountText(skip.upstream) }, accountText(skip.upstream)),
              h("span.why", {}, `— ${said(skip.text)}`),
            ),
          ),
        ),
      );
    } catch (error) {
      replace(answer, errorNote(error));
    }
  };
  return dialog(t("explain.title"), () => ({
    body: h(
      "form.stack.loose",
      { onsubmit: explain },
      h("p.muted", {}, t("explain.help")),
      h(
        "div.fields",
        {},
        h(
          "label.field",
          {},
          h("span", {}, t("explain.client")),
          select(
            CLIENTS.map((name) => [name, clientName(name)]),
            client,
            (chosen) => (client = chosen),
            { "aria-label": t("explain.client") },
          ),
        ),
        h("label.field", {}, h("span", {}, t("explain.at")), at),
        h("label.field.whole", {}, h("span", {}, t("explain.model")), model),
        h(
          "label.field",
          {},
          h("span", {}, t("explain.kind")),
          select(
            [["", t("explain.turn")], ...choices(FLAGS, (flag) => t(`when-short.${flag}.true`))],
            kind,
            (chosen) => (kind = chosen),
            { "aria-label": t("explain.kind") },
          ),
        ),
        h("label.field", {}, h("span", {}, t("explain.tokens")), tokens),
        h("label.field.whole", {}, h("span", {}, t("when.project")), project),
      ),
      h("div", {}, h("button.primary", { type: "submit" }, t("explain.run"))),
      answer,
    ),
  }));
}
