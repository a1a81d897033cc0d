// How each layer learns: how steep its gradient is, and how far a step moves its weights.

import { card, el, replace } from "./dom.js";
import { source } from "./read.js";

export class Layers {
  constructor(lesson) {
    this.table = el("table", { class: "bars-table" });
    this.root = card("layers", "How each layer learns",
      "The length of its gradient, and the part of its weights that a step changes: a small model may move faster than "
      + "a large one, of which a step changes about a thousandth.",
      el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "How each layer learns" }, this.table),
      source(lesson, "layers"));
  }

  draw({ layers, step }) {
    const rows = Object.entries(layers);
    const longest = Math.max(...rows.map(([, [gradient]]) => gradient ?? 0), 1e-12);
    const bar = (share) => el("span", { class: "inline-bar", style: { "--share": share } });
    replace(this.table, el("caption", {}, `Measured at step ${step}`),
      el("thead", {}, el("tr", {}, ["layer", "gradient", "change of its weights"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map(([name, [gradient, ratio]]) => el("tr", {}, el("th", { scope: "row" }, name),
        el("td", {}, bar((gradient ?? 0) / longest), gradient === null ? "–" : gradient.toPrecision(3)),
        el("td", {}, ratio === null ? "–" : `${(1000 * ratio).toFixed(2)} ‰`)))));
  }
}
