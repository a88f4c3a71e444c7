// Which of the last requests a rule would apply to, as it is being edited.
import { post, problemOf } from "./api.js";
import { upstreamNames } from "./config.js";
import { h, replace } from "./dom.js";
import { agent, clock } from "./format.js";
import { t } from "./i18n.js";
import { showRequest } from "./request_detail.js";
import { messageOf, protocolName } from "./ui.js";

const SHOWN = 8;

/**
 * Returns the section, and a function that asks again, for the rule of this number in these rules.
 * @returns {{ element: HTMLElement, load: (routes: RouteRule[], number: number) => Promise<void> }}
 */
export function matchesSection() {
  const body = h("div.stack", { "aria-live": "polite" }, h("p.muted", {}, t("loading")));
  let asked = 0;
  /** @param {RouteRule[]} routes @param {number} number */
  const load = async (routes, number) => {
    const own = ++asked;
    try {
      const found = await post("/api/routes/matches", { routes, number });
      if (own === asked) replace(body, content(found, number));
    } catch (error) {
      const text = problemOf(error).status === 422 ? t("rules.matches-errors") : messageOf(error);
      if (own === asked) replace(body, h("p.warn", {}, text));
    }
  };
  const element = h(
    "section.stack",
    { "aria-label": t("rules.matches") },
    h("h3", {}, t("rules.matches")),
    h("p.help", {}, t("rules.matches-help")),
    body,
  );
  return { element, load };
}

/**
 * @param {RuleMatches} found
 * @param {number} number
 */
function content({ tried, matches }, number) {
  if (!tried) return h("p.muted", {}, t("rules.matches-no-requests"));
  const earlier = matches.filter((one) => one.decided_by !== number).length;
  const more = matches.length - SHOWN;
  return [
    h(
      "p",
      {},
      h("strong", {}, t("rules.matches-count", { matching: matches.length, count: tried })),
      earlier ? ` ${t("rules.matches-earlier", { count: earlier })}` : "",
    ),
    matches.length
      ? h(
          "ul.plain.stack.matches",
          {},
          matches.slice(0, SHOWN).map((one) => h("li", {}, match(one, number))),
        )
      : null,
    more > 0 ? h("p.faint", {}, t("rules.matches-more", { count: more })) : null,
  ];
}

/**
 * @param {RuleMatch} one
 * @param {number} number
 */
const match = (one, number) =>
  h(
    "button.link.match",
    {
      type: "button",
      title: t("rules.matches-open"),
      onclick: () => showRequest(one.id, upstreamNames()),
    },
    h("span.faint", {}, clock(one.at, true)),
    h("span.wrap", {}, one.model || "–"),
    h("span.muted.wrap", {}, agent(one.agent) || protocolName(one.protocol)),
    one.decided_by === number ? null : h("span.warn", {}, t("rules.matches-decided", { number: one.decided_by })),
  );
