// The state of the page is in its address, after the #, which a browser sends to no server.
// Of a second panel the names end in 2.

const WHOLE = new Set(["model", "layer", "head", "position", "topK"]);
const NUMBER = new Set(["temperature", "topP"]);

export const DEFAULTS = {
  model: 0, text: "", more: [], off: [], layer: 0, head: 0, position: null,
  temperature: 1, topK: 0, topP: 1,
};

export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const panels = [readPanel(given, "")];
  if (given.has("compare")) panels.push(readPanel(given, "2"));
  const isSame = given.get("compare") === "same";
  return { tab: given.get("tab") ?? "look", panels, isSame, isNew: !given.has("text") };
}

function readPanel(given, end) {
  const panel = structuredClone(DEFAULTS);
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name + end);
    if (value === null) continue;
    if (WHOLE.has(name)) panel[name] = /^\d{1,6}$/.test(value) ? Number(value) : panel[name];
    else if (NUMBER.has(name)) panel[name] = Number(value) >= 0 ? Number(value) : panel[name];
    else if (name === "more") panel.more = (value.match(/\d{1,6}/g) ?? []).map(Number);
    else if (name === "off") {
      panel.off = (value.match(/\d{1,3}\.\d{1,3}/g) ?? []).map((p) => p.split(".").map(Number));
    } else panel[name] = value;
  }
  return panel;
}

let last = null;

export function writeAddress(changes) {
  const before = new URLSearchParams(location.hash.slice(1));
  last ??= before.has("text") ? readAddress() : { panels: [] };
  last = { ...last, ...changes };
  const given = new URLSearchParams();
  if (last.tab !== "look") given.set("tab", last.tab);
  last.panels.forEach((panel, i) => {
    if (i) given.set("compare", last.isSame ? "same" : "1");
    for (const [name, usual] of Object.entries(DEFAULTS)) {
      let value = panel[name];
      if (name === "more") value = value.join(".");
      if (name === "off") value = value.map((pair) => pair.join(".")).join(",");
      const isUsual = String(value ?? "") === String(usual ?? "");
      if (!isUsual || name === "text") given.set(name + (i ? "2" : ""), value ?? "");
    }
  });
  // What the tab Learn has written stays: see learn_address.js.
  for (const [name, value] of before) if (name.startsWith("learn.")) given.set(name, value);
  history.replaceState(null, "", `#${given}`);
}
