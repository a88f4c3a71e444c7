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
/** @type {[RegExp, string[], string][] | null} */
let sentences = null;

/**
 * A failure, verdict or reason as the daemon words it, in the language of the user; what an upstream itself has said
 * stays as it is. In English nothing changes.
 * @param {string | null | undefined} text
 * @returns {string}
 */
export function said(text) {
  if (!text) return "";
  sentences ??= Object.entries(words)
    .filter(([key, value]) => key.startsWith(SAID) && value)
    .map(([key, value]) => sentence(key.slice(SAID.length), value))
    .sort(([, one], [, other]) => Number(one.length > 0) - Number(other.length > 0));
  return sentences.length ? inParts(text) : text;
}

/**
 * @param {string} pattern
 * @param {string} words
 * @returns {[RegExp, string[], string]}
 */
function sentence(pattern, words) {
  const names = [...pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const literal = pattern.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, "(.+?)");
  return [new RegExp(`^${literal}$`, "s"), names, words];
}

/**
 * A whole sentence, else the parts around `; `, else what follows a status or the name of a key.
 * @param {string} text
 * @returns {string}
 */
function inParts(text) {
  for (const [pattern, names, words] of sentences ?? []) {
    const found = pattern.exec(text);
    if (!found) continue;
    return words.replace(/\{(\w+)\}/g, (_, name) => inParts(found[names.indexOf(name) + 1] ?? ""));
  }
  if (text.includes("; ")) return text.split("; ").map(inParts).join("；");
  const [, before, after] = /^(\d{3} |key \S+: |[\w ]+: )(.+)$/s.exec(text) ?? [];
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
