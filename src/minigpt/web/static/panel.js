// A panel: one model, one text, and all pictures of it. The panel sends requests when its state
// changes. The pictures only draw, and report clicks.

import { get, post, events, LatestRequest } from "./ask.js";
import { el } from "./dom.js";
import { Writing } from "./writing.js";
import { Tokens } from "./tokens.js";
import { Next } from "./next.js";
import { Heads } from "./heads.js";
import { Lens } from "./lens.js";

const REQUEST_DELAY = 30;  // ms after a keystroke

export class Panel {
  constructor(state, { names, sources, changed, shareText }, number) {
    Object.assign(this, { state, names, sources, changed, shareText });
    this.latest = { text: new LatestRequest(), head: new LatestRequest(), next: new LatestRequest() };
    this.writing = new Writing(this);
    this.tokens = new Tokens(this);
    this.next = new Next(this);
    this.heads = new Heads(this);
    this.lens = new Lens(this);
    this.root = el("section", { class: "panel", "aria-label": number ? "Second model" : "First model" },
      this.writing.root, this.tokens.root, this.next.root, this.heads.root, this.lens.root);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.isDrawn && this.draw();
    this.scheme.addEventListener("change", this.redraw);
    this.open();
  }

  end() {
    this.stop();
    clearTimeout(this.timer);
    Object.values(this.latest).forEach((request) => request.end());
    this.scheme.removeEventListener("change", this.redraw);
    this.heads.end();
  }

  // ── what changes the state ──

  async open() {
    try {
      this.sizes = await get(`models/${this.state.model}`);
      this.writing.showSizes(this.sizes);
      if (this.state.text === null) this.writing.text = this.state.text = this.sizes.example;
      this.state.layer = Math.min(this.state.layer, this.sizes.n_layers - 1);
      this.state.head = Math.min(this.state.head, this.sizes.n_heads - 1);
      this.state.off = this.state.off.filter(([l, h]) => l < this.sizes.n_layers && h < this.sizes.n_heads);
      await this.updateAll();
    } catch (error) { this.failed(error); }
  }

  chooseModel(index) {
    this.stop();
    const isExample = this.writing.text === this.sizes?.example;  // the new model brings its own
    Object.assign(this.state, { model: index, more: [], text: isExample ? null : this.writing.text });
    this.open();
  }

  type(text) {
    this.stop();
    Object.assign(this.state, { text, more: [], position: null });
    this.update();
  }

  // Take the text of the other panel, without sending it back there.
  follow(text) {
    if (!this.answer || this.answer.text === text) return;
    this.writing.text = text;
    this.type(text);
    this.isFollowing = true;
  }

  choosePosition(position) {
    this.state.position = position === this.answer.tokens.length - 1 ? null : position;
    this.draw();
    this.updateNext();
  }

  chooseHead(layer, head) {
    Object.assign(this.state, { layer, head });
    this.heads.markChosen();
    this.updateHead();
  }

  switchHead() {
    const { layer, head, off } = this.state;
    const rest = off.filter(([l, h]) => l !== layer || h !== head);
    this.state.off = rest.length < off.length ? rest : [...off, [layer, head]];
    this.update();
  }

  allOn() { this.state.off = []; this.update(); }

  sample(changes) { Object.assign(this.state, changes); this.updateNext(); }

  // Append a token after the chosen one. The tokens that came after it before are dropped.
  take(id) {
    this.stop();
    const { tokens, is_start: isStart } = this.answer;
    const at = this.state.position ?? tokens.length - 1;
    const inText = tokens.length - this.state.more.length;
    if (at >= inText - 1 && !isStart) this.state.more = [...this.state.more.slice(0, at - inText + 1), id];
    else Object.assign(this.state, { text: "", more: [...tokens.slice(0, at + 1).map((t) => t.id), id] });
    this.state.position = null;
    this.update();
  }

  back() {
    this.stop();
    this.state.position = null;
    if (this.state.more.length) this.state.more = this.state.more.slice(0, -1);
    this.update();
  }

  async run() {
    this.stop();
    this.running = new AbortController();
    this.writing.showRunning(true);
    this.state.position = null;
    const { signal } = this.running;
    try {
      for await (const token of events("write", { ...this.query(), ...this.sampling(), n: 64 }, signal)) {
        if (this.answer?.is_start && !this.state.more.length) this.state.more = [this.answer.tokens[0].id];
        this.state.more = [...this.state.more, token.id];
        this.update(false);
      }
    } catch (error) { this.failed(error); }
    if (!signal.aborted) this.stop();
  }

  stop() {
    this.isFollowing = false;
    this.running?.abort();
    this.running = null;
    this.writing.showRunning(false);
  }

  // ── requests ──

  query() {
    const { model, text, more, off } = this.state;
    return { model, text, more, off };
  }

  sampling() {
    const { temperature, topK, topP } = this.state;
    return { temperature, ...(topK ? { top_k: topK } : {}), ...(topP < 1 ? { top_p: Math.max(0.01, topP) } : {}) };
  }

  nextQuery() {
    const { position } = this.state;
    return { ...this.query(), ...this.sampling(), ...(position === null ? {} : { position }) };
  }

  // Update all pictures soon. This aborts a request for an older text, except while the model
  // writes (`abortsOlder` false): each token would abort the request of the one before it.
  update(abortsOlder = true) {
    this.isWaiting = true;
    if (this.timer || (this.pending && !abortsOlder)) return;
    this.timer = setTimeout(() => { this.timer = null; this.updateAll(); }, REQUEST_DELAY);
  }

  async updateAll() {
    const signal = this.latest.text.start();
    const { layer, head } = this.state;
    this.isWaiting = false;
    this.pending = signal;
    this.changed();
    try {
      const answer = await post("look", { ...this.nextQuery(), layer, head }, signal);
      Object.assign(this, { answer, weights: answer.head, nextAnswer: answer.next, isDrawn: true });
      // A shorter text, or a shared address, may not have the chosen position.
      if (this.state.position >= answer.tokens.length) { this.state.position = null; this.changed(); }
      this.writing.showAnswer(answer, this.state);
      this.draw();
      if (!this.isFollowing) this.shareText(answer.text);
    } catch (error) { this.failed(error); }
    if (this.pending === signal) this.pending = null;
    if (this.isWaiting && !this.pending) this.update(false);
  }

  updateHead() {
    const { layer, head } = this.state;
    return this.updateOne("head", { ...this.query(), layer, head }, (answer) => { this.weights = answer; this.draw(); });
  }

  updateNext() {
    return this.updateOne("next", this.nextQuery(), (answer) => { this.nextAnswer = answer; this.next.draw(answer); });
  }

  async updateOne(name, query, show) {
    this.changed();
    try { show(await post(name, query, this.latest[name].start())); } catch (error) { this.failed(error); }
  }

  failed(error) {
    if (error.name !== "AbortError") this.writing.showError(error);
  }

  draw() {
    this.tokens.draw(this.answer, this.weights);
    this.next.draw(this.nextAnswer);
    this.heads.draw(this.answer, this.weights);
    this.lens.draw(this.answer);
  }
}
