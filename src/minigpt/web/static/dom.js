// Small helpers for elements.

// Create an element: el("button", { type: "button", onclick: f }, "text", child).
// An attribute or child that is null is left out.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    const isAria = name.startsWith("aria-");  // for these, false is a value
    if (value === null || value === undefined || (value === false && !isAria)) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else element.setAttribute(name, value === true && !isAria ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Replace the children of an element. The focus stays on the child with the same data-key.
export function replace(parent, ...children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  parent.replaceChildren(...children);
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

// Move between the buttons of an element with the arrow keys; Tab reaches only the chosen button.
export function arrows(parent, columns = () => 1) {
  parent.addEventListener("keydown", (event) => {
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(),
      Home: -Infinity, End: Infinity,
    };
    const buttons = [...parent.querySelectorAll("[data-key]")];
    const at = buttons.indexOf(document.activeElement);
    if (!(event.key in steps) || at < 0) return;
    event.preventDefault();
    const to = at + steps[event.key];
    const next = buttons[Math.max(0, Math.min(buttons.length - 1, to))];
    if (Number.isFinite(to) && (to < 0 || to >= buttons.length)) return;
    next.focus();
    next.click();
  });
}

export function percent(share) {
  const value = 100 * share;
  if (value === 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  return `${value.toFixed(value < 99.95 ? 1 : 0)} %`;
}

// Create a section with a title, a sentence on how to read it, and its contents.
export function card(name, title, about, ...children) {
  return el("section", { class: `card ${name}`, "aria-label": title },
    el("h2", {}, title), el("p", { class: "about" }, about), ...children);
}
