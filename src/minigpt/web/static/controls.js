// The progress of a lesson, and the buttons that run, pause, step, and go back.

import { el, replace } from "./dom.js";

const count = (n) => n.toLocaleString("en");

export class Controls {
  constructor(lesson) {
    this.lesson = lesson;
    const { isRun } = lesson;
    const button = (text, title, onclick, hidden = isRun) => el("button", { type: "button", title, onclick, hidden }, text);
    this.sizes = el("p", { class: "about" }, " ");
    this.run = button("Run", "Train until the last step", () => lesson.act(this.isRunning ? "pause" : "run"));
    this.step = button("Step", "Train for one step", () => lesson.act("step"));
    this.back = button("One step back", "Return the model to its state one step earlier", () => lesson.act("back"));
    this.slow = button("Slow motion", "Look at the next step, stage by stage", () => lesson.slow.toggle(), false);
    this.leave = button("Leave", "Return to the form that starts a lesson", () => lesson.close(""), false);
    this.end = button("End the lesson", "End it for everyone who watches it", () => lesson.stop());
    this.slider = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step",
      oninput: () => { this.isDragged = true; this.showChosenStep(); },
      onchange: () => { this.isDragged = false; lesson.act("go_to", { step: this.chosenStep }); } });
    this.sliderValue = el("output", {});
    this.facts = el("dl", { class: "facts" });
    this.status = el("p", { class: "status", "aria-live": "polite" });
    this.message = el("p", { class: "error", "aria-live": "assertive" });
    this.root = el("section", { class: "card controls", "aria-label": "Training" },
      el("h2", {}, isRun ? "A run of another process" : "Training"), this.sizes,
      el("div", { class: "buttons" }, this.run, this.step, this.back, this.slow, this.leave, this.end),
      el("div", { class: "sliders" }, el("label", {}, el("span", {}, isRun ? "Checkpoint" : "Go to step"), this.slider, this.sliderValue)),
      this.status, this.message, this.facts);
  }

  showError(message) { this.message.textContent = message; }

  get isRunning() { return this.progress?.status === "running"; }

  draw(progress) {
    this.progress = progress;
    this.run.textContent = this.isRunning ? "Pause" : "Run";
    this.run.setAttribute("aria-pressed", this.isRunning);
    const { status } = progress;
    const isReady = !["preparing", "stopped"].includes(status) && progress.parameters !== undefined;
    this.run.disabled = !isReady || status === "failed" || status === "done";
    this.step.disabled = this.run.disabled;
    this.back.disabled = !isReady || progress.step < 1;
    this.slow.disabled = !(isReady || this.lesson.isRun);
    this.slow.setAttribute("aria-pressed", this.lesson.slow.isOpen);
    this.showSizes(progress);
    this.showStatus(progress);
    this.showFacts(progress);
    const { checkpoints } = progress;
    this.slider.max = checkpoints ? Math.max(0, checkpoints.length - 1) : progress.furthest;
    if (!this.isDragged) {
      this.slider.value = checkpoints ? checkpoints.indexOf(progress.step) : progress.step;
    }
    this.slider.disabled = checkpoints ? checkpoints.length < 2 : !isReady || !progress.furthest;
    this.showChosenStep();
  }

  get chosenStep() {
    const value = Number(this.slider.value);
    return this.progress?.checkpoints ? this.progress.checkpoints[value] ?? 0 : value;
  }

  showChosenStep() {
    this.sliderValue.textContent = count(this.chosenStep);
    this.slider.setAttribute("aria-valuetext", `step ${this.chosenStep}`);
  }

  showSizes({ settings: s, parameters, vocab_size: V }) {
    const size = parameters ? `${count(parameters)} parameters: ` : "";
    const vocabulary = V ? `, vocabulary ${count(V)}` : "";
    const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
    this.sizes.textContent = `${size}${plural(s.n_layers, "block")} of ${plural(s.n_heads, "head")}, width ${s.d_model}, context `
      + `${s.block_size}, tokenizer ${s.tokenizer}${vocabulary}; batches of ${s.batch_size}`;
  }

  showStatus({ status, step, furthest, changed, checkpoints }) {
    let text = { preparing: "Reading the text and creating the model …", running: "Training", done: "All steps are done",
      failed: "Training failed and cannot continue from here", stopped: "The lesson was ended" }[status] ?? "Paused";
    if (checkpoints) {
      const silent = changed ? Date.now() / 1000 - changed : 0;
      if (status === "running" && silent > 60) text = `Nothing was written for ${Math.round(silent / 60)} min: the training process may have ended`;
      text += step >= 0 ? `. You see the model after step ${count(step)}` : ". There is no checkpoint yet";
    } else if (furthest > step && status !== "running") text += `, back from step ${count(furthest)}`;
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.classList.toggle("error", status === "failed");
  }

  showFacts({ step, steps, furthest, floor, checkpoints }) {
    const rows = this.lesson.rows;
    const at = checkpoints ? furthest : step;
    const row = rows.get(at);
    const bits = this.lesson.curve.measured().filter(({ number }) => number <= at).at(-1)?.val_bits;
    const loss = row && this.lesson.curve.inBits(row.loss);
    const nats = row && `${row.loss.toFixed(3)} nats/token`;
    const facts = [
      ["Step", `${count(at)} of ${count(steps)}`],
      ["Loss", !row ? "–" : loss === null ? nats : `${loss.toFixed(3)} bits/character (${nats})`],
      ["Unseen text", bits === undefined ? "–" : `${bits.toFixed(3)} bits/character`],
      ["Floor", floor ? `${floor.toFixed(3)} bits/character` : "not known"],
      ["Speed", row ? `${count(Math.round(row.tokens_per_second))} tokens/s` : "–"],
      ["Learning rate", row ? row.learning_rate.toPrecision(2) : "–"],
    ];
    replace(this.facts, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }
}
