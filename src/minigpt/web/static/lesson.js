// A lesson, or a run that is followed: it listens to the server's events, and the pictures draw
// what they have told. Commands go out as requests; what comes of them is told by events again.

import { events, get, post, remove } from "./ask.js";
import { el } from "./dom.js";
import { Controls } from "./controls.js";
import { Curve } from "./curve.js";
import { Samples } from "./samples.js";
import { Heads } from "./heads.js";
import { Points } from "./points.js";
import { Layers } from "./layers.js";
import { Slow } from "./slow.js";

const DRAWN_EVERY = 200;  // ms
const MOST_ROWS = 4000;
const LONGEST_WAIT = 16;  // seconds between tries to connect again

export class Lesson {
  constructor(state, known, changed, over) {
    Object.assign(this, { state, known, changed, over });
    this.path = `lessons/${state.lesson}`;
    this.isRun = state.lesson.startsWith("run-");
    this.told = null;  // what the newest event `state` says
    this.rows = new Map();
    this.samples = new Map();
    this.dirty = new Set();
    this.controls = new Controls(this);
    this.curve = new Curve(this);
    this.written = new Samples(this);
    this.attention = new Attention(this);
    this.points = new Points(this);
    this.layers = new Layers(this);
    this.slow = new Slow(this);
    this.root = el("div", { class: "lesson" }, this.controls.root, this.slow.root,
      el("div", { class: "pictures" }, this.curve.root, this.written.root, this.attention.root, this.points.root, this.layers.root));
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => ["rows", "heads", "embeddings"].forEach((kind) => this.mark(kind));
    this.scheme.addEventListener("change", this.redraw);
    this.leaving = new AbortController();
    this.listen();
  }

  end() {
    this.leaving.abort();
    clearTimeout(this.timer);
    this.scheme.removeEventListener("change", this.redraw);
    this.slow.end();
    for (const part of [this.curve, this.points]) window.Plotly?.purge(part.picture);
    this.attention.heads.end();
  }

  // ── what is asked for ──

  async act(name, asked = {}) {
    try {
      this.controls.say("");
      await post(`${this.path}/${name}`, asked, this.leaving.signal);
    } catch (error) { this.failed(error); }
  }

  async stop() {
    try {
      await remove(this.path);
      this.over("");
    } catch (error) { this.failed(error); }
  }

  // It has ended by itself: somebody has ended it, or it could not begin.
  async finish() {
    if (this.problem) await remove(this.path).catch(() => null);  // another page may have done it
    this.over(this.problem ?? "This lesson was ended.", this.unfit);
  }

  askSlow(signal) { return get(`${this.path}/slow_step`, signal); }

  failed(error) { if (error.name !== "AbortError") this.controls.say(error.message); }

  // ── what is told ──

  async listen() {
    const { signal } = this.leaving;
    for (let wait = 1; !signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        for await (const event of events(`${this.path}/events`, null, signal)) {
          if (event.kind === "end") { this.finish(); return; }
          if (event.kind === "history" && wait > 1) this.controls.say("");
          wait = 1;
          this.take(event);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404) { this.over(`${error.message}. It can be begun again.`); return; }
        if (error.status) { this.controls.say(error.message); return; }
      }
      if (signal.aborted) return;
      this.controls.say("The connection to the server is lost; trying again …");
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
    }
  }

  take({ kind, ...data }) {
    if (kind === "history") {
      this.rows = new Map(data.rows.map((row) => [row.number, row]));
      this.samples = new Map(data.samples.map(({ step, text }) => [step, text]));
      kind = "rows";
    } else if (kind === "step") {
      this.rows.set(data.number, data);
      if (this.rows.size > MOST_ROWS) this.thin();
      if (this.told && !this.isRun) this.told.step = data.step;
      if (this.told) this.told.furthest = Math.max(this.told.furthest, data.number);
      kind = "rows";
    } else if (kind === "sample") this.samples.set(data.step, data.text);
    else if (kind === "state") this.tell(data);
    else if (kind === "moved" && this.told) this.told.step = data.step;
    else if (kind === "error") this.complain(data.message, data.unfit);
    else this[`${kind}Told`] = data;
    this.mark(kind);
  }

  tell(told) {
    const isFirst = !this.told;
    this.told = told;
    const goal = Number(this.state.step);
    const isStill = told.status !== "running" || this.isRun;
    if (isFirst && this.state.step && isStill && goal !== told.step && goal <= told.furthest) this.act("go_to", { step: goal });
    else this.state.step = isStill && !(this.isRun && !told.chosen) ? told.step : null;
    this.changed();
    if (told.problem) this.complain(told.problem, told.unfit);
    this.slow.follow();
  }

  complain(message, unfit) {
    Object.assign(this, { problem: message, unfit });
    this.controls.say(message);
  }

  thin() {
    let i = 0;
    for (const [number, row] of this.rows) if (i++ % 2 && row.val_loss === undefined) this.rows.delete(number);
  }

  mark(kind) {
    this.dirty.add(kind);
    this.timer ??= setTimeout(() => { this.timer = null; this.draw(); }, DRAWN_EVERY);
  }

  draw() {
    const now = this.dirty;
    this.dirty = new Set();
    const isMoved = now.has("moved") || now.has("state");
    if (now.has("rows") || isMoved) this.curve.draw();
    if (this.told) this.controls.draw(this.told);
    if (now.has("sample") || now.has("rows") || isMoved) this.written.draw();
    if (now.has("heads") && this.headsTold) this.attention.draw(this.headsTold);
    if (now.has("embeddings") && this.embeddingsTold) this.points.draw(this.embeddingsTold);
    if (now.has("layers") && this.layersTold) this.layers.draw(this.layersTold);
  }
}

// The card of the tab Look, with the heads of a lesson: none can be switched off.
class Attention {
  constructor(lesson) {
    this.lesson = lesson;
    this.known = lesson.known;
    const [layer, head] = (lesson.state.head ?? "0.0").split(".").map((part) => Number(part) || 0);
    this.state = { layer, head, off: [], position: null };
    this.heads = new Heads(this);
    this.heads.off.hidden = true;
    this.root = this.heads.root;
  }

  draw({ pieces, weights }) {
    const [L, H, T] = [weights.length, weights[0].length, pieces.length];
    this.told = { pieces, weights };
    this.sizes = { n_heads: H };
    this.state.layer = Math.min(this.state.layer, L - 1);
    this.state.head = Math.min(this.state.head, H - 1);
    if (this.state.position >= T) this.state.position = null;
    const bytes = weights.flat(3).map((weight) => String.fromCharCode(Math.round(255 * weight)));
    const answer = {
      tokens: pieces.map((shown) => ({ shown })),
      heads: { shape: [L, H, T, T], bytes: btoa(bytes.join("")) },
    };
    const { layer, head } = this.state;
    this.heads.draw(answer, { layer, head, weights: weights[layer][head] });
  }

  chooseHead(layer, head) {
    Object.assign(this.state, { layer, head });
    this.lesson.state.head = `${layer}.${head}`;
    this.lesson.changed();
    this.draw(this.told);
  }

  choosePosition(position) {
    this.state.position = position;
    this.draw(this.told);
  }
}
