// The vectors of the tokens, projected onto their two principal components.

import { card, el } from "./dom.js";
import { source } from "./source.js";

const MAX_LABELS = 60;

export class Points {
  constructor(lesson) {
    this.picture = el("div", { class: "plot" });
    this.numbers = el("details", { class: "numbers", ontoggle: () => this.fillTable() },
      el("summary", {}, "The numbers as a table"));
    this.root = card("points", "Embeddings",
      "Each token's vector, in the two directions in which the vectors differ most. They start at random; tokens with similar uses move together.",
      this.picture, this.numbers, source(lesson, "embeddings"));
  }

  draw({ pieces, points, step }) {
    this.drawn = { pieces, points };
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(name).trim();
    const far = points.map(([x, y], i) => [Math.hypot(x, y), i]).sort((a, b) => b[0] - a[0]);
    const labelled = new Set(far.slice(0, MAX_LABELS).map(([, i]) => i));
    const safe = (text) => text.replace(/[<&]/g, (c) => ({ "<": "&lt;", "&": "&amp;" })[c]);
    const axis = { showgrid: false, zeroline: true, zerolinecolor: colour("--line"), showticklabels: false, fixedrange: true };
    window.Plotly.react(this.picture, [{
      x: points.map(([x]) => x), y: points.map(([, y]) => y), mode: "markers+text",
      text: pieces.map((piece, i) => (labelled.has(i) ? safe(piece) : "")), textposition: "top center",
      textfont: { family: "ui-monospace, monospace", size: 11, color: colour("--text") },
      marker: { color: `rgb(${colour("--ink-weight")})`, size: 5, opacity: 0.6 },
      hovertext: pieces.map((piece) => `“${safe(piece)}”`), hoverinfo: "text",
    }], {
      height: 420, margin: { l: 8, r: 8, t: 8, b: 8 }, showlegend: false, xaxis: axis, yaxis: axis, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    }, { displayModeBar: false, responsive: true });
    this.picture.setAttribute("role", "img");
    this.picture.setAttribute("aria-label", `The vectors of ${pieces.length} tokens after step ${step}`);
    if (this.numbers.open && performance.now() > (this.filled ?? 0) + 2000) this.fillTable();
  }

  fillTable() {
    if (!this.numbers.open || !this.drawn) return;
    this.filled = performance.now();
    const { pieces, points } = this.drawn;
    const scrollTop = this.numbers.querySelector(".scroll")?.scrollTop ?? 0;
    this.numbers.querySelector(".scroll")?.remove();
    const scroll = el("div", { class: "scroll tall", tabindex: 0, role: "group", "aria-label": "Embeddings" },
      el("table", {}, el("caption", {}, "Coordinates along the two principal components"),
        el("thead", {}, el("tr", {}, ["token", "first", "second"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, pieces.map((piece, i) => el("tr", {}, el("th", { scope: "row" }, piece),
          points[i].map((value) => el("td", {}, value.toFixed(3))))))));
    this.numbers.append(scroll);
    scroll.scrollTop = scrollTop;
  }
}
