// Texts that the model writes: the latest, and the earlier ones.

import { card, el, replace } from "./dom.js";
import { source } from "./source.js";

export class Samples {
  constructor(lesson) {
    this.lesson = lesson;
    this.about = el("h3", { hidden: true });
    this.text = el("pre", { tabindex: 0, "aria-label": "What the model writes" }, "Nothing yet.");
    this.list = el("div", {});
    this.before = el("details", { ontoggle: () => this.fill() }, el("summary", {}, "Earlier texts"), this.list);
    this.root = card("samples", "What it writes",
      "From time to time the model writes a text, starting from an empty line. The random numbers are the same each time, so a "
      + "difference between two texts comes from learning.",
      this.about, this.text, this.before, source(lesson, "sample"));
  }

  draw() {
    const { samples, progress } = this.lesson;
    const at = progress && !progress.checkpoints ? progress.step : Infinity;
    this.steps = [...samples.keys()].filter((step) => step <= at).sort((a, b) => b - a);
    if (!this.steps.length) this.text.textContent = "Nothing yet.";
    else if (this.shown !== this.steps[0]) this.text.textContent = clean(samples.get(this.steps[0]));
    this.shown = this.steps[0];
    this.about.hidden = !this.steps.length;
    this.about.textContent = this.steps.length ? `After step ${this.shown}` : "";
    this.fill();
  }

  fill() {
    if (!this.before.open) return;
    const { samples } = this.lesson;
    replace(this.list, ...this.steps.slice(1).map((step) => el("figure", {}, el("figcaption", {}, `after step ${step}`),
      el("pre", { tabindex: 0, "aria-label": `What it wrote after step ${step}` }, clean(samples.get(step))))));
  }
}

const clean = (text) => text.trim() || "(only white space)";
