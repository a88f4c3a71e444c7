// One request in detail: its attempts over time, the skipped upstreams, dropped fields and cost.
import { get, part, post } from "./api.js";
import { timeline } from "./chart.js";
import { h, replace } from "./dom.js";
import { agent, compact, moment, money, percent, seconds, totalInput, whole } from "./format.js";
import { said, t, translated } from "./i18n.js";
import { subscribe } from "./live.js";
import { outcomeBadge } from "./request_words.js";
import { reasonText } from "./waiting_calls.js";
import { FLAGS } from "./rule_words.js";
import { actionButton, badge, dialog, dot, errorNote, loadingNote, protocolName, select } from "./ui.js";
import { accountName } from "./upstream_words.js";

/**
 * Shows the request until it is closed; resolves with the id of its replay to open next, if there is one.
 * @param {string} id
 * @param {string[]} upstreams
 * @param {string} [place] where the journal has it
 * @returns {Promise<string | undefined>}
 */
export function showRequest(id, upstreams, place = "") {
  /** @type {() => unknown} */
  let end = () => null;
  return dialog(
    t("request.title"),
    (/** @type {Close<string>} */ close) => {
      const body = h("div.stack.loose", {}, loadingNote());
      let shown = "";
      const load = async () => {
        try {
          /** @type {RequestDetail} */
          const detail = await get(`/api/requests/${encodeURIComponent(id)}`, { place });
          if (JSON.stringify(detail) === shown) return;
          shown = JSON.stringify(detail);
          replace(body, content(detail, upstreams, close));
        } catch (error) {
          replace(body, errorNote(error, load));
        }
      };
      /** @type {string | undefined} */
      let seen = "";
      end = subscribe("requests", (rows) => {
        const row = JSON.stringify(rows.find((one) => one.id === id));
        if (row !== seen && body.isConnected) load();
        seen = row;
      });
      load();
      return { body };
    },
    { kind: "wide" },
  ).finally(() => end());
}

/**
 * @param {RequestDetail} detail
 * @param {string[]} upstreams
 * @param {Close<string>} close
 */
function content(detail, upstreams, close) {
  const { row } = detail;
  return [
    h(
      "div.row",
      {},
      outcomeBadge(row),
      h("strong.wrap", {}, row.model || "–"),
      row.upstream ? h("span.muted.wrap", {}, `→ ${accountName(row)}`) : null,
      row.stream ? badge(t("request.stream")) : null,
      row.kind === "request" ? null : badge(t(`kind.${row.kind}`)),
    ),
    detail.error
      ? h(
          "div.banner.bad-line",
          {},
          h("p.wrap", {}, said(detail.error.message)),
          h("p.faint", {}, `${detail.error.status} ${detail.error.type}`),
        )
      : null,
    detail.captured ? captured(row, detail.captured, upstreams, close) : null,
    h("section.stack", {}, h("h3", {}, t("request.attempts", { count: detail.attempts.length })), attempts(detail)),
    detail.skipped.length
      ? h(
          "section.stack",
          {},
          h("h3", {}, t("request.skipped")),
          h(
            "ul.skips",
            {},
            detail.skipped.map((skip) =>
              h(
                "li",
                {},
                h("span.cut", { title: skip.upstream }, skip.upstream),
                h("span.why", {}, `— ${said(skip.text)}`),
              ),
            ),
          ),
        )
      : null,
    detail.losses.length
      ? h(
          "section.stack",
          {},
          h("h3", {}, t("request.dropped")),
          h(
            "ul.skips",
            {},
            detail.losses.map((loss) =>
              h("li", {}, h("code", {}, loss.field), h("span.why", {}, `— ${said(loss.why)}`)),
            ),
          ),
        )
      : null,
    detail.marked_calls.length ? markedCalls(detail.marked_calls) : null,
    h("section.stack", {}, h("h3", {}, t("request.details")), details(detail)),
    detail.captured || !row.attempts ? null : notCaptured(),
  ];
}

