// The page: its tabs, and the tab that is shown. A tab is a module with a `title` and a function
// `show(root, tools)`, which draws into the elements and returns a function that closes the tab.

import * as learn from "./learn.js";
import * as look from "./look.js";
import { el } from "./dom.js";
import { readAddress, writeAddress } from "./address.js";

const TABS = { look, learn };

let close = null;

function show(name) {
  close?.();
  const main = document.getElementById("main");
  const tools = document.getElementById("tools");
  main.replaceChildren();
  tools.replaceChildren();
  const tabs = Object.entries(TABS).map(([key, tab]) =>
    el("button", {
      type: "button",
      "aria-current": key === name ? "page" : null,
      onclick: () => { writeAddress({ tab: key }); show(key); },
    }, tab.title));
  document.getElementById("tabs").replaceChildren(...(tabs.length > 1 ? tabs : []));
  close = TABS[name].show(main, tools);
}

function start() {
  const { tab } = readAddress();
  show(tab in TABS ? tab : Object.keys(TABS)[0]);
}

window.addEventListener("hashchange", start);  // history.replaceState does not fire it
start();
