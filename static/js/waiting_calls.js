// The tool calls that wait for your decision: what they would do, and the buttons that release or refuse them.
import { post } from "./api.js";
import { byId, h, keyed } from "./dom.js";
import { agent, clock } from "./format.js";
import { t, translated } from "./i18n.js";
import { refresh } from "./live.js";
import { actionButton, dot, protocolName } from "./ui.js";

/** A section for the overview, hidden while no call waits: { element, announcement, draw(calls) }. */
export function waitingCallsSection() {
  const list = h("ul.lines");
  const element = h(
    "section.card",
    { "aria-label": t("calls.title"), hidden: true },
    h("header", {}, h("div", {}, h("h2", {}, t("calls.title")), h("p.muted", {}, t("calls.help")))),
    list,
  );
  const announcement = h("p.off-screen", { role: "status", "aria-live": "polite" });
  /** @param {WaitingCall[]} calls */
  const draw = (calls) => {
    const hadFocus = element.contains(document.activeElement);
    keyed(list, calls, (one) => one.id, callRow);
    const text = calls.length ? t("calls.count", { count: calls.length }) : "";
    if (announcement.textContent !== text) announcement.textContent = text;
    element.hidden = !calls.length;
    if (hadFocus && (element.hidden || document.activeElement === document.body))
      (list.querySelector("button") ?? byId("main")).focus();
  };
  return { element, announcement, draw };
}

/** @param {WaitingCall} call */
function callRow(call) {
  return h(
    "li.held",
    {},
    dot("bad"),
    h(
      "div.grow.stack",
      {},
      h(
        "div.row",
        {},
        h("strong.cut", { title: call.tool }, call.tool),
        h("a.cut", { href: `#/requests?id=${encodeURIComponent(call.request)}`, title: call.model }, call.model || "–"),
        h("span.muted.cut", {}, [call.upstream, agent(call.agent), protocolName(call.protocol)].join(" · ")),
        h("span.muted", {}, t("calls.until", { time: clock(call.until) })),
      ),
      h(
        "ul.skips",
        {},
        call.reasons.map((reason) => h("li.bad", {}, reasonText(reason))),
      ),
      h("pre.code", { tabindex: "0", "aria-label": t("calls.arguments") }, call.arguments),
    ),
    h(
      "div.row.tight",
      {},
      actionButton(t("calls.refuse"), () => decide(call.id, false), {
        kind: "small primary",
        key: `refuse-${call.id}`,
      }),
      actionButton(t("calls.release"), () => decide(call.id, true), { kind: "small bad", key: `release-${call.id}` }),
    ),
  );
}

/**
 * Why a call is suspicious, with the address or the file.
 * @param {CallReason} reason
 */
export function reasonText({ code, about }) {
  const text = translated(`call-reason.${code}`) || code;
  return about ? `${text}: ${about}` : text;
}

/**
 * @param {string} id
 * @param {boolean} release
 */
async function decide(id, release) {
  await post("/api/calls/decide", { id, release });
  await refresh();
}
