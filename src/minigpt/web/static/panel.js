// A panel: a text in a model, and all pictures of it. It asks the server when its state changes;
// the pictures only draw, and say what was clicked.

import { get, post, events, Newest } from "./ask.js";
import { el } from "./dom.js";
import { Writing } from "./writing.js";
import { Tokens } from "./tokens.js";
import { Next } from "./next.js";
import { Heads } from "./heads.js";
import { Lens } from "./lens.js";

const PAUSE = 30;  // ms after a keystroke

export class Panel {
  constructor(state, known, changed, tell, number) {
    Object.assign(this, { state, changed, tell, known });
    this.newest = { text: new Newest(), head: new Newest(), next: new Newest() };
    this.writing = new Writing(this);
    this.tokens = new Tokens(this);
    this.next = new Next(this);
    this.heads = new Heads(this);
    this.lens = new Lens(this);
    this.root = el("section", { class: "panel", "aria-label": number ? "Second model" : "First model" },
      this.writing.root, this.tokens.root, this.next.root, this.heads.root, this.lens.root);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.drawn && this.draw();
    this.scheme.addEventListener("change", this.redraw);
    this.open();
  }

  end() {
    this.stop();
    clearTimeout(this.timer);
    Object.values(this.newest).forEach((one) => one.end());
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
      await this.askAll();
    } catch (error) { this.failed(error); }
  }

  chooseModel(index) {
    this.stop();
    const isOfModel = this.writing.text === this.sizes?.example;  // and not the reader's
    Object.assign(this.state, { model: index, more: [], text: isOfModel ? null : this.writing.text });
    this.open();
  }

  type(text) {
    this.stop();
    Object.assign(this.state, { text, more: [], position: null });
    this.ask();
  }

  // Take over the text of the other panel, and do not tell it back.
  follow(text) {
    if (!this.answer || this.answer.text === text) return;
    this.writing.text = text;
    this.type(text);
    this.isLed = true;
  }

  choosePosition(position) {
    this.state.position = position === this.answer.tokens.length - 1 ? null : position;
    this.draw();
    this.askNext();
  }

  chooseHead(layer, head) {
    Object.assign(this.state, { layer, head });
    this.heads.markChosen();
    this.askHead();
  }

  switchHead() {
    const { layer, head, off } = this.state;
    const rest = off.filter(([l, h]) => l !== layer || h !== head);
    this.state.off = rest.length < off.length ? rest : [...off, [layer, head]];
    this.ask();
  }

  allOn() { this.state.off = []; this.ask(); }

  sample(changes) { Object.assign(this.state, changes); this.askNext(); }

  // Go on with a token after the chosen one. What stood behind it is another branch, and left.
  take(id) {
    this.stop();
    const { tokens, is_start: isStart } = this.answer;
    const at = this.state.position ?? tokens.length - 1;
    const inText = tokens.length - this.state.more.length;
    if (at >= inText - 1 && !isStart) this.state.more = [...this.state.more.slice(0, at - inText + 1), id];
    else Object.assign(this.state, { text: "", more: [...tokens.slice(0, at + 1).map((t) => t.id), id] });
    this.state.position = null;
    this.ask();
  }

  back() {
    this.stop();
    this.state.position = null;
    if (this.state.more.length) this.state.more = this.state.more.slice(0, -1);
    this.ask();
  }

  async run() {
    this.stop();
    this.running = new AbortController();
    this.writing.showRunning(true);
    this.state.position = null;
    const { signal } = this.running;
    try {
      for await (const token of events("write", { ...this.asked(), ...this.sampling(), n: 64 }, signal)) {
        if (this.answer?.is_start && !this.state.more.length) this.state.more = [this.answer.tokens[0].id];
        this.state.more = [...this.state.more, token.id];
        this.ask(false);
      }
    } catch (error) { this.failed(error); }
    if (!signal.aborted) this.stop();
  }

  stop() {
    this.isLed = false;
    this.running?.abort();
    this.running = null;
    this.writing.showRunning(false);
  }

  // ── asking ──

  asked() {
    const { model, text, more, off } = this.state;
    return { model, text, more, off };
  }

  sampling() {
    const { temperature, topK, topP } = this.state;
    return { temperature, ...(topK ? { top_k: topK } : {}), ...(topP < 1 ? { top_p: Math.max(0.01, topP) } : {}) };
  }

  askedNext() {
    const { position } = this.state;
    return { ...this.asked(), ...this.sampling(), ...(position === null ? {} : { position }) };
  }

  // Ask soon. The newest wins: what is still under way for an older text is dropped, unless a
  // model writes so fast that nothing would ever be drawn.
  ask(newestWins = true) {
    this.waiting = true;
    if (this.timer || (this.busy && !newestWins)) return;
    this.timer = setTimeout(() => { this.timer = null; this.askAll(); }, PAUSE);
  }

  async askAll() {
    const signal = this.newest.text.start();
    const { layer, head } = this.state;
    this.waiting = false;
    this.busy = signal;
    this.changed();
    try {
      const answer = await post("look", { ...this.askedNext(), layer, head }, signal);
      Object.assign(this, { answer, weights: answer.head, following: answer.next, drawn: true });
      // In a shorter text, or by a shared address, the chosen token may not be there.
      if (this.state.position >= answer.tokens.length) { this.state.position = null; this.changed(); }
      this.writing.showAnswer(answer, this.state);
      this.draw();
      if (!this.isLed) this.tell(answer.text);
    } catch (error) { this.failed(error); }
    if (this.busy === signal) this.busy = null;
    if (this.waiting && !this.busy) this.ask(false);
  }

  askHead() {
    const { layer, head } = this.state;
    return this.askOne("head", { ...this.asked(), layer, head }, (got) => { this.weights = got; this.draw(); });
  }

  askNext() {
    return this.askOne("next", this.askedNext(), (got) => { this.following = got; this.next.draw(got); });
  }

  async askOne(name, asked, then) {
    this.changed();
    try { then(await post(name, asked, this.newest[name].start())); } catch (error) { this.failed(error); }
  }

  failed(error) {
    if (error.name !== "AbortError") this.writing.showError(error);
  }

  draw() {
    this.tokens.draw(this.answer, this.weights);
    this.next.draw(this.following);
    this.heads.draw(this.answer, this.weights);
    this.lens.draw(this.answer);
  }
}
