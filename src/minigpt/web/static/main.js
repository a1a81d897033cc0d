// The page: its tabs, and the one that is shown. A tab is a module with `title`, and
// `show(root, tools)`, which draws into an element and gives a function that ends it.

import * as learn from "./learn.js";
import * as look from "./look.js";
import { el } from "./dom.js";
import { readAddress, writeAddress } from "./address.js";

const TABS = { look, learn };

let end = null;

function show(name) {
  end?.();
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
  end = TABS[name].show(main, tools);
}

function start() {
  const { tab } = readAddress();
  show(tab in TABS ? tab : Object.keys(TABS)[0]);
}

window.addEventListener("hashchange", start);  // not fired by what the page itself writes
start();
