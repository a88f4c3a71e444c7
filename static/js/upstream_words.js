// How an upstream is doing, in one sentence.
import { clock } from "./format.js";
import { t } from "./i18n.js";

/** Rests, trials and pretences; "" if it is well. */
export function healthText(state) {
  if (!state) return "";
  const parts = [
    state.pretend
      ? t("upstreams.pretending", { mode: t(`pretend.${state.pretend.mode}`), time: clock(state.pretend.until) })
      : null,
    state.state === "resting" ? t("upstreams.resting-until", { time: clock(state.until), reason: state.reason }) : null,
    state.state === "trial" ? t("upstreams.on-trial", { reason: state.reason }) : null,
    state.state === "busy" ? t("upstreams.busy") : null,
    ...(state.models ?? []).map((rest) =>
      t("upstreams.model-resting", { model: rest.model, time: clock(rest.until), reason: rest.reason }),
    ),
  ];
  return parts.filter(Boolean).join(" · ");
}
