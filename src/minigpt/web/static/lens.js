// The logit lens: what each layer would answer, as a table.

import { card, el, percent, replace } from "./dom.js";
import { source } from "./source.js";

export class Lens {
  constructor(panel) {
    this.panel = panel;
    this.table = el("table", {});
    this.scroll = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Logit lens, scrollable" }, this.table);
    this.root = card("lens", "What each layer would answer",
      "The logit lens: the final norm and the head, applied after each block. The stronger the colour, "
      + "the more probable the answer. Click an answer to choose its block and token.",
      this.scroll, source(panel, "lens"));
  }

  draw({ tokens, lens }) {
    const { first, answers } = lens;
    const at = this.panel.state.position ?? tokens.length - 1;
    const { layer, head } = this.panel.state;
    const header = el("tr", {}, el("th", { scope: "col" }, "after"), answers[0].map((_, i) =>
      el("th", { scope: "col", class: first + i === at ? "chosen" : null }, tokens[first + i].shown)));
    const rows = answers.map((row, depth) => el("tr", { class: depth - 1 === layer ? "chosen" : null },
      el("th", { scope: "row" }, depth ? `block ${depth - 1}` : "embedding"),
      row.map((answer, i) => el("td", { style: { "--sure": answer.probability } },
        el("button", {
          type: "button", "data-key": `${depth}.${i}`, tabindex: first + i === at ? 0 : -1,
          title: `${percent(answer.probability)}`,
          "aria-label": `${answer.shown}, ${percent(answer.probability)}`,
          onclick: () => {
            if (depth && depth - 1 !== layer) this.panel.chooseHead(depth - 1, head);
            this.panel.choosePosition(first + i);
          },
        }, answer.shown))))).reverse();
    replace(this.table, el("thead", {}, header), el("tbody", {}, rows));
    this.scroll.scrollLeft = this.scroll.scrollWidth;
  }
}
