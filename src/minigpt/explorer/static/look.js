// The tab Look: one panel, or two side by side.

import { DEFAULTS, readAddress, writeAddress } from "./address.js";
import { get } from "./ask.js";
import { el } from "./dom.js";
import { Panel } from "./panel.js";

export const title = "Look";

const FIRST_TEXT = "A windy tavern, at noon. Enter Milo, a baker, and Mabel, a judge.\n"
  + "  Milo: I have salted the royal tea.\n  Mabel: Mercy! I must sing it: Milo has";

export function show(root, tools) {
  const { panels: states, isNew } = readAddress();
  if (isNew) states[0].text = FIRST_TEXT;
  let panels = [];
  const changed = () => writeAddress({ tab: "look", panels: states });
  const compare = el("button", { type: "button", class: "quiet", onclick: toggle });
  tools.append(compare);
  let known = null;

  function draw() {
    panels.forEach((panel) => panel.end());
    compare.textContent = states.length > 1 ? "Only one" : "Compare two";
    compare.setAttribute("aria-pressed", states.length > 1);
    panels = states.map((state, i) => new Panel(state, known, changed, i));
    root.replaceChildren(el("div", { class: `panels of-${panels.length}` },
      panels.map((panel) => panel.root)));
    changed();
  }

  function toggle() {
    if (states.length > 1) states.pop();
    else {
      const second = structuredClone({ ...DEFAULTS, ...states[0] });
      if (known.names.length > 1) second.model = (second.model + 1) % known.names.length;
      states.push(second);
    }
    draw();
  }

  Promise.all([get("models"), get("source")]).then(([{ names }, sources]) => {
    known = { names, sources };
    draw();
  }, (error) => root.replaceChildren(el("p", { class: "error", role: "alert" }, error.message)));
  return () => panels.forEach((panel) => panel.end());
}
