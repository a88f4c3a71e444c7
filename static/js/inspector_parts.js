// Parts of a conversation for people: a text, a tool call or its result, collapsed where it is long.
import { h } from "./dom.js";
import { whole } from "./format.js";
import { t } from "./i18n.js";
import { badge } from "./ui.js";

const LONG_CHARACTERS = 700;
const LONG_LINES = 12;
const PREVIEW_CHARACTERS = 160;
/** @type {Record<Change, string>} */
const KINDS = { same: "", changed: "warn", renamed: "warn", joined: "warn", dropped: "bad", added: "good" };

/** @param {Change} change */
export const changeBadge = (change) => badge(t(`change.${change}`), KINDS[change], t(`change.${change}-help`));

/** @param {CapturedPart} part */
export function partView(part) {
  return h(
    "div.part.stack",
    {},
    h(
      "div.row.tight",
      {},
      part.role ? h("strong", {}, t(`part-role.${part.role}`)) : null,
      part.kind === "text" && part.role ? null : h("span.muted", {}, t(`part-kind.${part.kind}`)),
      part.name ? h("code.wrap", {}, part.name) : null,
    ),
    textView(part, part.kind !== "text" && part.kind !== "thinking"),
    part.members.length ? part.members.map(memberView) : null,
  );
}

/** @param {ShownText & { name: string }} member */
function memberView(member) {
  const isLong = member.length > PREVIEW_CHARACTERS;
  if (!isLong) return h("div.faint.wrap", {}, h("code", {}, `${member.name}: ${oneLine(member.text)}`));
  return h(
    "details",
    {},
    h("summary", {}, h("code", {}, member.name)),
    h("pre.code", { tabindex: "0" }, member.text, cut(member)),
  );
}

/**
 * @param {ShownText} shown
 * @param {boolean} isCode
 */
export function textView(shown, isCode) {
  const body = h(isCode ? "pre.said" : "div.said", {}, shown.text, cut(shown));
  const isLong = shown.length > LONG_CHARACTERS || shown.text.split("\n", LONG_LINES + 1).length > LONG_LINES;
  if (!shown.length) return null;
  if (!isLong) return body;
  const preview = oneLine(shown.text.slice(0, PREVIEW_CHARACTERS));
  const size = t("inspector.characters", { count: shown.length, length: whole(shown.length) });
  return h("details.long", {}, h("summary", {}, `${preview}… `, h("span.faint", {}, size)), body);
}

/** @param {ShownText} shown */
function cut({ text, length }) {
  const more = length - [...text].length;
  return more > 0 ? h("span.faint", {}, `\n… ${t("inspector.more", { count: more, more: whole(more) })}`) : null;
}

/** @param {string} text */
const oneLine = (text) => text.replace(/\s+/g, " ");
