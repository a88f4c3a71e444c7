// The connection test: the result of each step, and the URL that would work.
import { post } from "./api.js";
import { h, replace } from "./dom.js";
import { milliseconds } from "./format.js";
import { said, t } from "./i18n.js";
import { save } from "./config.js";
import { usualName } from "./model_names.js";
import { actionButton, busy, button, copyButton, dialog, dot, errorNote, note, protocolName } from "./ui.js";

/** @type {Record<string, string>} */
const USUAL = { messages: "claude-sonnet-4-5-20250929", chat: "gpt-5.5", responses: "gpt-5.5" };

/**
 * @typedef {object} Tested
 * @property {string} [name] of a saved upstream
 * @property {Record<string, unknown>} [entry] its unsaved form
 * @property {(url: string, protocol: ProtocolName | null) => void} [useUrl]
 * @property {boolean} [findProtocol] look for the protocol too, begin at once, and put what is found into the form
 */

/**
 * Tests a saved upstream, or `entry`, the unsaved form of it; `useUrl(url)` puts a URL that works into that form.
 * @param {Tested & { protocol?: string, models?: Models }} tested
 */
export function testUpstream({ name, entry, protocol = "messages", models, useUrl, findProtocol = false }) {
  const result = h("div.stack.loose", { "aria-live": "polite" });
  const model = h("input", {
    type: "text",
    value: firstModel(models) ?? (findProtocol ? "" : USUAL[protocol]) ?? "",
    autofocus: true,
  });
  /** @type {HTMLButtonElement} */
  const again = button(t("test.run"), () => busy(again, run), { kind: "primary" });
  const run = async () => {
    replace(result, h("p.state", { role: "status" }, h("span.spinner", { "aria-hidden": "true" }), t("test.running")));
    try {
      if (findProtocol && !model.value) model.value = await listedModel({ name, entry });
      const body = { name, entry, model: model.value, any_protocol: findProtocol };
      const answer = await post("/api/upstreams/test", body);
      if (findProtocol && answer.working_url) useUrl?.(answer.working_url, answer.working_protocol);
      replace(result, report(answer, { name, entry, useUrl, findProtocol, close: () => done?.() }));
    } catch (error) {
      replace(result, errorNote(error));
    }
  };
  /** @type {(() => void) | undefined} */
  let done;
  return dialog(t("test.title", { name: name ?? entry?.name ?? "" }), (close) => {
    done = close;
    if (findProtocol) busy(again, run);
    return {
      body: h(
        "form.stack.loose",
        {
          onsubmit: (event) => {
            event.preventDefault();
            busy(again, run);
          },
        },
        h("p.muted", {}, t("test.help")),
        h("label.field", {}, h("span", {}, t("test.model")), model),
        h("div", {}, again),
        result,
      ),
    };
  });
}

/**
 * A model from the upstream's own list, which costs nothing; "" without a list.
 * @param {Tested} tested
 */
async function listedModel({ name, entry }) {
  try {
    return usualName(await post("/api/upstreams/models", { name, entry }));
  } catch {
    return "";
  }
}

/** @param {Models | undefined} models */
function firstModel(models) {
  const names = Array.isArray(models) ? models : Object.keys(models ?? {});
  return names.find((name) => !/[*?]/.test(name));
}

/**
 * @param {ConnectionTest} answer
 * @param {Tested & { close: () => void }} tested
 */
function report(answer, { name, entry, useUrl, findProtocol, close }) {
  if (findProtocol && answer.working_url) return [found(answer), facts(answer, false)];
  return [
    h(
      "p",
      { class: answer.ok ? "good" : "bad" },
      h("strong", {}, answer.ok ? t("test.ok", { time: milliseconds(answer.latency_ms) }) : t("test.failed")),
    ),
    h(
      "ol.steps",
      {},
      answer.steps.map((step) =>
        h(
          "li",
          {},
          dot(step.ok ? "good" : "bad"),
          h("span", {}, t(`step.${step.step}`)),
          h("span.faint.number", {}, milliseconds(step.ms)),
          h("span.detail.wrap", { class: step.ok ? "" : "bad" }, said(step.detail)),
        ),
      ),
    ),
    facts(answer),
    answer.working_url ? workingUrl(answer.working_url, { name, entry, useUrl, close }) : null,
  ];
}

/**
 * What was found instead of what the form had; the form has it now.
 * @param {ConnectionTest} answer
 */
const found = (answer) =>
  h(
    "p.good.wrap",
    {},
    h("strong", {}, t("test.ok", { time: milliseconds(answer.latency_ms) })),
    " ",
    t("test.found", { protocol: protocolName(answer.working_protocol ?? ""), url: answer.working_url }),
  );

/**
 * @param {ConnectionTest} answer
 * @param {boolean} [withUrl]
 */
const facts = (answer, withUrl = true) =>
  h(
    "dl.pairs",
    {},
    withUrl ? [h("dt", {}, t("test.url")), h("dd", {}, h("code", {}, answer.url), " ", copyButton(answer.url))] : null,
    h("dt", {}, t("test.upstream-model")),
    h("dd", {}, answer.model),
    answer.answer ? [h("dt", {}, t("test.answer")), h("dd", {}, answer.answer)] : null,
    answer.answer_form ? [h("dt", {}, t("test.answer-form")), h("dd", {}, protocolName(answer.answer_form))] : null,
  );

/**
 * @param {string} url
 * @param {Tested & { close: () => void }} tested
 */
function workingUrl(url, { name, entry, useUrl, close }) {
  const use = async () => {
    if (entry) useUrl?.(url, null);
    else {
      await save("/api/upstreams/update", { name, changes: { base_url: url } });
      note(t("saved"), { kind: "good" });
    }
    close();
  };
  return h(
    "div.banner",
    {},
    h("p.wrap", {}, t("test.working-url"), " ", h("code", {}, url)),
    h("p", {}, actionButton(t("test.use-url"), use, { kind: "primary" })),
  );
}
