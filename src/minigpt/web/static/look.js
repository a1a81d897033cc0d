// The tab Look: one panel, or two side by side.

import { DEFAULTS, readAddress, writeAddress } from "./address.js";
import { get } from "./ask.js";
import { el } from "./dom.js";
import { Panel } from "./panel.js";

export const title = "Look";

export function show(root, tools) {
  const { panels: states, isNew, isSame } = readAddress();
  if (isNew) states[0].text = null;  // one of the model's own kind
  let panels = [];
  let same = isSame;
  const changed = () => writeAddress({ tab: "look", panels: states, isSame: same });
  const tell = (text) => same && panels.forEach((panel) => panel.follow(text));
  const compare = el("button", { type: "button", class: "quiet", onclick: toggle });
  const both = el("button", { type: "button", onclick: () => share(!same) }, "One text for both");
  tools.append(both, compare);
  let known = null;
  let isOver = false;

  function draw() {
    panels.forEach((panel) => panel.end());
    compare.textContent = states.length > 1 ? "Only one" : "Compare two";
    compare.setAttribute("aria-pressed", states.length > 1);
    both.hidden = states.length < 2;
    both.setAttribute("aria-pressed", same);
    panels = states.map((state, i) => new Panel(state, known, changed, tell, i));
    root.replaceChildren(el("div", { class: `panels of-${panels.length}` },
      panels.map((panel) => panel.root)));
    changed();
  }

  function toggle() {
    if (states.length > 1) states.pop();
    else {
      const second = structuredClone({ ...DEFAULTS, ...states[0] });
      const last = known.names.length - 1;  // of a run, the oldest checkpoint: it differs most
      second.model = second.model === last ? 0 : last;
      states.push(second);
      same = known.names.length > 1;  // else it is two texts that are compared
    }
    draw();
  }

  function share(isShared) {
    same = isShared;
    both.setAttribute("aria-pressed", same);
    changed();
    tell(panels[0].answer?.text ?? states[0].text);
  }

  Promise.all([get("models"), get("source")]).then(([{ names }, sources]) => {
    known = { names, sources };
    if (!isOver) draw();  // else another tab is shown by now
  }, (error) => root.replaceChildren(el("p", { class: "error", role: "alert" }, error.message)));
  return () => { isOver = true; panels.forEach((panel) => panel.end()); };
}
