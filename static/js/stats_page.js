// The page of token statistics.
import { byId, replace } from "./dom.js";
import { drawFrame } from "./frame.js";
import { loadLanguage } from "./i18n.js";
import { mount } from "./panels/tokens.js";

await loadLanguage();
drawFrame("tokens");
const main = byId("main");
replace(main);
mount(main);
