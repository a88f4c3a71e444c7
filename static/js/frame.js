// The header that all pages share: navigation, the state of the connection, language and theme.
import { all, byId, h, replace } from "./dom.js";
import { chooseLanguage, language, t } from "./i18n.js";
import { startLive, subscribe } from "./live.js";
import { button, dot, showTitlesOnTap } from "./ui.js";

const LINKED = ["overview", "upstreams", "requests", "sessions", "models", "rules", "failover", "clients", "file"];
/**
 * Panels that another one leads to.
 * @type {Record<string, string>}
 */
const PARENTS = { numbers: "upstreams" };
export const PANELS = [...LINKED, ...Object.keys(PARENTS)];
const STATISTICS = "/token-stats.html";
/** @type {(string | null)[]} */
const THEMES = [null, "light", "dark"];

/**
 * Fills the header; `current` is the name of the panel shown, or "tokens". Returns a function that marks another.
 * @param {string} current
 * @returns {(name: string) => void}
 */
export function drawFrame(current) {
  /** @type {Map<string, HTMLElement>} */
  const links = new Map([
    ...LINKED.map((name) => /** @type {const} */ ([name, h("a", { href: `/#/${name}` }, t(`nav.${name}`))])),
    ["tokens", h("a", { href: STATISTICS }, t("nav.tokens"))],
  ]);
  const state = h("span.link-state", { role: "status" });
  replace(
    byId("top"),
    h("a.brand", { href: "/#/overview" }, h("img", { src: "/icon.svg", alt: "" }), "Switchyard"),
    h("nav", { "aria-label": t("nav.label") }, [...links.values()]),
    state,
    button(language === "zh" ? "EN" : "中文", () => chooseLanguage(language === "zh" ? "en" : "zh"), {
      kind: "quiet small",
      title: t("language.switch"),
      key: "language",
    }),
    themeButton(),
  );
  for (const skip of all(document, ".skip")) {
    skip.textContent = t("skip-to-content");
    skip.onclick = (event) => {
      event.preventDefault();
      byId("main").focus();
    };
  }
  subscribe("link", (linked) => replace(state, dot(linked ? "good" : "bad"), t(linked ? "link.on" : "link.off")));
  startLive();
  showTitlesOnTap();

  /** @param {string} name */
  const mark = (name) => {
    for (const [key, link] of links) {
      if (key === (PARENTS[name] ?? name)) {
        link.setAttribute("aria-current", "page");
        bringIntoView(link);
      } else link.removeAttribute("aria-current");
    }
    document.title = `${t(`nav.${name}`)} · Switchyard`;
  };
  mark(current);
  return mark;
}

/**
 * Scrolls the row of links only: `scrollIntoView` would also move the position from which the Tab key continues.
 * @param {HTMLElement} link
 */
function bringIntoView(link) {
  const row = link.parentElement;
  if (!row) return;
  const [inner, outer] = [link.getBoundingClientRect(), row.getBoundingClientRect()];
  if (inner.left < outer.left) row.scrollLeft += inner.left - outer.left;
  if (inner.right > outer.right) row.scrollLeft += inner.right - outer.right;
}

function themeButton() {
  const made = button("", next, { kind: "quiet", iconName: "theme", key: "theme" });
  const name = () => {
    const text = t(`theme.${document.documentElement.dataset.theme ?? "system"}`);
    made.title = text;
    made.setAttribute("aria-label", text);
  };
  function next() {
    const chosen = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? null) + 1) % THEMES.length];
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    try {
      if (chosen) localStorage.setItem("theme", chosen);
      else localStorage.removeItem("theme");
    } catch {
      // storage is disabled: the choice lasts until the page is left
    }
    name();
  }
  name();
  return made;
}
