// The text as tokens, coloured by piece; the bar below each is what the chosen token looks at.

import { arrows, card, el, percent, replace } from "./dom.js";
import { source } from "./read.js";

const N_COLOURS = 6;

export class Tokens {
  constructor(panel) {
    this.panel = panel;
    this.strip = el("div", { class: "strip", role: "group", "aria-label": "Tokens" });
    arrows(this.strip);
    this.root = card("tokens", "Tokens",
      "The same piece has the same colour; the bar below one shows how much the chosen token looks "
      + "at it, by the chosen head. Click a token to choose it.",
      this.strip, source(panel, "tokens"));
  }

  draw({ tokens }, { weights }) {
    const at = this.panel.state.position ?? tokens.length - 1;
    const row = weights[at] ?? [];
    const order = new Map();
    replace(this.strip, ...tokens.map((token, t) => {
      if (!order.has(token.id)) order.set(token.id, order.size);
      const surprise = token.surprise === null ? "" : `, surprise ${token.surprise.toFixed(1)} nats`;
      const seen = t <= at ? `, looked at with ${percent(row[t] ?? 0)}` : "";
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
