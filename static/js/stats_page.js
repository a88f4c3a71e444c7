// The page of token statistics.
import { replace } from "./dom.js";
import { drawFrame } from "./frame.js";
import { loadLanguage } from "./i18n.js";
import { mount } from "./panels/tokens.js";

await loadLanguage();
drawFrame("tokens");
const main = document.getElementById("main");
replace(main);
mount(main);
