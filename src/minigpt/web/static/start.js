// Where a lesson is begun, a run is followed, or a lesson that others began is watched.

import { get, post } from "./ask.js";
import { card, el, replace } from "./dom.js";

const LABELS = {
  n_layers: "Blocks", n_heads: "Heads in each", d_model: "Width", block_size: "Context",
  tokenizer: "Tokenizer", vocab_size: "Vocabulary", batch_size: "Texts in a batch", steps: "Steps",
  learning_rate: "Learning rate", optimizer: "Optimizer", dropout: "Dropout", seed: "Seed",
};

export class Start {
  constructor(state, { message, unfit }, begun) {
    Object.assign(this, { state, begun });
    this.status = el("p", { class: "status", "aria-live": "polite" });
    this.grid = el("div", { class: "fields" });
    this.source = el("select", { onchange: () => this.showText() },
      el("option", { value: "plays" }, "the built-in plays"), el("option", { value: "own" }, "a text of mine"));
    this.text = el("textarea", {
      rows: 8, spellcheck: "false", "aria-label": "The text to learn from",
      placeholder: "Paste a text: some pages, better a book …",
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
      card("begin", "Train a model of your own",
        "It is made anew, of random numbers, and learns in this page. Half a minute is enough for words, "
        + "a few for lines that sound like the text.", this.form),
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

  field(name, known) {
    const value = this.state.settings[name] ?? known.default;
    const input = known.enum
      ? el("select", { name }, known.enum.map((one) => el("option", { value: one, selected: String(one) === String(value) }, one)))
      : el("input", { name, type: "number", min: known.minimum, max: known.maximum, step: known.type === "integer" ? 1 : "any", value });
    return el("label", {}, el("span", {}, LABELS[name]), input);
  }

  runs(names) {
    return card("runs", "Follow a run",
      names.length ? "Another process trains it, or has trained it; nothing is changed there."
        : "Give the folder of a run to minigpt explore, and it can be followed here while it trains.",
      el("div", { class: "buttons" }, names.map((name, i) =>
        el("button", { type: "button", onclick: () => this.watch(`run-${i}`) }, `Follow ${name}`))));
  }

  lessons(under) {
    if (!under.length) return "";
    return card("others", "Lessons under way", "Who watches one can also pause it, or take it back.",
      el("div", { class: "buttons" }, under.map(({ id, status, step, steps, n_watchers: n }) =>
        el("button", { type: "button", onclick: () => this.watch(id) },
          `Watch ${id}: ${status}, step ${step} of ${steps}, ${n} watching`))));
  }

  showText() { this.text.hidden = this.source.value !== "own"; }

  // How many tokens there are can be chosen of one tokenizer only: the others take what they find.
  showFields() {
    this.grid.querySelector("[name=vocab_size]").disabled = this.grid.querySelector("[name=tokenizer]").value !== "bpe";
  }

  // Only what differs from what is usual is asked for, and put into the address.
  chosen() {
    const settings = {};
    for (const input of this.grid.querySelectorAll("[name]")) {
      if (input.disabled) continue;
      const known = this.fields[input.name];
      const value = typeof known.default !== "number" ? input.value : input.value === "" ? null : Number(input.value);
      if (value !== known.default) settings[input.name] = value;
    }
    if (this.source.value === "own") settings.text = this.text.value;
    return settings;
  }

  async begin() {
    const settings = this.chosen();
    const told = (all) => String(Object.entries(all).sort());
    const isSame = told(settings) === told(this.state.settings);
    this.button.disabled = true;
    this.clear();
    try {
      this.checkText(settings.text ?? "");
      const { id } = await post("lessons", settings);
      const steps = isSame ? Number(this.state.step) : 0;  // an address may tell where it stood
      await (steps ? post(`lessons/${id}/step`, { n: steps }) : post(`lessons/${id}/run`, {}));
      Object.assign(this.state, { settings, own: "text" in settings ? 1 : null, lesson: id });
      this.begun(isSame);
    } catch (error) { this.fail(error); }
    this.button.disabled = false;
  }

  watch(id) {
    Object.assign(this.state, { settings: {}, own: null, lesson: id });
    this.begun(false);
  }

  // A text that is too long is not sent. (An attribute would cut what is pasted, without a word.)
  checkText(text) {
    const most = this.fields.text.maxLength;
    const letters = text.length > most ? [...text] : text;  // a letter may be two of UTF-16
    if (letters.length <= most) return;
    const error = new Error(`The text has ${letters.length.toLocaleString("en")} characters, and at most ${most.toLocaleString("en")} are learned from.`);
    error.unfit = { field: "text", offer: letters.slice(0, most).join(""), said: `Take the first ${most.toLocaleString("en")}` };
    throw error;
  }

  // What is wrong is said where it can be changed, with a value that works where one is known.
  fail({ message, unfit }) {
    this.clear();
    this.status.classList.add("error");
    const told = unfit && unfit.field in LABELS ? message.replace(new RegExp(`^${unfit.field}\\b`), LABELS[unfit.field]) : message;
    this.status.textContent = told.charAt(0).toUpperCase() + told.slice(1);
    const input = unfit && (unfit.field === "text" ? this.text : this.grid.querySelector(`[name="${CSS.escape(unfit.field)}"]`));
    if (!input) return;
    const offer = unfit.offer === null ? null : el("button", { type: "button", onclick: () => this.takeOffer(input, unfit.offer) },
      unfit.said ?? `Take ${unfit.offer}`);
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
