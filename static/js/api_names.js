// Names of the API, each in one place.
export const SIMULATE_PATH = "/api/simulate";
export const COOLING_DOWN = "cooldown";
export const PROBING = "trial";

/** @param {UpstreamState | undefined} state */
export const simulationOf = (state) => state?.simulation ?? null;
/** @param {FileState} file */
export const isLegacyFormat = (file) => file.legacy;
