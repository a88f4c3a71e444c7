// The inspector: a captured request as received and as sent, both answers with their events, and the raw bodies.
import { get, text } from "./api.js";
import { h, replace } from "./dom.js";
import { seconds, whole } from "./format.js";
import { t } from "./i18n.js";
import { answerView } from "./inspector_answer.js";
import { requestView } from "./inspector_request.js";
import { subscribe } from "./live.js";
import {
  actionButton,
  choices,
  copyText,
  dialog,
  errorNote,
  loadingNote,
  loadInto,
  note,
  segments,
  select,
} from "./ui.js";
import { accountName } from "./upstream_words.js";

const VIEWS = ["request", "answer", "raw"];
const SIDES = ["received", "sent", "answer", "delivered"];
const SHOWN_BYTES = 20000;

/**
 * @param {string} id
 * @returns {Promise<void>}
 */
export function inspect(id) {
  const body = h("div.stack.loose", {}, loadingNote());
  let view = "request";
  /** @param {number | null} number */
  const load = async (number) => {
    const path = `/api/requests/${encodeURIComponent(id)}/capture`;
    try {
      /** @type {Capture} */
      const capture = await get(path, { number });
      replace(
        body,
        content(id, capture, view, (chosen) => (view = chosen), load),
      );
    } catch (error) {
      replace(
        body,
        errorNote(error, () => load(number)),
      );
    }
  };
  /** @type {string | undefined} */
  let outcome;
  const end = subscribe("requests", (rows) => {
    const wasRunning = outcome === "running";
    outcome = rows.find((row) => row.id === id)?.outcome;
    if (wasRunning && outcome !== "running") load(null);
  });
  load(null);
  return dialog(t("inspector.title"), () => ({ body }), { kind: "full" }).finally(end);
}

/**
 * @param {string} id
 * @param {Capture} capture
 * @param {string} view
 * @param {(view: string) => unknown} remember
 * @param {(number: number) => unknown} load
 */
function content(id, capture, view, remember, load) {
  const shown = h("div.stack.loose");
  /** @param {string} chosen */
  const draw = (chosen) => {
    remember(chosen);
    replace(
      shown,
      chosen === "raw" ? rawView(id, capture) : chosen === "answer" ? answerView(capture) : requestView(capture),
    );
  };
  draw(view);
  return [
    h(
      "div.row.spread",
      {},
      segments(
        t("inspector.view"),
        choices(VIEWS, (name) => t(`inspector.view-${name}`)),
        view,
        draw,
      ),
      capture.sent.length > 1 ? attemptChoice(capture, load) : null,
      curlButton(capture),
    ),
    shown,
  ];
}

/**
 * @param {Capture} capture
 * @param {(number: number) => unknown} load
 */
function attemptChoice({ sent, number }, load) {
  return h(
    "label.row.tight",
    {},
    h("span.muted", {}, t("inspector.attempt")),
    select(
      sent.map((one, index) => [
        String(index),
        t("inspector.attempt-name", {
          number: (one.attempt ?? index) + 1,
          upstream: accountName(one),
          time: seconds(one.at),
        }),
      ]),
      String(number),
      (value) => load(Number(value)),
    ),
  );
}

/** @param {Capture} capture */
function curlButton({ curl, sent }) {
  if (curl) {
    const copy = async () => {
      await copyText(curl);
      note(t("copied"));
    };
    return actionButton(t("inspector.copy-curl"), copy, { title: t("inspector.curl-help"), key: "curl" });
  }
  return h("span.faint", {}, t(sent.length ? "inspector.no-curl" : "inspector.not-sent"));
}

// --- raw bodies ---

/**
 * @param {string} id
 * @param {Capture} capture
 */
function rawView(id, capture) {
  const { number } = capture;
  const held = h("div.stack");
  /** @param {string} side */
  const show = (side) => {
    const path = `/api/requests/${encodeURIComponent(id)}/capture/${side}`;
    return loadInto(
      held,
      async () => ({ shown: await text(path, { number, limit: SHOWN_BYTES }), path }),
      ({ shown }) => [
        h(
          "div.row",
          {},
          actionButton(t("copy"), async () => {
            await copyText((await text(path, { number })).text);
            note(t("copied"));
          }),
          h("a.button", { download: "", href: `${path}?number=${number}` }, t("inspector.download")),
          h("span.faint", {}, t("inspector.bytes", { count: shown.bytes, bytes: whole(shown.bytes) })),
        ),
        h("pre.code.tall", { tabindex: "0" }, shown.text || "–"),
        shown.bytes > SHOWN_BYTES ? h("p.faint", {}, t("inspector.beginning")) : null,
      ],
    );
  };
  show(SIDES[0]);
  return [
    h(
      "div.row",
      {},
      select(
        SIDES.map((side) => [side, t(`inspector.raw-${side}`)]),
        SIDES[0],
        show,
        { "aria-label": t("inspector.view-raw"), dataset: { key: "side" } },
      ),
    ),
    held,
  ];
}
