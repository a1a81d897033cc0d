// Arcs from the chosen token back to the tokens it attends to, drawn over the faint arcs of all other tokens.

import { svg } from "./dom.js";

const MIN_WEIGHT = 0.08;  // smaller attention weights get no arc
const HEIGHT = 120;

export function arcs(shown, weights, at) {
  const width = (piece) => 16 + 7.6 * Math.max(1, Math.min(12, piece.length));
  const x = [];
  let right = 4;
  for (const piece of shown) { x.push(right + width(piece) / 2); right += width(piece); }
  const root = svg("svg", {
    width: right + 4, height: HEIGHT + 28, viewBox: `0 0 ${right + 4} ${HEIGHT + 28}`, role: "img",
    "aria-label": `“${shown[at]}” attends most to: ${describe(shown, weights[at], at)}`,
  });
  const rise = (distance) => Math.min(HEIGHT - 8, 14 + 2.2 * Math.sqrt(distance) * 3);
  const draw = (query, kind) => weights[query].forEach((weight, key) => {
    if (key >= query || weight < MIN_WEIGHT) return;
    const h = rise(x[query] - x[key]);
    root.append(svg("path", {
      class: kind, d: `M${x[query]},${HEIGHT} C${x[query]},${HEIGHT - 1.3 * h} ${x[key]},${HEIGHT - 1.3 * h} ${x[key]},${HEIGHT}`,
      "stroke-width": (1 + 6 * weight).toFixed(2), "stroke-opacity": (0.25 + 0.75 * weight).toFixed(2),
    }));
  });
  shown.forEach((_, query) => query !== at && draw(query, "faint"));
  draw(at, "strong");
  shown.forEach((piece, t) => {
    const label = svg("text", { x: x[t], y: HEIGHT + 18, class: t === at ? "strong" : "" });
    label.textContent = piece.length > 12 ? `${piece.slice(0, 11)}…` : piece;
    root.append(label);
    if (weights[at][t] >= MIN_WEIGHT && t <= at) {
      root.append(svg("circle", { cx: x[t], cy: HEIGHT, r: 2 + 4 * weights[at][t], class: "strong" }));
    }
  });
  return root;
}

function describe(shown, row, at) {
  const best = row.slice(0, at + 1).map((weight, t) => [weight, t]).sort((a, b) => b[0] - a[0]).slice(0, 3);
  return best.map(([weight, t]) => `“${shown[t]}” ${(100 * weight).toFixed(0)} %`).join(", ");
}
