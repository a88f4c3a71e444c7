// How an upstream is doing, in one sentence.
import { COOLING_DOWN, PROBING, simulationOf } from "./api_names.js";
import { clock } from "./format.js";
import { said, t } from "./i18n.js";

/**
 * Whether it cools down or is being probed after that, as a whole, for one of its models, or with one of its keys.
 * @param {UpstreamState} state
 */
export const hasCooldown = (state) => [state, ...state.accounts].some(isCooling);

/** @param {AccountState} state */
const isCooling = (state) => [COOLING_DOWN, PROBING].includes(state.state) || state.models.length > 0;

/**
 * The name of an account: that of its entry, with the key if it has several.
 * @param {{ upstream: string, key: string }} one
 */
export const accountName = ({ upstream, key }) => (key ? `${upstream} (${said(key)})` : upstream);

/**
 * The same for the name as the daemon writes it.
 * @param {string} name
 */
export const accountText = (name) => name.replace(/(?<= \()key \d+(?=\)$)/, said);

/**
 * Cooldowns, probes and simulated failures; "" if there are none.
 * @param {UpstreamState | undefined} state
 */
export function healthText(state) {
  if (!state) return "";
  const simulation = simulationOf(state);
  const parts = [
    simulation
      ? t("upstreams.simulating", { mode: t(`simulate.${simulation.mode}`), time: clock(simulation.until) })
      : null,
    ...(state.accounts.length
      ? state.accounts.map((one) => (stateText(one) ? `${said(one.key)}: ${stateText(one)}` : null))
      : [stateText(state)]),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** @param {AccountState} state */
function stateText(state) {
  const parts = [
    state.state === COOLING_DOWN
      ? t("upstreams.cooling-down-until", { time: clock(state.until), reason: said(state.reason) })
      : null,
    state.state === PROBING ? t("upstreams.on-trial", { reason: said(state.reason) }) : null,
    state.state === "busy" ? t("upstreams.busy") : null,
    ...state.models.map((cooldown) =>
      t("upstreams.model-cooling-down", {
        model: cooldown.model,
        time: clock(cooldown.until),
        reason: said(cooldown.reason),
      }),
    ),
  ];
  return parts.filter(Boolean).join(" · ");
}
