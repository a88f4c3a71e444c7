// What is captured: off, the next request, errors or all; and how many captured requests there are.
import { part, post } from "./api.js";
import { h, section } from "./dom.js";
import { t } from "./i18n.js";
import { refresh } from "./live.js";
import { actionButton, busy, choices, select } from "./ui.js";

const MODES = ["off", "next", "errors", "all"];

/**
 * `status` is empty while nothing is captured.
 * @returns {{ choice: HTMLElement, status: HTMLElement, draw: (capture: CaptureState) => void }}
 */
export function captureControl() {
  const [choice, status] = [h("span"), h("div.row")];
  const drawChoice = section(choice, modeChoice);
  const drawStatus = section(status, statusOf);
  return {
    choice,
    status,
    draw: (capture) => {
      drawChoice(capture.mode);
      drawStatus(capture);
    },
  };
}

/** @param {string} mode */
async function setMode(mode) {
  await post("/api/capture", { mode });
  await refresh();
}

/** @param {string} id */
async function open(id) {
  const { inspect } = await part(() => import("./inspector.js"));
  inspect(id);
}

/** @param {string} mode */
function modeChoice(mode) {
  const chosen = select(
    choices(MODES, (name) => t(`capture.${name}`)),
    mode,
    (value) => busy(chosen, () => setMode(value)),
    { dataset: { key: "capture" } },
  );
  return h("label.row.tight", { title: t("capture.help") }, h("span.muted", {}, t("capture.label")), chosen);
}

/** @param {CaptureState} capture */
function statusOf({ mode, requests }) {
  const newest = requests.at(-1);
  return [
    mode === "off" && !newest ? null : h("span.faint", { role: "status" }, t(`capture.${mode}-help`)),
    newest
      ? [
          h("span.muted", {}, t("capture.count", { count: requests.length })),
          actionButton(t("capture.newest"), () => open(newest), { kind: "small", key: "newest" }),
          actionButton(t("capture.delete"), () => setMode("off"), { kind: "small", key: "delete" }),
        ]
      : null,
  ];
}
