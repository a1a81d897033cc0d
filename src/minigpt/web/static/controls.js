// How a lesson stands, and the buttons that let it run, pause, step, and go back.

import { el, replace } from "./dom.js";

const count = (n) => n.toLocaleString("en");

export class Controls {
  constructor(lesson) {
    this.lesson = lesson;
    const { isRun } = lesson;
    const button = (text, title, onclick, hidden = isRun) => el("button", { type: "button", title, onclick, hidden }, text);
    this.sizes = el("p", { class: "about" }, " ");
    this.run = button("Run", "Go on until the end", () => lesson.act(this.isRunning ? "pause" : "run"));
    this.step = button("Step", "Take one step", () => lesson.act("step"));
    this.back = button("One step back", "Let the model be as it was a step before", () => lesson.act("back"));
    this.slow = button("Slow motion", "Look at the next step, stage by stage", () => lesson.slow.toggle(), false);
    this.leave = button("Leave", "Back to where a lesson is begun", () => lesson.over(""), false);
    this.end = button("End the lesson", "For all who watch it", () => lesson.stop());
    this.place = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step",
      oninput: () => { this.isDragged = true; this.showPlace(); },
      onchange: () => { this.isDragged = false; this.go(); } });
    this.shown = el("output", {});
    this.facts = el("dl", { class: "facts" });
    this.status = el("p", { class: "status", "aria-live": "polite" });
    this.message = el("p", { class: "error", "aria-live": "assertive" });
    this.root = el("section", { class: "card controls", "aria-label": "Training" },
      el("h2", {}, isRun ? "A run of another process" : "Training"), this.sizes,
      el("div", { class: "buttons" }, this.run, this.step, this.back, this.slow, this.leave, this.end),
      el("div", { class: "sliders" }, el("label", {}, el("span", {}, isRun ? "Checkpoint" : "Go to step"), this.place, this.shown)),
      this.status, this.message, this.facts);
  }

  say(message) { this.message.textContent = message; }

  get isRunning() { return this.told?.status === "running"; }

  draw(told) {
    this.told = told;
    this.run.textContent = this.isRunning ? "Pause" : "Run";
    this.run.setAttribute("aria-pressed", this.isRunning);
    const { status } = told;
    const isReady = !["preparing", "stopped"].includes(status) && told.parameters !== undefined;
    this.run.disabled = !isReady || status === "failed" || status === "done";
    this.step.disabled = this.run.disabled;
    this.back.disabled = !isReady || told.step < 1;
    this.slow.disabled = !(isReady || this.lesson.isRun);
    this.slow.setAttribute("aria-pressed", this.lesson.slow.isOpen);
    this.showSizes(told);
    this.showStatus(told);
    this.showFacts(told);
    const { checkpoints } = told;
    this.place.max = checkpoints ? Math.max(0, checkpoints.length - 1) : told.furthest;
    if (!this.isDragged) {
      this.place.value = checkpoints ? checkpoints.indexOf(told.step) : told.step;
    }
    this.place.disabled = checkpoints ? checkpoints.length < 2 : !isReady || !told.furthest;
    this.showPlace();
  }

  get chosen() {
    const value = Number(this.place.value);
    return this.told?.checkpoints ? this.told.checkpoints[value] ?? 0 : value;
  }

  showPlace() {
    this.shown.textContent = count(this.chosen);
    this.place.setAttribute("aria-valuetext", `step ${this.chosen}`);
  }

  go() { this.lesson.act("go_to", { step: this.chosen }); }

  showSizes({ settings: s, parameters, vocab_size: V }) {
    const size = parameters ? `${count(parameters)} parameters: ` : "";
    const vocabulary = V ? `, vocabulary ${count(V)}` : "";
    const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    this.sizes.textContent = `${size}${many(s.n_layers, "block")} of ${many(s.n_heads, "head")}, width ${s.d_model}, context `
      + `${s.block_size}, tokenizer ${s.tokenizer}${vocabulary}; batches of ${s.batch_size}`;
  }

  showStatus({ status, step, steps, furthest, changed, checkpoints }) {
    const said = { preparing: "Reading the text, and making the model …", done: "The last step is done",
      failed: "It cannot go on from here", stopped: "It was ended" }[status];
    let text = said ?? (status === "running" ? "It is learning" : "It pauses");
    if (checkpoints) {
      const silent = changed ? Date.now() / 1000 - changed : 0;
      if (status === "running" && silent > 60) text = `Nothing was written for ${Math.round(silent / 60)} min: its process may be gone`;
      text += step >= 0 ? `. The model shown is that after step ${count(step)}` : ". There is no checkpoint yet";
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
