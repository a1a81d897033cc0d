// The state of the tab Learn in the address, each name with "learn." before it: the lesson, where
// it stands, what is looked at, and its settings; so it can be begun again when it is over.

export const SETTINGS = [
  "n_layers", "n_heads", "d_model", "block_size", "batch_size", "steps", "learning_rate",
  "optimizer", "dropout", "tokenizer", "vocab_size", "seed", "text",
];
const LONGEST_TEXT = 3000;  // a longer text is not put into the address
const OTHERS = ["lesson", "step", "head", "slow", "row", "own"];

// Give what is said: all of it text, and a name is missing where nothing is said.
export function readLearn() {
  const given = new URLSearchParams(location.hash.slice(1));
  const state = { settings: {} };
  for (const name of OTHERS) if (given.has(`learn.${name}`)) state[name] = given.get(`learn.${name}`);
  for (const name of SETTINGS) {
    if (given.has(`learn.${name}`)) state.settings[name] = given.get(`learn.${name}`);
  }
  return state;
}

export function writeLearn(state) {
  const given = new URLSearchParams(location.hash.slice(1));
  given.set("tab", "learn");
  for (const name of [...OTHERS, ...SETTINGS]) given.delete(`learn.${name}`);
  for (const name of OTHERS) {
    if (state[name] !== undefined && state[name] !== null) given.set(`learn.${name}`, state[name]);
  }
  for (const [name, value] of Object.entries(state.settings)) {
    if (name !== "text" || value.length <= LONGEST_TEXT) given.set(`learn.${name}`, value);
  }
  history.replaceState(null, "", `#${given}`);
}
