// The tab Look: one panel, or two side by side.

import { DEFAULTS, readAddress, writeAddress } from "./address.js";
import { get } from "./ask.js";
import { el } from "./dom.js";
import { Panel } from "./panel.js";

export const title = "Look";

export function show(root, tools) {
  const { panels: states, isNew, isSame } = readAddress();
  if (isNew) states[0].text = null;  // the panel then takes the model's example text
  let panels = [];
  let same = isSame;
  const changed = () => writeAddress({ tab: "look", panels: states, isSame: same });
  const shareText = (text) => same && panels.forEach((panel) => panel.follow(text));
  const compare = el("button", { type: "button", class: "quiet", onclick: toggleComparison });
  const both = el("button", { type: "button", onclick: () => setShared(!same) }, "One text for both");
  tools.append(both, compare);
  let names = null;  // of the models
  let sources = null;  // the lines of code to show
  let isClosed = false;

  function draw() {
    panels.forEach((panel) => panel.end());
    compare.textContent = states.length > 1 ? "Show only one" : "Compare two";
    compare.setAttribute("aria-pressed", states.length > 1);
    both.hidden = states.length < 2;
    both.setAttribute("aria-pressed", same);
    panels = states.map((state, i) => new Panel(state, { names, sources, changed, shareText }, i));
    root.replaceChildren(el("div", { class: `panels of-${panels.length}` },
      panels.map((panel) => panel.root)));
    changed();
  }

  function toggleComparison() {
    if (states.length > 1) states.pop();
    else {
      const second = structuredClone({ ...DEFAULTS, ...states[0] });
      const last = names.length - 1;  // the oldest checkpoint of a run: it differs most
      second.model = second.model === last ? 0 : last;
      states.push(second);
      same = names.length > 1;  // with one model, compare two texts
    }
    draw();
  }

  function setShared(isShared) {
    same = isShared;
    both.setAttribute("aria-pressed", same);
    changed();
    shareText(panels[0].answer?.text ?? states[0].text);
  }

  Promise.all([get("models"), get("source")]).then((answers) => {
    [{ names }, sources] = answers;
    if (!isClosed) draw();
  }, (error) => root.replaceChildren(el("p", { class: "error", role: "alert" }, error.message)));
  return () => { isClosed = true; panels.forEach((panel) => panel.end()); };
}
