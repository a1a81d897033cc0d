// The form that starts a lesson; below it, the runs to follow and the lessons of others to watch.

import { get, post } from "./ask.js";
import { card, el, replace } from "./dom.js";

const LABELS = {
  n_layers: "Blocks", n_heads: "Heads per block", d_model: "Width", block_size: "Context",
  tokenizer: "Tokenizer", vocab_size: "Vocabulary", batch_size: "Texts in a batch", steps: "Steps",
  learning_rate: "Learning rate", optimizer: "Optimizer", dropout: "Dropout", seed: "Seed",
};

export class Start {
  constructor(state, { message, unfit }, started) {
    Object.assign(this, { state, started });
    this.status = el("p", { class: "status", "aria-live": "polite" });
    this.grid = el("div", { class: "fields" });
    this.source = el("select", { onchange: () => this.showText() },
      el("option", { value: "plays" }, "the built-in plays"), el("option", { value: "own" }, "my own text"));
    this.text = el("textarea", {
      rows: 8, spellcheck: "false", "aria-label": "The text to learn from",
      placeholder: "Paste a text: a few pages, or better, a book …",
    });
    this.source.value = state.own ? "own" : "plays";
    this.text.value = state.settings.text ?? "";
    this.button = el("button", { type: "submit", class: "main", disabled: true }, "Start training");
    this.form = el("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.begin(); } },
      el("div", { class: "fields first" }, el("label", {}, el("span", {}, "Learn from"), this.source)), this.text,
      this.grid, el("div", { class: "buttons" }, this.button), this.status);
    this.grid.addEventListener("input", () => this.showFields());
    this.lists = el("div", { class: "lists" });
    this.root = el("div", { class: "start" },
      card("begin", "Train your own model",
        "A new model starts from random numbers and learns while you watch. Half a minute is enough for words, "
        + "a few minutes for lines that sound like the text.", this.form),
      this.lists);
    this.showText();
    if (message) this.fail({ message });
    this.load(unfit && { message, unfit });
  }

  end() {}

  async load(error) {
    try {
      const { runs, lessons, fields } = await get("lessons");
      this.fields = fields.properties;
      this.button.disabled = false;
      replace(this.grid, ...Object.keys(LABELS).map((name) => this.field(name, this.fields[name])));
      replace(this.lists, this.runs(runs), this.lessons(lessons));
      this.showFields();
      if (error) this.fail(error);
    } catch (failed) { this.fail(failed); }
  }

  field(name, schema) {
    const value = this.state.settings[name] ?? schema.default;
    const input = schema.enum
      ? el("select", { name }, schema.enum.map((one) => el("option", { value: one, selected: String(one) === String(value) }, one)))
      : el("input", { name, type: "number", min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? 1 : "any", value });
    return el("label", {}, el("span", {}, LABELS[name]), input);
  }

  runs(names) {
    return card("runs", "Follow a run",
      names.length ? "Another process trains this run, or has trained it. This page only reads it."
        : "Start minigpt explore with the folder of a run to follow the run here while it trains.",
      el("div", { class: "buttons" }, names.map((name, i) =>
        el("button", { type: "button", onclick: () => this.watch(`run-${i}`) }, `Follow ${name}`))));
  }

  lessons(running) {
    if (!running.length) return "";
    return card("others", "Lessons in progress", "Everyone who watches a lesson can pause it or go back.",
      el("div", { class: "buttons" }, running.map(({ id, status, step, steps, n_watchers: n }) =>
        el("button", { type: "button", onclick: () => this.watch(id) },
          `Watch ${id}: ${status}, step ${step} of ${steps}, ${n} watching`))));
  }

  showText() { this.text.hidden = this.source.value !== "own"; }

  // Only BPE has a choice of vocabulary size: the other tokenizers take all characters or words of the text.
  showFields() {
    this.grid.querySelector("[name=vocab_size]").disabled = this.grid.querySelector("[name=tokenizer]").value !== "bpe";
  }

  // Return the settings that differ from their defaults: only these are sent, and put into the address.
  chosen() {
    const settings = {};
    for (const input of this.grid.querySelectorAll("[name]")) {
      if (input.disabled) continue;
      const schema = this.fields[input.name];
      const value = typeof schema.default !== "number" ? input.value : input.value === "" ? null : Number(input.value);
      if (value !== schema.default) settings[input.name] = value;
    }
    if (this.source.value === "own") settings.text = this.text.value;
    return settings;
  }

  async begin() {
    const settings = this.chosen();
    const sorted = (all) => String(Object.entries(all).sort());
    const isSame = sorted(settings) === sorted(this.state.settings);
    this.button.disabled = true;
    this.clear();
    try {
      this.checkText(settings.text ?? "");
      const { id } = await post("lessons", settings);
      const steps = isSame ? Number(this.state.step) : 0;  // the step of the lesson in the address
      await (steps ? post(`lessons/${id}/step`, { n: steps }) : post(`lessons/${id}/run`, {}));
      Object.assign(this.state, { settings, own: "text" in settings ? 1 : null, lesson: id });
      this.started(isSame);
    } catch (error) { this.fail(error); }
    this.button.disabled = false;
  }

  watch(id) {
    Object.assign(this.state, { settings: {}, own: null, lesson: id });
    this.started(false);
  }

  // Refuse a text that is too long. (The attribute maxlength would cut a pasted text silently.)
  checkText(text) {
    const limit = this.fields.text.maxLength;
    const characters = text.length > limit ? [...text] : text;  // a character may be two UTF-16 units
    if (characters.length <= limit) return;
    const error = new Error(`The text has ${characters.length.toLocaleString("en")} characters; at most ${limit.toLocaleString("en")} are allowed.`);
    error.unfit = { field: "text", offer: characters.slice(0, limit).join(""), label: `Take the first ${limit.toLocaleString("en")}` };
    throw error;
  }

  // Show an error at the field that is wrong, with a button for a value that works, if there is one.
  fail({ message, unfit }) {
    this.clear();
    this.status.classList.add("error");
    const text = unfit && unfit.field in LABELS ? message.replace(new RegExp(`^${unfit.field}\\b`), LABELS[unfit.field]) : message;
    this.status.textContent = text.charAt(0).toUpperCase() + text.slice(1);
    const input = unfit && (unfit.field === "text" ? this.text : this.grid.querySelector(`[name="${CSS.escape(unfit.field)}"]`));
    if (!input) return;
    const offer = unfit.offer === null ? null : el("button", { type: "button", onclick: () => this.takeOffer(input, unfit.offer) },
      unfit.label ?? `Take ${unfit.offer}`);
    if (offer) this.status.append(" ", offer);
    this.status.id = "wrong";
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", "wrong");
    (input === this.text ? input : input.closest("label")).after(this.status);
    input.focus();
  }

  takeOffer(input, value) {
    input.value = value;
    this.clear();
    this.showFields();
    input.focus();
  }

  clear() {
    for (const input of this.root.querySelectorAll("[aria-invalid=true]")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    this.status.classList.remove("error");
    this.status.textContent = "";
    this.form.append(this.status);
  }
}
