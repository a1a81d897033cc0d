// The address of the page holds its state, after the #. A browser never sends that part to a server.
// The names that belong to a second panel end in 2.

const INTEGERS = new Set(["model", "layer", "head", "position", "topK"]);
const NUMBERS = new Set(["temperature", "topP"]);

export const DEFAULTS = {
  model: 0, text: "", more: [], off: [], layer: 0, head: 0, position: null,
  temperature: 1, topK: 0, topP: 1,
};

export function readAddress() {
  const params = new URLSearchParams(location.hash.slice(1));
  const panels = [readPanel(params, "")];
  if (params.has("compare")) panels.push(readPanel(params, "2"));
  const isSame = params.get("compare") === "same";
  return { tab: params.get("tab") ?? "look", panels, isSame, isNew: !params.has("text") };
}

function readPanel(params, suffix) {
  const panel = structuredClone(DEFAULTS);
  for (const name of Object.keys(DEFAULTS)) {
    const value = params.get(name + suffix);
    if (value === null) continue;
    if (INTEGERS.has(name)) panel[name] = /^\d{1,6}$/.test(value) ? Number(value) : panel[name];
    else if (NUMBERS.has(name)) panel[name] = Number(value) >= 0 ? Number(value) : panel[name];
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
  const params = new URLSearchParams();
  if (last.tab !== "look") params.set("tab", last.tab);
  last.panels.forEach((panel, i) => {
    if (i) params.set("compare", last.isSame ? "same" : "1");
    for (const [name, byDefault] of Object.entries(DEFAULTS)) {
      let value = panel[name];
      if (name === "more") value = value.join(".");
      if (name === "off") value = value.map((pair) => pair.join(".")).join(",");
      const isDefault = String(value ?? "") === String(byDefault ?? "");
      if (!isDefault || name === "text") params.set(name + (i ? "2" : ""), value ?? "");
    }
  });
  // Keep what the tab Learn has written: see learn_address.js.
  for (const [name, value] of before) if (name.startsWith("learn.")) params.set(name, value);
  history.replaceState(null, "", `#${params}`);
}
