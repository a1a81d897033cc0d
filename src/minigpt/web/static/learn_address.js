// The state of the tab Learn in the address: the lesson, its step, what the page shows of it, and
// its settings, so that it can be started again after it has ended. Each name begins with "learn.".

export const SETTINGS = [
  "n_layers", "n_heads", "d_model", "block_size", "batch_size", "steps", "learning_rate",
  "optimizer", "dropout", "tokenizer", "vocab_size", "seed", "text",
];
const MAX_TEXT_CHARS = 3000;  // a longer text is left out of the address
const OTHERS = ["lesson", "step", "head", "slow", "row", "own"];

// Read the state from the address. All values are strings; a name that is not there is left out.
export function readLearn() {
  const params = new URLSearchParams(location.hash.slice(1));
  const state = { settings: {} };
  for (const name of OTHERS) if (params.has(`learn.${name}`)) state[name] = params.get(`learn.${name}`);
  for (const name of SETTINGS) {
    if (params.has(`learn.${name}`)) state.settings[name] = params.get(`learn.${name}`);
  }
  return state;
}

export function writeLearn(state) {
  const params = new URLSearchParams(location.hash.slice(1));
  params.set("tab", "learn");
  for (const name of [...OTHERS, ...SETTINGS]) params.delete(`learn.${name}`);
  for (const name of OTHERS) {
    if (state[name] !== undefined && state[name] !== null) params.set(`learn.${name}`, state[name]);
  }
  for (const [name, value] of Object.entries(state.settings)) {
    if (name !== "text" || value.length <= MAX_TEXT_CHARS) params.set(`learn.${name}`, value);
  }
  history.replaceState(null, "", `#${params}`);
}