/** @param {MarkedCall[]} calls */
function markedCalls(calls) {
  return h(
    "section.stack",
    {},
    h("h3", {}, t("request.marked-calls")),
    h(
      "ul.lines",
      {},
      calls.map((call) => {
        const kind = ["passed", "released"].includes(call.action) ? "warn" : "bad";
        return h(
          "li",
          {},
          dot(kind),
          h(
            "div.grow.stack",
            {},
            h(
              "div.row",
              {},
              h("code.wrap", {}, call.tool),
              h("span.muted.wrap", {}, call.upstream),
              badge(t(`call-action.${call.action}`), kind),
            ),
            h(
              "ul.skips",
              {},
              call.unknown ? h("li", {}, t("call-reason.unknown")) : null,
              call.reasons.map((reason) => h("li.wrap", {}, reasonText(reason))),
            ),
          ),
        );
      }),
    ),
  );
}

/** @param {RequestDetail} detail */
function attempts({ row, attempts: tried }) {
  if (!tried.length) return h("p.muted", {}, t("request.no-attempt"));
  const total = Math.max(row.duration ?? 0, ...tried.map((one) => one.ended ?? one.first_byte ?? one.started));
  const bars = timeline({
    attempts: tried.map((one) => ({
      started: one.started,
      firstByte: one.first_byte,
      ended: one.ended ?? row.duration,
      failed: Boolean(one.failure),
    })),
    total,
    format: seconds,
  });
  return h(
    "ol.attempts",
    {},
    tried.map((one, index) =>
      h(
        "li.stack",
        {},
        h(
          "div.row",
          {},
          dot(one.failure ? "bad" : one.ended || row.duration ? "good" : "running"),
          h("strong.wrap", {}, accountName(one)),
          one.protocol ? badge(protocolName(one.protocol)) : null,
          h("span.muted.wrap", {}, one.model),
          one.status ? badge(String(one.status), one.failure ? "bad" : "good") : null,
          h("span.faint", {}, said(one.why)),
        ),
        bars[index],
        h(
          "div.faint.row",
          {},
          h("span", {}, t("request.started", { time: seconds(one.started) })),
          one.first_byte ? h("span", {}, t("request.first-byte", { time: seconds(one.first_byte) })) : null,
          one.ended ? h("span", {}, t("request.ended", { time: seconds(one.ended) })) : null,
        ),
        one.url ? h("div.mono.faint.wrap", {}, one.url) : null,
        one.failure ? h("div.bad.wrap", {}, said(one.failure.message)) : null,
        one.body ? h("div.muted.wrap", {}, t("request.body-changes", { changes: one.body })) : null,
        one.verdict ? h("div.muted.wrap", {}, t("request.action", { action: actionText(one.verdict) })) : null,
      ),
    ),
  );
}

/**
 * "switch: status 503" -> "tried next upstream (status 503)"
 * @param {string} verdict
 */
function actionText(verdict) {
  const [action, ...why] = verdict.split(": ");
  const text = translated(`action-taken.${action}`) || action;
  return why.length ? `${text} (${said(why.join(": "))})` : text;
}

/**
 * What the upstream stated and delivered, with Switchyard's own numbers beside it.
 * @param {Answered} answered
 * @param {string} tier
 * @returns {[string, Child][]}
 */
function answerPairs(answered, tier) {
  const origin = [answered.model, answered.fingerprint, tier].filter(Boolean).join(" · ");
  const { input_reported: reported, cache_share: share, cache_expected: expected } = answered;
  const cache = [
    share === null ? "" : percent(share),
    expected === null ? "" : t("request.cache-expected", { tokens: whole(expected) }),
    answered.changed_in
      ? t("request.prefix-changed", {
          part: answered.changed_in,
          byte: whole(answered.changed_at),
          before: whole(answered.input_before),
        })
      : "",
  ].filter(Boolean);
  const speed = [
    answered.first_token === null ? "" : t("request.first-token", { time: seconds(answered.first_token) }),
    answered.tokens_per_second === null ? "" : t("request.pace", { count: compact(answered.tokens_per_second) }),
  ].filter(Boolean);
  return [
    [t("request.answered-model"), origin || t("request.not-stated")],
    [
      t("request.prompt-tokens"),
      t("request.reported-and-own", {
        reported: reported === null ? t("request.not-stated") : whole(reported),
        own: whole(answered.input_estimated),
      }),
    ],
    ...(cache.length ? [/** @type {[string, Child]} */ ([t("request.cache-share"), cache.join(" · ")])] : []),
    ...(speed.length ? [/** @type {[string, Child]} */ ([t("request.speed"), speed.join(" · ")])] : []),
  ];
}

