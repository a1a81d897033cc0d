// Attention: all heads as small pictures, and the chosen head as a matrix and as arcs.

import { arrows, card, el, replace } from "./dom.js";
import { arcs } from "./arcs.js";
import { matrix, weightTable } from "./matrix.js";
import { source } from "./source.js";

export class Heads {
  constructor(panel) {
    this.panel = panel;
    this.grid = el("div", { class: "heads", role: "group", "aria-label": "Heads" });
    arrows(this.grid, () => panel.sizes?.n_heads ?? 1);
    this.title = el("h3", {});
    this.off = el("button", { type: "button", onclick: () => panel.switchHead() });
    this.allOn = el("button", { type: "button", class: "quiet", onclick: () => panel.allOn() }, "All heads on");
    this.matrix = el("div", { class: "matrix" });
    this.arcs = el("div", { class: "arcs", tabindex: 0, role: "group", "aria-label": "Arcs, scrollable" });
    this.numbers = el("details", { class: "numbers", ontoggle: () => this.fillTable() },
      el("summary", {}, "The numbers as a table"));
    this.root = card("attention", "Attention",
      "Each row is a token that looks back, each column a token it looks at. Click a head to enlarge it.",
      this.grid, el("div", { class: "head-title" }, this.title, this.off, this.allOn),
      this.arcs, this.matrix, this.numbers, source(panel, "attention"));
  }

  end() { window.Plotly?.purge(this.matrix); }

  draw(answer, weights) {
    this.answer = answer;
    this.weights = weights;
    this.drawGrid();
    const { layer, head } = weights;
    const isOff = this.isOff(layer, head);
    this.title.textContent = `Block ${layer}, head ${head}${isOff ? " (off)" : ""}`;
    this.off.textContent = isOff ? "Switch this head on" : "Switch this head off";
    this.off.setAttribute("aria-pressed", isOff);
    this.allOn.hidden = !this.panel.state.off.length;
    const at = this.panel.state.position ?? answer.tokens.length - 1;
    const shown = answer.tokens.map((token) => token.shown);
    replace(this.arcs, arcs(shown, weights.weights, at));
    const chosen = this.arcs.querySelector("text.strong");  // scroll it into view
    this.arcs.scrollLeft = Number(chosen.getAttribute("x")) - 0.8 * this.arcs.clientWidth;
    matrix(this.matrix, shown, weights, at, (position) => this.panel.choosePosition(position));
    this.fillTable();
  }

  fillTable() {
    if (!this.numbers.open || !this.answer) return;
    this.numbers.querySelector(".scroll")?.remove();
    this.numbers.append(weightTable(this.answer.tokens, this.weights.weights));
  }

  isOff(layer, head) {
    return this.panel.state.off.some(([l, h]) => l === layer && h === head);
  }

  drawGrid() {
    const [L, H, T] = this.answer.heads.shape;
    const bytes = Uint8Array.from(atob(this.answer.heads.bytes), (c) => c.charCodeAt(0));
    this.grid.style.setProperty("--heads", H);
    this.grid.classList.toggle("many", H > 6);
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--ink-weight").split(",").map(Number);
    const buttons = [];
    for (let layer = 0; layer < L; layer++) {
      for (let head = 0; head < H; head++) {
        const start = (layer * H + head) * T * T;
        buttons.push(this.smallPicture(layer, head, bytes.subarray(start, start + T * T), T, colour));
      }
    }
    replace(this.grid, ...buttons);
    this.markChosen();
  }

  smallPicture(layer, head, weights, T, [r, g, b]) {
    const canvas = el("canvas", { width: T, height: T, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    const image = context.createImageData(T, T);
    for (let i = 0; i < T * T; i++) image.data.set([r, g, b, 255 * Math.sqrt(weights[i] / 255)], 4 * i);
    context.putImageData(image, 0, 0);
    const isOff = this.isOff(layer, head);
    return el("button", {
      type: "button", class: `head${isOff ? " off" : ""}`, "data-key": `${layer}.${head}`,
      "aria-label": `block ${layer}, head ${head}${isOff ? ", off" : ""}`, title: `block ${layer}, head ${head}`,
      onclick: () => this.panel.chooseHead(layer, head),
    }, canvas, el("span", {}, `${layer}.${head}`));
  }

  markChosen() {
    const { layer, head } = this.panel.state;
    for (const button of this.grid.children) {
      const isChosen = button.dataset.key === `${layer}.${head}`;
      button.setAttribute("aria-pressed", isChosen);
      button.tabIndex = isChosen ? 0 : -1;
    }
  }
}
