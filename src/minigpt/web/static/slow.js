// The next step in slow motion: batch, forward, loss, backward, update. The server computes it on a
// copy of the model, so the lesson does not change until the step is taken.

import { LatestRequest } from "./ask.js";
import { el, replace } from "./dom.js";
import { source } from "./source.js";
import { STAGES } from "./stages.js";

const STAGE_DURATION = 3500;  // ms, while it plays

export class Slow {
  constructor(lesson) {
    this.lesson = lesson;
    this.request = new LatestRequest();
    this.title = el("h2", {}, "One step in slow motion");
    this.tabs = el("div", { class: "buttons stages", role: "group", "aria-label": "Stages" });
    this.play = el("button", { type: "button", onclick: () => this.playing ? this.stop() : this.start() }, "Play");
    this.take = el("button", { type: "button", hidden: lesson.isRun, onclick: () => lesson.act("step") }, "Take this step");
    this.rows = el("select", { hidden: true, "aria-label": "Text of the batch", onchange: () => this.chooseRow() });
    this.status = el("p", { class: "status", "aria-live": "polite" });
    this.stage = el("div", { class: "stage" });
    this.root = el("section", { class: "card slow", "aria-label": "One step in slow motion", hidden: !this.isOpen },
      this.title, el("p", { class: "about" }, "The next step, stage by stage. It is computed on a copy: the model does not change until you take the step."),
      this.tabs, el("div", { class: "buttons" }, this.rows, this.play, this.take), this.status, this.stage);
  }

  get isOpen() { return this.lesson.state.slow !== undefined && this.lesson.state.slow !== null; }

  get at() { return Math.max(0, STAGES.findIndex(({ name }) => name === this.lesson.state.slow)); }

  end() { this.stop(); this.request.end(); }

  toggle() {
    this.stop();
    this.lesson.state.slow = this.isOpen ? null : STAGES[0].name;
    this.root.hidden = !this.isOpen;
    this.lesson.changed();
    this.lesson.mark("state");
    if (!this.isOpen) return;
    if (this.lesson.progress?.status === "running" && !this.lesson.isRun) this.lesson.act("pause");
    else this.load();
  }

  // Load the next step again if the lesson has moved.
  follow() {
    const { status, step } = this.lesson.progress;
    const isStill = this.lesson.isRun ? step >= 0 : !["running", "preparing"].includes(status);
    this.take.disabled = status !== "paused";
    if (this.isOpen && isStill && step !== this.loaded) this.load();
  }

  async load() {
    const { step } = this.lesson.progress;
    this.loaded = step;
    this.status.textContent = this.step ? "" : "Computing the step …";
    try {
      this.step = await this.lesson.getSlowStep(this.request.start());
      this.status.textContent = "";
      this.draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.loaded = null;
      this.status.textContent = error.message;
    }
  }

  choose(i) {
    this.lesson.state.slow = STAGES[i].name;
    this.lesson.changed();
    this.draw();
  }

  chooseRow() {
    this.lesson.state.row = Number(this.rows.value);
    this.lesson.changed();
    this.draw();
  }

  start() {
    this.choose(this.at + 1 < STAGES.length ? this.at : 0);
    this.playing = setInterval(() => (this.at + 1 < STAGES.length ? this.choose(this.at + 1) : this.stop()), STAGE_DURATION);
    this.play.textContent = "Stop";
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.play.textContent = "Play";
  }

  draw() {
    if (!this.step) return;
    const { step, at } = this;
    const row = Math.min(Number(this.lesson.state.row) || 0, step.x.length - 1);
    this.title.textContent = `Step ${step.number} in slow motion`;
    replace(this.tabs, ...STAGES.map(({ title }, i) => el("button", { type: "button", "data-key": i,
      "aria-pressed": i === at, onclick: () => { this.stop(); this.choose(i); } }, `${i + 1} ${title}`)));
    if (this.rows.options.length !== step.x.length) {
      replace(this.rows, ...step.x.map((_, i) => el("option", { value: i }, `Text ${i + 1} of ${step.x.length}`)));
    }
    this.rows.value = row;
    const { name, title, draw, isOfRow } = STAGES[at];
    this.rows.hidden = !isOfRow;
    this.stage.replaceChildren(el("h3", {}, title), ...draw(step, row), source(this.lesson, name));
  }
}
