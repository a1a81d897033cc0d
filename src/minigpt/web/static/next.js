// What comes next: a bar for each of the most probable tokens, and the sampling sliders.

import { card, el, percent, replace } from "./dom.js";
import { source } from "./source.js";

export class Next {
  constructor(panel) {
    this.panel = panel;
    this.about = el("p", { class: "after", "aria-live": "off" });
    this.list = el("div", { class: "bars", role: "group", "aria-label": "Next tokens" });
    this.changes = el("div", { class: "changes" });
    arrowsWithoutClick(this.list);
    const { state } = panel;
    this.root = card("next", "What comes next",
      "Outline: the model's probability. Filled: the probability after temperature, top-k and top-p. Click a token to append it.",
      this.about, this.list, this.changes,
      el("div", { class: "sliders" },
        this.slider("Temperature", 0, 2, 0.05, state.temperature, (v) => ({ temperature: v }), (v) => (v ? v.toFixed(2) : "0, greedy")),
        this.slider("Top-k", 0, 50, 1, state.topK, (v) => ({ topK: v }), (v) => (v ? `${v}` : "all")),
        this.slider("Top-p", 0.05, 1, 0.01, state.topP, (v) => ({ topP: v }), (v) => (v < 1 ? v.toFixed(2) : "all"))),
      source(panel, "next"));
  }

  slider(name, min, max, step, value, change, show) {
    const output = el("output", {}, show(value));
    const input = el("input", {
      type: "range", min, max, step, value, "aria-label": name, "aria-valuetext": show(value),
      oninput: () => {
        const now = Number(input.value);
        output.textContent = show(now);
        input.setAttribute("aria-valuetext", show(now));
        this.panel.sample(change(now));
      },
    });
    return el("label", {}, el("span", {}, name), input, output);
  }

  draw({ after, candidates, changes, n_kept: kept, vocab_size: size }) {
    const isOff = changes.length > 0;
    this.about.textContent =
      `after “${after}”, ${kept.toLocaleString("en")} of ${size.toLocaleString("en")} tokens can be drawn`;
    replace(this.list, ...candidates.map((one, i) => this.bar(one, i, isOff)));
    replace(this.changes, ...(isOff ? [changeTable(changes)] : []));
  }

  bar(one, i, isOff) {
    const drawn = one.drawn > 0 ? `drawn with probability ${percent(one.drawn)}` : "never drawn";
    const before = isOff ? `, with all heads ${percent(one.before)}` : "";
    return el("button", {
      type: "button", class: "bar", "data-key": i, tabindex: i ? -1 : 0,
      "aria-label": `${one.shown}: ${drawn}, the model's probability ${percent(one.probability)}${before}`,
      title: `the model: ${percent(one.probability)}${before}; ${drawn}`,
      onclick: () => this.panel.take(one.id),
    },
    el("span", { class: "piece" }, one.shown),
    el("span", { class: "track", style: {
      "--drawn": one.drawn, "--model": one.probability, "--before": one.before } },
    el("span", { class: "fill" }), el("span", { class: "outline" }),
    isOff ? el("span", { class: "before" }) : null),
    el("span", { class: "number" }, one.drawn > 0 ? percent(one.drawn) : "cut"));
  }
}

function changeTable(changes) {
  const row = (one) => {
    const change = 100 * (one.probability - one.before);
    return el("tr", {}, el("th", { scope: "row" }, one.shown), el("td", {}, percent(one.before)),
      el("td", {}, percent(one.probability)),
      el("td", { class: change < 0 ? "down" : "up" }, `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)}`));
  };
  return el("table", {}, el("caption", {}, "Tokens whose probability changes most when these heads are off"),
    el("thead", {}, el("tr", {}, ["token", "all heads on", "now", "change, points"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, changes.map(row)));
}

// Move between the bars with the arrow keys, without a click: a click appends the token.
function arrowsWithoutClick(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const bars = [...list.children];
    bars[bars.indexOf(document.activeElement) + step]?.focus();
  });
}
