// How each layer learns: the length of its gradient, and how far a step moves its weights.

import { card, el, replace } from "./dom.js";
import { source } from "./source.js";

export class Layers {
  constructor(lesson) {
    this.table = el("table", { class: "bars-table" });
    this.root = card("layers", "How each layer learns",
      "The length of each layer's gradient, and the length of a step relative to the layer's weights. A healthy step is "
      + "about 1 ‰ in a large model, and may be larger in a small one.",
      el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "How each layer learns" }, this.table),
      source(lesson, "layers"));
  }

  draw({ layers, step }) {
    const rows = Object.entries(layers);
    const longest = Math.max(...rows.map(([, [gradient]]) => gradient ?? 0), 1e-12);
    const bar = (share) => el("span", { class: "inline-bar", style: { "--share": share } });
    replace(this.table, el("caption", {}, `Measured at step ${step}`),
      el("thead", {}, el("tr", {}, ["layer", "gradient", "relative step"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map(([name, [gradient, ratio]]) => el("tr", {}, el("th", { scope: "row" }, name),
        el("td", {}, bar((gradient ?? 0) / longest), gradient === null ? "–" : gradient.toPrecision(3)),
        el("td", {}, ratio === null ? "–" : `${(1000 * ratio).toFixed(2)} ‰`)))));
  }
}
