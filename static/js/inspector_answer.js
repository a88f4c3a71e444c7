// The answer of the upstream beside the answer that the client got: what they say, and their events with their times.
import { h } from "./dom.js";
import { seconds, whole } from "./format.js";
import { said, t } from "./i18n.js";
import { partView } from "./inspector_parts.js";
import { badge, button, protocolName } from "./ui.js";
import { accountName } from "./upstream_words.js";

const SHOWN_EVENTS = 100;

/** @param {Capture} capture */
export function answerView({ answer, delivered, sent, number, protocol }) {
  const one = sent[number];
  const from = one ? t("inspector.answer-from", { upstream: accountName(one) }) : t("inspector.answer-of-upstream");
  return h(
    "div.answers",
    {},
    side(from, answer, one ? protocolName(one.protocol) : ""),
    side(t("inspector.answer-to-client"), delivered, protocolName(protocol)),
  );
}

/**
 * @param {string} title
 * @param {CapturedAnswer | null} answer
 * @param {string} protocol
 */
function side(title, answer, protocol) {
  if (!answer) return h("section.stack", {}, h("h3.wrap", {}, title), h("p.muted", {}, t("inspector.no-answer")));
  return h(
    "section.stack",
    {},
    h("h3.wrap", {}, title),
    h(
      "div.row",
      {},
      badge(String(answer.status), answer.status < 400 ? "good" : "bad"),
      h(
        "span.muted",
        {},
        [
          protocol,
          t("inspector.bytes", { count: answer.bytes, bytes: whole(answer.bytes) }),
          t("inspector.after", { time: seconds(answer.at) }),
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    answer.truncated ? h("p.warn", {}, t("inspector.answer-truncated")) : null,
    answer.error ? h("p.bad.wrap", {}, said(answer.error)) : null,
    h(
      "details.section",
      {},
      h(
        "summary",
        {},
        h("strong", {}, t("inspector.headers")),
        " ",
        h("span.muted", {}, String(answer.headers.length)),
      ),
      answer.headers.map(({ name, value }) => h("div.mono.wrap", {}, `${name}: ${value}`)),
    ),
    h(
      "details.section",
      { open: true },
      h(
        "summary",
        {},
        h("strong", {}, t("inspector.content")),
        " ",
        h("span.muted", {}, answer.stop ? t("inspector.stop", { reason: answer.stop }) : ""),
      ),
      answer.parts.length ? answer.parts.map(partView) : h("p.muted", {}, t("inspector.none")),
    ),
    answer.stream ? events(answer) : h("p.muted", {}, t("inspector.one-body")),
  );
}

/** @param {CapturedAnswer} answer */
function events({ events: all, left_off: leftOff }) {
  const list = h("ol.events", {}, all.slice(0, SHOWN_EVENTS).map(eventRow));
  const later = all.length - SHOWN_EVENTS;
  const more = button(t("inspector.later-events", { count: later, later: whole(later) }), () => {
    list.append(...all.slice(SHOWN_EVENTS).map(eventRow));
    more.remove();
  });
  return h(
    "details.section",
    { open: true },
    h("summary", {}, h("strong", {}, t("inspector.events")), " ", h("span.muted", {}, whole(all.length + leftOff))),
    list,
    later > 0 ? more : null,
    leftOff ? h("p.faint", {}, t("inspector.events-left-off", { count: leftOff, left: whole(leftOff) })) : null,
  );
}

/** @param {CapturedEvent} event */
function eventRow({ at, event, text, length }) {
  return h(
    "li",
    {},
    h("span.number.muted", {}, t("inspector.milliseconds", { time: whole(Math.round(at * 1000)) })),
    h(
      "div.stack",
      {},
      h("code", {}, event || t("inspector.comment")),
      h("span.mono.faint.wrap", {}, text, length > [...text].length ? "…" : ""),
    ),
  );
}
