// The attention weights of one head, as a Plotly heat map and as a table.

import { el } from "./dom.js";

const MAX_LABELS = 36;

export function matrix(root, shown, { layer, head, weights }, at, choose) {
  const css = getComputedStyle(document.documentElement);
  const ink = css.getPropertyValue("--ink-weight");
  const text = css.getPropertyValue("--soft").trim();
  const T = shown.length;
  const every = Math.ceil(T / MAX_LABELS);
  const positions = shown.map((_, t) => t).filter((t) => t % every === 0);
  const labels = positions.map((t) => (shown[t].length > 10 ? `${shown[t].slice(0, 9)}…` : shown[t]).replace(/[<&]/g, (c) => ({ "<": "&lt;", "&": "&amp;" })[c]));
  const z = weights.map((row, i) => row.map((weight, j) => (j <= i ? weight : null)));
  const steps = [0, 0.1, 0.25, 0.5, 1];
  const axis = {
    tickvals: positions, ticktext: labels, tickfont: { size: 11 }, showgrid: false, zeroline: false,
    fixedrange: true, automargin: true,
  };
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", `Attention weights of head ${head} in block ${layer}, as a matrix`);
  window.Plotly.react(root, [{
    type: "heatmap", z, zmin: 0, zmax: 1, hoverongaps: false, xgap: T < 60 ? 1 : 0, ygap: T < 60 ? 1 : 0,
    colorscale: steps.map((s) => [s, `rgba(${ink}, ${0.04 + 0.96 * Math.sqrt(s)})`]),
    text: weights.map((row, i) => row.map((_, j) => `“${shown[i]}” looks at “${shown[j]}”`)),
    hovertemplate: "%{text}: %{z:.1%}<extra></extra>", showscale: false,
  }], {
    height: Math.min(560, 150 + 16 * T), margin: { l: 40, r: 10, t: 6, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: text },
    xaxis: { ...axis, tickangle: -60 }, yaxis: { ...axis, autorange: "reversed" },
    shapes: [{ type: "rect", x0: -0.5, x1: at + 0.5, y0: at - 0.5, y1: at + 0.5,
      line: { color: css.getPropertyValue("--strong").trim(), width: 1.5 } }],
  }, { displayModeBar: false, responsive: true });
  root.removeAllListeners?.("plotly_click");
  root.on("plotly_click", ({ points }) => choose(points[0].pointNumber[0]));
}

export function weightTable(tokens, weights) {
  const name = (t) => `${t} ${tokens[t].shown}`;
  return el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Attention weights" },
    el("table", {}, el("caption", {}, "Attention weights in percent: the token of each row looks at those of the columns"),
      el("thead", {}, el("tr", {}, el("td", {}), tokens.map((_, t) => el("th", { scope: "col" }, name(t))))),
      el("tbody", {}, weights.map((row, t) => el("tr", {}, el("th", { scope: "row" }, name(t)),
        row.map((weight, key) => el("td", {}, key <= t ? (100 * weight).toFixed(1) : "")))))));
}
