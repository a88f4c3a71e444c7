// The request as received beside the request as sent: headers, fields, tools and conversation, with what differs.
import { h, replace } from "./dom.js";
import { seconds, whole } from "./format.js";
import { said, t } from "./i18n.js";
import { changeBadge, partView, textView } from "./inspector_parts.js";
import { button, choices, protocolName, segments } from "./ui.js";
import { accountName } from "./upstream_words.js";

const SHOWN_ROWS = 60;
const SHORT_CHARACTERS = 80;

/** @param {Capture} capture */
export function requestView(capture) {
  const lists = h("div.stack.loose");
  /** @param {string} which */
  const draw = (which) => replace(lists, sections(capture, which === "changes"));
  draw("all");
  return [
    h("div.sides", {}, h("span"), receivedHead(capture), sentHead(capture)),
    capture.compared
      ? h(
          "div.row",
          {},
          segments(
            t("inspector.shown"),
            choices(["all", "changes"], (name) => t(`inspector.shown-${name}`)),
            "all",
            draw,
          ),
        )
      : h("p.muted", {}, t(capture.bytes === null ? "inspector.too-large" : "inspector.nothing-to-compare")),
    capture.losses.length ? losses(capture.losses) : null,
    lists,
  ];
}

/** @param {Capture["losses"]} lost */
const losses = (lost) =>
  h(
    "section.stack",
    {},
    h("h3", {}, t("request.dropped")),
    h(
      "ul.skips",
      {},
      lost.map(({ field, why }) => h("li", {}, h("code", {}, field), h("span.why", {}, `— ${said(why)}`))),
    ),
  );

/** @param {Capture} capture */
function receivedHead({ protocol, bytes, query }) {
  return h(
    "div.stack.side-head",
    {},
    h("h3", {}, t("inspector.received")),
    h("div.muted", {}, [protocolName(protocol), sizeText(bytes), query].filter(Boolean).join(" · ")),
  );
}

/** @param {Capture} capture */
function sentHead({ sent, number }) {
  const one = sent[number];
  if (!one)
    return h("div.stack.side-head", {}, h("h3", {}, t("inspector.sent")), h("div.muted", {}, t("inspector.not-sent")));
  return h(
    "div.stack.side-head",
    {},
    h("h3.wrap", {}, t("inspector.sent-to", { upstream: accountName(one) })),
    h(
      "div.muted",
      {},
      [protocolName(one.protocol), sizeText(one.bytes), t("inspector.after", { time: seconds(one.at) })].join(" · "),
    ),
    h("div.mono.faint.wrap", {}, one.url),
  );
}

/** @param {number | null} bytes */
const sizeText = (bytes) =>
  bytes === null ? t("inspector.not-kept") : t("inspector.bytes", { count: bytes, bytes: whole(bytes) });

/**
 * @param {Capture} capture
 * @param {boolean} onlyChanges
 */
function sections(capture, onlyChanges) {
  const { headers, fields, tools, messages, left_off: leftOff } = capture;
  return [
    comparison(t("inspector.headers"), headers, headerRow, { onlyChanges }),
    comparison(t("inspector.fields"), fields, memberRow, { onlyChanges, isOpen: true }),
    comparison(t("inspector.tools"), tools, partRow, { onlyChanges }),
    comparison(t("inspector.conversation"), messages, partRow, { onlyChanges, isOpen: true, leftOff }),
  ];
}

/**
 * One list of rows; of a long one the last rows, and a button for the others.
 * @template {{ change: Change }} Row
 * @param {string} title
 * @param {Row[]} all
 * @param {(row: Row) => HTMLElement} draw
 * @param {{ onlyChanges: boolean, isOpen?: boolean, leftOff?: number }} options
 */
function comparison(title, all, draw, { onlyChanges, isOpen = false, leftOff = 0 }) {
  const rows = onlyChanges ? all.filter((row) => row.change !== "same") : all;
  const list = h("div.compared", {}, rows.slice(-SHOWN_ROWS).map(draw));
  const earlier = rows.length - SHOWN_ROWS;
  const more = button(t("inspector.earlier", { count: earlier, earlier: whole(earlier) }), () => {
    list.prepend(...rows.slice(0, earlier).map(draw));
    more.remove();
  });
  return h(
    "details.section",
    { open: isOpen || onlyChanges },
    h("summary", {}, h("strong", {}, title), " ", h("span.muted", {}, summaryOf(all))),
    rows.length
      ? [earlier > 0 ? more : null, list]
      : h("p.muted", {}, t(all.length ? "inspector.no-change" : "inspector.none")),
    leftOff ? h("p.faint", {}, t("inspector.left-off", { count: leftOff, left: whole(leftOff) })) : null,
  );
}

/**
 * "12, of which changed: 2, not sent: 1"
 * @param {{ change: Change }[]} rows
 */
function summaryOf(rows) {
  const changes = /** @type {Change[]} */ (["changed", "renamed", "joined", "dropped", "added"]);
  const counts = changes
    .map((change) => [t(`change.${change}`), rows.filter((row) => row.change === change).length])
    .filter(([, count]) => count)
    .map(([name, count]) => t("inspector.change-count", { name, number: count }));
  return [String(rows.length), ...counts].join(" · ");
}

/**
 * A row whose two sides are the same shows them once.
 * @param {Change} change
 * @param {Child} received
 * @param {Child} sent
 */
function row(change, received, sent) {
  const isSame = change === "same";
  return h(
    "div.sides.compared-row",
    { class: change },
    h("div", {}, changeBadge(change)),
    received
      ? h(isSame ? "div.side.both" : "div.side", { dataset: { side: t("inspector.received") } }, received)
      : h("div.side.absent"),
    isSame ? null : sent ? h("div.side", { dataset: { side: t("inspector.sent") } }, sent) : h("div.side.absent"),
  );
}

/** @param {ComparedHeader} header */
function headerRow({ name, change, received, sent }) {
  /** @param {string | null} value */
  const shown = (value) => (value === null ? null : h("div.wrap.mono", {}, `${name}: ${value}`));
  return row(change, shown(received), shown(sent));
}

/** @param {ComparedMember} member */
function memberRow({ name, change, received, sent, sent_as: sentAs, why }) {
  return row(
    change,
    received && [memberView(name, received), why ? h("div.muted", {}, said(why)) : null],
    sent && memberView(sentAs || name, sent),
  );
}

/**
 * A short value stands on the line of its name.
 * @param {string} name
 * @param {ShownText} value
 */
function memberView(name, value) {
  const isShort = value.length <= SHORT_CHARACTERS && !value.text.includes("\n");
  if (isShort) return h("code.wrap", {}, `${name}: ${value.text}`);
  return h("div.stack", {}, h("code.wrap", {}, name), textView(value, true));
}

/** @param {ComparedPart} compared */
function partRow({ change, received, sent, differs_at: differsAt, members }) {
  const words = [
    differsAt === null ? "" : t("inspector.differs-at", { place: whole(differsAt + 1) }),
    ...members.map((one) => t("inspector.member-change", { name: one.name, change: t(`change.${one.change}`) })),
  ].filter(Boolean);
  return row(
    change,
    received &&
      h("div.stack", {}, partView(received), sent && words.length ? h("div.muted.wrap", {}, words.join(" · ")) : null),
    sent && partView(sent),
  );
}
