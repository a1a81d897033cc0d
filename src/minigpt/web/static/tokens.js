// The text as tokens, with one colour for each different piece. The bar below a token shows how
// much attention the chosen token pays to it.

import { arrows, card, el, percent, replace } from "./dom.js";
import { source } from "./source.js";

const N_COLOURS = 6;

export class Tokens {
  constructor(panel) {
    this.panel = panel;
    this.strip = el("div", { class: "strip", role: "group", "aria-label": "Tokens" });
    arrows(this.strip);
    this.root = card("tokens", "Tokens",
      "Equal pieces have the same colour. The bar below a token shows how much the chosen token attends "
      + "to it, in the chosen head. Click a token to choose it.",
      this.strip, source(panel, "tokens"));
  }

  draw({ tokens }, { weights }) {
    const at = this.panel.state.position ?? tokens.length - 1;
    const row = weights[at] ?? [];
    const order = new Map();
    replace(this.strip, ...tokens.map((token, t) => {
      if (!order.has(token.id)) order.set(token.id, order.size);
      const surprise = token.surprise === null ? "" : `, surprise ${token.surprise.toFixed(1)} nats`;
      const seen = t <= at ? `, attention ${percent(row[t] ?? 0)}` : "";
      return el("button", {
        type: "button", class: `token c${order.get(token.id) % N_COLOURS}`,
        "data-key": t, tabindex: t === at ? 0 : -1, "aria-pressed": t === at,
        "aria-label": `token ${t}: ${token.shown}, id ${token.id}${surprise}${seen}`,
        title: `id ${token.id}${surprise}${seen}`,
        style: { "--weight": t <= at ? row[t] ?? 0 : 0 },
        onclick: () => this.panel.choosePosition(t),
      }, token.shown);
    }));
  }
}