/** @param {RequestDetail} detail */
function details({ row, price, facts, answered }) {
  const { usage } = row;
  /** @type {([string, Child] | null)[]} */
  const pairs = [
    [t("request.at"), moment(row.at)],
    [
      t("requests.column-client"),
      [row.client, agent(row.agent), protocolName(row.protocol)].filter(Boolean).join(" · "),
    ],
    [t("request.session"), row.session || "–"],
    row.project ? [t("request.project"), row.project] : null,
    row.rule ? [t("request.rule"), ruleName(row.rule)] : null,
    facts ? [t("request.facts"), factsText(facts)] : null,
    [t("request.id"), h("code", {}, row.id)],
    [
      t("requests.column-duration"),
      row.first_byte
        ? `${seconds(row.duration)} (${t("request.first-byte", { time: seconds(row.first_byte) })})`
        : seconds(row.duration),
    ],
    row.held ? [t("request.held"), seconds(row.held)] : null,
    usage
      ? [
          t("stats.input"),
          `${usage.estimated ? "≈ " : ""}${whole(totalInput(usage))}: ${t("request.input-parts", { fresh: whole(usage.input), read: whole(usage.cache_read), write: whole(usage.cache_write_5m), write_1h: whole(usage.cache_write_1h) })}`,
        ]
      : null,
    usage
      ? [
          t("stats.output"),
          `${usage.estimated ? "≈ " : ""}${whole(usage.output)}${usage.reasoning ? ` (${t("stats.of-which-reasoning", { count: whole(usage.reasoning) })})` : ""}`,
        ]
      : null,
    ...(answered ? answerPairs(answered, usage?.tier ?? "") : []),
    [
      t("stats.cost"),
      row.cost === null
        ? t(row.local ? "stats.local-short" : "stats.unpriced-short")
        : [
            money(row.cost),
            price?.source,
            price?.tier && t("request.tier", { tier: price.tier }),
            price?.fees && t("request.fees", { fees: money(price.fees) }),
            price && price.multiplier !== 1 && `× ${price.multiplier}`,
          ]
            .filter(Boolean)
            .join(" · "),
    ],
  ];
  return h(
    "dl.pairs",
    {},
    pairs.filter((pair) => pair !== null).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

/**
 * A rule without a name is known by its number.
 * @param {string} rule
 */
const ruleName = (rule) => (/^\d+$/.test(rule) ? t("request.rule-number", { rule }) : rule);

/** @param {Facts} facts */
const factsText = (facts) =>
  [
    facts.program,
    ...FLAGS.map((flag) => (facts[flag] ? t(`when-short.${flag}.true`) : "")),
    facts.effort && t("when-short.effort", { values: facts.effort }),
    t("request.facts-tokens", { tokens: whole(facts.tokens) }),
  ]
    .filter(Boolean)
    .join(" · ");

/**
 * @param {RequestRow} row
 * @param {{ request: boolean }} kept
 * @param {string[]} upstreams
 * @param {Close<string>} close
 */
function captured(row, kept, upstreams, close) {
  const target = select(
    upstreams.map((name) => [name, name]),
    upstreams.find((name) => name !== row.upstream) ?? upstreams[0],
    null,
    { "aria-label": t("request.replay") },
  );
  const replay = actionButton(t("request.replay"), async () => {
    const { id } = await post("/api/requests/replay", { id: row.id, upstream: target.value });
    close(id);
  });
  const open = async () => {
    const { inspect } = await part(() => import("./inspector.js"));
    inspect(row.id);
  };
  return h(
    "section.stack",
    {},
    h("h3", {}, t("request.captured")),
    h(
      "div.row",
      {},
      actionButton(t("request.inspect"), open, { kind: "primary", key: "inspect" }),
      kept.request ? [target, replay] : h("span.muted", {}, t("inspector.too-large")),
    ),
  );
}

const notCaptured = () =>
  h("section.stack", {}, h("h3", {}, t("request.captured")), h("p.muted", {}, t("request.not-captured")));
