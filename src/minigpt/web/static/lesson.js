// A lesson, or a run that the page follows. It receives the server's events, and the pictures draw
// their data. Commands are sent as requests; their effects come back as events.

import { events, get, post, remove } from "./ask.js";
import { el } from "./dom.js";
import { Controls } from "./controls.js";
import { Curve } from "./curve.js";
import { Samples } from "./samples.js";
import { Heads } from "./heads.js";
import { Points } from "./points.js";
import { Layers } from "./layers.js";
import { Slow } from "./slow.js";

const DRAW_INTERVAL = 200;  // ms
const MAX_ROWS = 4000;
const MAX_WAIT = 16;  // seconds between two attempts to reconnect

export class Lesson {
  constructor(state, sources, changed, close) {
    Object.assign(this, { state, sources, changed, close });
    this.path = `lessons/${state.lesson}`;
    this.isRun = state.lesson.startsWith("run-");
    this.progress = null;  // the data of the latest `state` event
    this.rows = new Map();
    this.samples = new Map();
    this.latest = {};  // the latest event of each other kind
    this.dirty = new Set();  // the kinds of events that are not drawn yet
    this.controls = new Controls(this);
    this.curve = new Curve(this);
    this.sampleCard = new Samples(this);
    this.attention = new Attention(this);
    this.points = new Points(this);
    this.layers = new Layers(this);
    this.slow = new Slow(this);
    this.root = el("div", { class: "lesson" }, this.controls.root, this.slow.root,
      el("div", { class: "pictures" }, this.curve.root, this.sampleCard.root, this.attention.root, this.points.root, this.layers.root));
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => ["rows", "heads", "embeddings"].forEach((kind) => this.mark(kind));
    this.scheme.addEventListener("change", this.redraw);
    this.closing = new AbortController();
    this.listen();
  }

  end() {
    this.closing.abort();
    clearTimeout(this.timer);
    this.scheme.removeEventListener("change", this.redraw);
    this.slow.end();
    for (const part of [this.curve, this.points]) window.Plotly?.purge(part.picture);
    this.attention.heads.end();
  }

  // ── commands ──

  async act(name, body = {}) {
    try {
      this.controls.showError("");
      await post(`${this.path}/${name}`, body, this.closing.signal);
    } catch (error) { this.failed(error); }
  }

  async stop() {
    try {
      await remove(this.path);
      this.close("");
    } catch (error) { this.failed(error); }
  }

  // The server sends no more events: somebody ended the lesson, or it could not start.
  async finish() {
    if (this.problem) await remove(this.path).catch(() => null);  // another page may have removed it
    this.close(this.problem ?? "This lesson was ended.", this.unfit);
  }

  getSlowStep(signal) { return get(`${this.path}/slow_step`, signal); }

  failed(error) { if (error.name !== "AbortError") this.controls.showError(error.message); }

  // ── events ──

  async listen() {
    const { signal } = this.closing;
    for (let wait = 1; !signal.aborted; wait = Math.min(2 * wait, MAX_WAIT)) {
      try {
        for await (const event of events(`${this.path}/events`, null, signal)) {
          if (event.kind === "end") { this.finish(); return; }
          if (event.kind === "history" && wait > 1) this.controls.showError("");
          wait = 1;
          this.receive(event);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404) { this.close(`${error.message}. You can start it again.`); return; }
        if (error.status) { this.controls.showError(error.message); return; }
      }
      if (signal.aborted) return;
      this.controls.showError("The connection to the server is lost; trying again …");
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
    }
  }

  receive({ kind, ...data }) {
    if (kind === "history") {
      this.rows = new Map(data.rows.map((row) => [row.number, row]));
      this.samples = new Map(data.samples.map(({ step, text }) => [step, text]));
      kind = "rows";
    } else if (kind === "step") {
      this.rows.set(data.number, data);
      if (this.rows.size > MAX_ROWS) this.dropEverySecondRow();
      if (this.progress && !this.isRun) this.progress.step = data.step;
      if (this.progress) this.progress.furthest = Math.max(this.progress.furthest, data.number);
      kind = "rows";
    } else if (kind === "sample") this.samples.set(data.step, data.text);
    else if (kind === "state") this.receiveProgress(data);
    else if (kind === "moved" && this.progress) this.progress.step = data.step;
    else if (kind === "error") this.showProblem(data.message, data.unfit);
    else this.latest[kind] = data;
    this.mark(kind);
  }

  receiveProgress(progress) {
    const isFirst = !this.progress;
    this.progress = progress;
    const wanted = Number(this.state.step);
    const isStill = progress.status !== "running" || this.isRun;
    if (isFirst && this.state.step && isStill && wanted !== progress.step && wanted <= progress.furthest) this.act("go_to", { step: wanted });
    else this.state.step = isStill && !(this.isRun && !progress.chosen) ? progress.step : null;
    this.changed();
    if (progress.problem) this.showProblem(progress.problem, progress.unfit);
    this.slow.follow();
  }

  showProblem(message, unfit) {
    Object.assign(this, { problem: message, unfit });
    this.controls.showError(message);
  }

  dropEverySecondRow() {
    let i = 0;
    for (const [number, row] of this.rows) if (i++ % 2 && row.val_loss === undefined) this.rows.delete(number);
  }

  mark(kind) {
    this.dirty.add(kind);
    this.timer ??= setTimeout(() => { this.timer = null; this.draw(); }, DRAW_INTERVAL);
  }

  draw() {
    const now = this.dirty;
    this.dirty = new Set();
    const isMoved = now.has("moved") || now.has("state");
    const { heads, embeddings, layers } = this.latest;
    if (now.has("rows") || isMoved) this.curve.draw();
    if (this.progress) this.controls.draw(this.progress);
    if (now.has("sample") || now.has("rows") || isMoved) this.sampleCard.draw();
    if (now.has("heads") && heads) this.attention.draw(heads);
    if (now.has("embeddings") && embeddings) this.points.draw(embeddings);
    if (now.has("layers") && layers) this.layers.draw(layers);
  }
}

// The attention card of the tab Look, for a lesson: its heads cannot be switched off.
class Attention {
  constructor(lesson) {
    this.lesson = lesson;
    this.sources = lesson.sources;
    const [layer, head] = (lesson.state.head ?? "0.0").split(".").map((part) => Number(part) || 0);
    this.state = { layer, head, off: [], position: null };
    this.heads = new Heads(this);
    this.heads.off.hidden = true;
    this.root = this.heads.root;
  }

  draw({ pieces, weights }) {
    const [L, H, T] = [weights.length, weights[0].length, pieces.length];
    this.drawn = { pieces, weights };
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
    this.draw(this.drawn);
  }

  choosePosition(position) {
    this.state.position = position;
    this.draw(this.drawn);
  }
}
