// The stages of a training step: each says what happens, and shows it.

import { el } from "./dom.js";

const MOST_NATS = 8;  // a loss from which all tokens are coloured alike

export const STAGES = [
  { name: "batch", title: "Batch", draw: batch, isOfRow: true },
  { name: "forward", title: "Forward", draw: forward },
  { name: "losses", title: "Loss", draw: losses, isOfRow: true },
  { name: "backward", title: "Backward", draw: backward },
  { name: "update", title: "Update", draw: update },
];

const say = (text) => el("p", { class: "told" }, text);
const number = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toString());
const fixed = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits));

function batch({ x, y, pieces }, row) {
  const strip = (ids, label) => el("ol", { class: "strip plain", "aria-label": label },
    ids.map((id) => el("li", { class: "token still", title: `id ${id}` }, pieces[id])));
  return [
    say(`${x.length} windows of ${x[0].length} tokens, drawn from anywhere in the text. The model reads each, and shall `
      + "say at every token what comes next; right is the same window, one token later."),
    el("h4", {}, "What it reads"), strip(x[row], "What it reads"),
    el("h4", {}, "What is right"), strip(y[row], "What is right"),
  ];
}

function forward({ stations }) {
  return [
    say("The numbers go through the layers: vectors for the tokens, what each block adds to them, and at last a score "
      + "for every token of the vocabulary. The bars are the lengths of all these numbers taken together."),
    stationTable(stations, "norm", ["layer", "shape", "length of what it gives"], (station) => `(${station.shape.join(", ")})`),
  ];
}

function losses({ y, losses: all, losses_after: after, loss, pieces, stations }, row) {
  const V = stations.at(-1).shape.at(-1);
  return [
    say(`The loss at a token is −ln of the probability that the right one got. The mean of all ${all.length * all[0].length} is `
      + `${fixed(loss)} nats; guessing evenly among ${V} tokens would cost ${Math.log(V).toFixed(3)}. The stronger the colour, `
      + "the greater the surprise."),
    el("ol", { class: "strip plain", "aria-label": "The right tokens, with the loss at each" }, y[row].map((id, t) =>
      el("li", { class: "token still loss", style: { "--share": Math.min(1, all[row][t] / MOST_NATS) },
        title: `${fixed(all[row][t], 2)} nats` }, pieces[id]))),
    table("The numbers as a table", ["token", "loss, nats", "after the update"], y[row].map((id, t) =>
      [pieces[id], fixed(all[row][t], 2), fixed(after[row][t], 2)])),
  ];
}

function backward({ stations, gradient_norm: norm }) {
  return [
    say("Now back: the gradient says how the loss would change with every number on the way, layer by layer, from the head "
      + `down to the embedding. With those of all parameters it is a vector of the length ${fixed(norm)}.`),
    stationTable([...stations].reverse(), "gradient", ["layer", "gradients of its parameters", "length of the gradient that comes to it"],
      ({ parameters }) => el("details", {}, el("summary", {}, `${Object.keys(parameters).length} of them`),
        el("ul", {}, Object.entries(parameters).map(([name, value]) => el("li", {}, `${name}: ${number(value)}`))))),
  ];
}

function update({ changes, clip, gradient_norm: norm, learning_rate: rate, loss, loss_after: after }) {
  const clipped = norm > clip ? `is shortened from ${fixed(norm)} to ${clip}` : `is ${fixed(norm)} long, not longer than ${clip}, and taken as it is`;
  const longest = Math.max(...changes.map((change) => Math.abs(change.after - change.before)), 1e-12);
  return [
    say(`The gradient ${clipped}. The optimizer moves every number a little against it, at the learning rate ${rate.toPrecision(3)}. `
      + `On the same batch the loss goes from ${fixed(loss)} to ${fixed(after)} nats.`),
    el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers that change most" },
      el("table", { class: "bars-table" }, el("caption", {}, "The numbers that change most; one grows where the diamond is right of the dot"),
        head(["number", "change", "before", "after", "gradient"]),
        el("tbody", {}, changes.map((change) => el("tr", {},
          el("th", { scope: "row" }, breakable(`${change.name}[${change.index.join(", ")}]`)),
          el("td", {}, el("span", { class: "move", style: { "--by": (change.after - change.before) / longest }, "aria-hidden": "true" },
            el("i", { class: "dot" }), el("i", { class: "diamond" }))),
          el("td", {}, fixed(change.before, 5)), el("td", {}, fixed(change.after, 5)), el("td", {}, number(change.gradient))))))),
  ];
}

// A long name may go on in the next line after a point.
const breakable = (name) => name.split(/(?<=[.])/).flatMap((part) => [part, el("wbr")]);

const head = (names) => el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name))));

// The layers in the order in which they are passed; each bar grows when its turn comes.
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
