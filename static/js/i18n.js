// The texts of the page, in the language of the user.
import { staticJson } from "./api.js";

const LANGUAGES = ["en", "zh"];
/** @type {Record<string, string>} */
let words = {};
let plurals = new Intl.PluralRules("en");

export let language = "en";

export async function loadLanguage() {
  language = chosen() ?? (navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en");
  plurals = new Intl.PluralRules(language);
  words = await staticJson(`/i18n/${language}.json`);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/**
 * The text of this key with {name} filled in. A number as `count` chooses the plural form, where the text has several.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function t(key, values = {}) {
  const form = typeof values.count === "number" ? `${key}.${plurals.select(values.count)}` : key;
  const text = words[form] ?? words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text of a key, or "" without one: sentences of the daemon need none in English.
 * @param {string} key
 */
export const translated = (key) => words[key] ?? "";

const SAID = "daemon.";
/** Gaps that hold words of the daemon, which are translated, too; all others keep what they hold. */
const WORDS = new Set(
  "causes count detail expected hint kind owner period remedy role rule skipped source text until used what where why".split(
    " ",
  ),
);
/** Gaps that hold a list. */
const LISTS = new Set(["days", "parts"]);
/** What a gap may hold, where anything else is the text of somebody else. @type {Record<string, string>} */
const HELD = {
  ...Object.fromEntries(
    "column limit line megabytes number numbers percent port seconds spent status"
      .split(" ")
      .map((name) => [name, "[\\d.,%e+ ]+"]),
  ),
  ...Object.fromEntries("error host path url variable".split(" ").map((name) => [name, "\\S+"])),
  time: "(?:\\d+-\\d+-\\d+ )?\\d+:\\d+",
};
/** @type {[RegExp, string[], string][] | null} */
let sentences = null;

/**
 * A sentence of the daemon (failure, verdict, reason, notice, warning) in the language of the user; what an upstream
 * itself has said stays as it is. In English nothing changes.
 * @param {string | null | undefined} text
 * @returns {string}
 */
export function said(text) {
  if (!text) return "";
  sentences ??= Object.entries(words)
    .filter(([key, value]) => key.startsWith(SAID) && value)
    .map(([key, value]) => /** @type {[string, string]} */ ([key.slice(SAID.length), value]))
    .sort(([one], [other]) => generality(one) - generality(other))
    .map(([pattern, value]) => sentence(pattern, value));
  return sentences.length ? inParts(text) : text;
}

/**
 * Those that begin with words of their own come first, then those with more of them.
 * @param {string} pattern
 */
const generality = (pattern) => (pattern.startsWith("{") ? 10_000 : 0) - pattern.replace(/\{\w+\}/g, "").length;

/**
 * @param {string} pattern
 * @param {string} words
 * @returns {[RegExp, string[], string]}
 */
function sentence(pattern, words) {
  const names = [...pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const literal = pattern
    .replace(/[.*+?^$()|[\]\\]/g, "\\$&")
    .replace(/\{(\w+)\}/g, (_, name) => `(${HELD[name] ?? (WORDS.has(name) ? ".*?" : ".+?")})`);
  return [new RegExp(`^${literal}$`, "s"), names, words];
}

/**
 * A whole sentence, else the parts around `; `, else what follows a status or the name of an upstream.
 * @param {string} text
 * @returns {string}
 */
function inParts(text) {
  for (const [pattern, names, words] of sentences ?? []) {
    const found = pattern.exec(text);
    if (!found) continue;
    return words.replace(/\{(\w+)\}/g, (_, name) => {
      const held = found[names.indexOf(name) + 1] ?? "";
      if (LISTS.has(name))
        return held
          .split(/, | and /)
          .map(inParts)
          .join("、");
      return WORDS.has(name) ? inParts(held) : held;
    });
  }
  if (text.includes("; ")) return text.split("; ").map(inParts).join("；");
  const [, before, after] = /^(\d{3} |[\w .-]+: )(.+)$/s.exec(text) ?? [];
  return before && after ? before + inParts(after) : text;
}

/** @param {string} name */
export function chooseLanguage(name) {
  try {
    localStorage.setItem("language", name);
  } catch {
    // storage is disabled: the choice is lost with the next page
  }
  location.reload();
}

function chosen() {
  try {
    const name = localStorage.getItem("language");
    return name && LANGUAGES.includes(name) ? name : null;
  } catch {
    return null;
  }
}
