// The loss and its floor: the loss of each step, its running mean, and the loss on validation text.

import { card, el } from "./dom.js";
import { source } from "./source.js";

export class Curve {
  constructor(lesson) {
    this.lesson = lesson;
    this.picture = el("div", { class: "plot" });
    this.numbers = el("details", { class: "numbers", ontoggle: () => this.fillTable() },
      el("summary", {}, "The numbers as a table"));
    this.root = card("curve", "Loss",
      "Faint line: each step. Strong line: their mean. Dots: text that the model does not train on. Dashed line: the "
      + "floor, the lowest loss that any model can reach, if it is known.",
      this.picture, this.numbers, source(lesson, "curve"));
  }

  measured() { return [...this.lesson.rows.values()].filter((row) => row.val_bits !== undefined); }

  // Return a loss in bits per character. The latest evaluation gives the number of tokens per character.
  inBits(loss) {
    const last = this.dots?.at(-1);
    const spelling = last?.spelling_bits ?? 0;
    return last?.val_loss ? loss * (last.val_bits - spelling) / last.val_loss + spelling : null;
  }

  draw() {
    const rows = [...this.lesson.rows.values()].sort((a, b) => a.number - b.number);
    const dots = this.measured().sort((a, b) => a.number - b.number);
    this.dots = dots;
    const last = dots.at(-1);
    const { floor, step, furthest } = this.lesson.progress ?? {};
    const number = rows.map((row) => row.number);
    const losses = rows.map((row) => this.inBits(row.loss) ?? row.loss);
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(name).trim();
    const ink = `rgb(${colour("--ink-weight")})`;
    const line = (y, width, opacity, name) => ({ x: number, y, mode: "lines", name, line: { color: ink, width }, opacity, hovertemplate: "step %{x}: %{y:.3f}<extra></extra>" });
    const level = (y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour("--soft"), width: 2, dash: "dash" } });
    const isBack = step >= 0 && step < furthest;
    const shapes = last && floor ? [level(floor)] : [];
    if (isBack) shapes.push({ type: "line", yref: "paper", x0: step, x1: step, y0: 0, y1: 1, line: { color: colour("--strong"), width: 2 } });
    const axis = { gridcolor: colour("--line"), zeroline: false, fixedrange: true, automargin: true };
    window.Plotly.react(this.picture, [
      line(losses, 1, 0.35, "each step"), line(smooth(losses), 2.5, 1, "mean"),
      { x: dots.map((row) => row.number), y: dots.map((row) => row.val_bits), mode: "markers", name: "unseen text",
        marker: { color: colour("--strong"), size: 7 }, hovertemplate: "unseen text, step %{x}: %{y:.3f}<extra></extra>" },
    ], {
      height: 300, margin: { l: 50, r: 12, t: 6, b: 40 }, showlegend: false, shapes,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colour("--soft") },
      xaxis: { ...axis, title: { text: "step" }, rangemode: "nonnegative" },
      yaxis: { ...axis, title: { text: last ? "bits per character" : "nats per token" } },
      annotations: last && floor ? [{ xref: "paper", x: 0, y: floor, xanchor: "left", yanchor: "bottom", showarrow: false, text: `floor ${floor.toFixed(3)}` }] : [],
    }, { displayModeBar: false, responsive: true });
    this.picture.setAttribute("role", "img");
    this.picture.setAttribute("aria-label", describe(rows.at(-1), losses.at(-1), last, floor));
    this.fillTable();
  }

  fillTable() {
    if (!this.numbers.open || !this.dots || this.dots.length === this.filled) return;
    this.filled = this.dots.length;
    this.numbers.querySelector(".scroll")?.remove();
    const names = ["step", "loss, bits per character (nats per token)", "unseen text, bits per character (nats per token)", "gradient", "tokens/s"];
    this.numbers.append(el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Loss" },
      el("table", {}, el("caption", {}, "Steps after which the model was evaluated on unseen text"),
        el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, this.dots.map((row) => el("tr", {}, el("th", { scope: "row" }, `${row.number}`),
          [both(this.inBits(row.loss), row.loss), both(row.val_bits, row.val_loss), row.gradient_norm.toFixed(3),
            Math.round(row.tokens_per_second).toLocaleString("en")].map((value) => el("td", {}, value))))))));
  }
}

// Return the running mean; its window is about a fiftieth of all values.
function smooth(values) {
  const half = Math.floor(values.length / 100) + 1;
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1) + value);
  return values.map((_, i) => {
    const [low, high] = [Math.max(0, i - half), Math.min(values.length, i + half + 1)];
    return (sums[high] - sums[low]) / (high - low);
  });
}

// Return a loss in bits per character and, in brackets, in nats per token.
function both(bits, nats) { return `${bits?.toFixed(3) ?? "–"} (${nats.toFixed(3)})`; }

function describe(row, loss, last, floor) {
  if (!row) return "Loss: no step has been taken yet";
  const unseen = last ? ` bits per character; on unseen text ${last.val_bits.toFixed(3)}` : " nats per token";
  return `Loss after step ${row.number}: ${loss.toFixed(3)}${unseen}${last && floor ? `, floor ${floor.toFixed(3)}` : ""}`;
}
