// The stages of a training step. Each one explains what happens, and shows its numbers.

import { el } from "./dom.js";

const MAX_NATS = 8;  // the loss with the strongest colour

export const STAGES = [
  { name: "batch", title: "Batch", draw: batch, isOfRow: true },
  { name: "forward", title: "Forward", draw: forward },
  { name: "losses", title: "Loss", draw: losses, isOfRow: true },
  { name: "backward", title: "Backward", draw: backward },
  { name: "update", title: "Update", draw: update },
];

const explain = (text) => el("p", { class: "explanation" }, text);
const number = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toString());
const fixed = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits));

function batch({ x, y, pieces }, row) {
  const strip = (ids, label) => el("ol", { class: "strip plain", "aria-label": label },
    ids.map((id) => el("li", { class: "token still", title: `id ${id}` }, pieces[id])));
  return [
    explain(`The batch has ${x.length} windows of ${x[0].length} tokens each, cut from random places in the text. At every token `
      + "of a window, the model predicts the next one. The right answers are the same window, one token later."),
    el("h4", {}, "What it reads"), strip(x[row], "What it reads"),
    el("h4", {}, "The right answers"), strip(y[row], "The right answers"),
  ];
}

function forward({ stations }) {
  return [
    explain("The numbers go through the layers: each token becomes a vector, each block adds to it, and the head turns it into "
      + "a score for every token of the vocabulary. A bar shows the length of a layer's output, all its numbers taken as one vector."),
    stationTable(stations, "norm", ["layer", "shape", "length of its output"], (station) => `(${station.shape.join(", ")})`),
  ];
}

function losses({ y, losses: all, losses_after: after, loss, pieces, stations }, row) {
  const V = stations.at(-1).shape.at(-1);
  return [
    explain(`The loss at a token is −ln of the probability that the model gave to the right answer. The mean over all ${all.length * all[0].length} tokens `
      + `is ${fixed(loss)} nats; guessing evenly among ${V} tokens would cost ${Math.log(V).toFixed(3)}. The stronger the colour, `
      + "the greater the loss."),
    el("ol", { class: "strip plain", "aria-label": "The right tokens, with the loss at each" }, y[row].map((id, t) =>
      el("li", { class: "token still loss", style: { "--share": Math.min(1, all[row][t] / MAX_NATS) },
        title: `${fixed(all[row][t], 2)} nats` }, pieces[id]))),
    table("The numbers as a table", ["token", "loss, nats", "after the update"], y[row].map((id, t) =>
      [pieces[id], fixed(all[row][t], 2), fixed(after[row][t], 2)])),
  ];
}

function backward({ stations, gradient_norm: norm }) {
  return [
    explain("Now back, from the head to the embedding: the gradient of a number says how the loss would change with that number. "
      + `The gradients of all parameters form one vector of length ${fixed(norm)}.`),
    stationTable([...stations].reverse(), "gradient", ["layer", "gradients of its parameters", "length of the gradient at its output"],
      ({ parameters }) => el("details", {}, el("summary", {}, `${Object.keys(parameters).length} of them`),
        el("ul", {}, Object.entries(parameters).map(([name, value]) => el("li", {}, `${name}: ${number(value)}`))))),
  ];
}

function update({ changes, clip, gradient_norm: norm, learning_rate: rate, loss, loss_after: after }) {
  const clipped = norm > clip ? `is clipped from length ${fixed(norm)} to ${clip}` : `has length ${fixed(norm)}, at most ${clip}, so it is not clipped`;
  const longest = Math.max(...changes.map((change) => Math.abs(change.after - change.before)), 1e-12);
  return [
    explain(`The gradient ${clipped}. The optimizer moves every parameter a little against its gradient, with learning rate ${rate.toPrecision(3)}. `
      + `On the same batch the loss goes from ${fixed(loss)} to ${fixed(after)} nats.`),
    el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers that change most" },
      el("table", { class: "bars-table" }, el("caption", {}, "The numbers that change most, from the dot to the diamond: a number grows if the diamond is on the right"),
        head(["number", "change", "before", "after", "gradient"]),
        el("tbody", {}, changes.map((change) => el("tr", {},
          el("th", { scope: "row" }, breakable(`${change.name}[${change.index.join(", ")}]`)),
          el("td", {}, el("span", { class: "move", style: { "--by": (change.after - change.before) / longest }, "aria-hidden": "true" },
            el("i", { class: "dot" }), el("i", { class: "diamond" }))),
          el("td", {}, fixed(change.before, 5)), el("td", {}, fixed(change.after, 5)), el("td", {}, number(change.gradient))))))),
  ];
}

// Allow a line break after each point of a long name.
const breakable = (name) => name.split(/(?<=[.])/).flatMap((part) => [part, el("wbr")]);

const head = (names) => el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name))));

// A table of the layers in the order of computation. Their bars grow one after another.
function stationTable(stations, of, names, second) {
  const longest = Math.max(...stations.map((station) => station[of] ?? 0), 1e-12);
  return el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": names[2] },
    el("table", { class: "bars-table" }, head(names), el("tbody", {}, stations.map((station, i) =>
      el("tr", {}, el("th", { scope: "row" }, station.name), el("td", {}, second(station)),
        el("td", {}, el("span", { class: "inline-bar passing", style: { "--share": (station[of] ?? 0) / longest, "--turn": i } }),
          station[of] === null ? "frozen" : number(station[of])))))));
}

function table(summary, names, rows) {
  return el("details", { class: "numbers" }, el("summary", {}, summary),
    el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": summary },
      el("table", {}, head(names), el("tbody", {}, rows.map(([first, ...rest]) =>
        el("tr", {}, el("th", { scope: "row" }, first), rest.map((value) => el("td", {}, value))))))));
}
