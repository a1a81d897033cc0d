// The text, and the buttons that let the model continue it.

import { el } from "./dom.js";

export class Writing {
  constructor(panel) {
    const { state, names } = panel;
    this.area = el("textarea", {
      rows: 4, spellcheck: "false", placeholder: "Type a text …",
      "aria-label": "Text", oninput: () => panel.type(this.area.value),
    });
    this.area.value = state.text ?? "";
    this.sizes = el("p", { class: "about" }, " ");
    this.status = el("p", { class: "status", "aria-live": "polite" });
    const button = (text, title, onclick) => el("button", { type: "button", title, onclick }, text);
    this.step = button("Step", "Append the most probable token", () => panel.take(panel.nextAnswer.candidates[0].id));
    this.write = button("Write", "Let the model continue the text; the sliders control the sampling", () =>
      panel.running ? panel.stop() : panel.run());
    this.back = button("Back", "Remove the last token", () => panel.back());
    this.root = el("section", { class: "card writing", "aria-label": "Text" },
      this.chooser(names, panel), this.area,
      el("div", { class: "buttons" }, this.step, this.write, this.back), this.status);
  }

  chooser(names, panel) {
    const choice = el("select", { "aria-label": "Model", onchange: () => panel.chooseModel(Number(choice.value)) },
      names.map((name, i) => el("option", { value: i, selected: i === panel.state.model }, name)));
    const title = names.length > 1 ? choice : el("h2", {}, names[0]);
    return el("div", { class: "model" }, title, this.sizes);
  }

  get text() { return this.area.value; }
  set text(text) { this.area.value = text; }

  showSizes(sizes) {
    const { n_layers: L, n_heads: H, d_model: C, vocab_size: V, max_len: T, n_parameters: N } = sizes;
    const count = (n) => n.toLocaleString("en");
    this.sizes.textContent =
      `${count(N)} parameters: ${L} blocks of ${H} heads, width ${C}, vocabulary ${count(V)}, context ${count(T)}`;
  }

  showAnswer(answer, state) {
    if (state.more.length) {
      this.area.value = answer.text;
      this.area.scrollTop = this.area.scrollHeight;
    }
    this.back.disabled = !state.more.length;
    const n = answer.tokens.length;
    let message = `${n} token${n === 1 ? "" : "s"}`;
    if (answer.n_dropped) message = `The model sees the last ${n} tokens; the ${answer.n_dropped} before them are dropped`;
    if (answer.is_start) message = "No text yet: this is how the model would begin one";
    this.showStatus(message);
  }

  showRunning(isRunning) {
    this.write.textContent = isRunning ? "Stop" : "Write";
    this.write.setAttribute("aria-pressed", isRunning);
  }

  showError({ message, unfit }) { this.showStatus(message, true, unfit?.field === "text"); }

  showStatus(message, isError = false, isTextInvalid = false) {
    this.status.classList.toggle("error", isError);
    this.status.textContent = message;
    this.area.setAttribute("aria-invalid", isTextInvalid);
  }
}
