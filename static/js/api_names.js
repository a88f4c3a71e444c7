// What the API names in other words than the page, each in one place.
export const SIMULATE_PATH = "/api/pretend";
export const COOLING_DOWN = "resting";
export const PROBING = "trial";

export const simulationOf = (state) => state?.pretend ?? null;
export const isLegacyFormat = (file) => file.ancestor;
