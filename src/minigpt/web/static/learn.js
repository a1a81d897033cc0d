// The tab Learn: where a lesson is begun, or the one that is watched.

import { get } from "./ask.js";
import { el } from "./dom.js";
import { readLearn, writeLearn } from "./learn_address.js";
import { Lesson } from "./lesson.js";
import { Start } from "./start.js";

export const title = "Learn";

export function show(root) {
  const state = readLearn();
  let shown = null;
  let isOver = false;
  const changed = () => { if (!isOver) writeLearn(state); };

  function open(part) {
    shown?.end();
    shown = part;
    root.replaceChildren(part.root);
    changed();
  }

  function forget(...names) { for (const name of names) delete state[name]; }

  function start(known, message = "", unfit = null) {
    open(new Start(state, { message, unfit }, (isSame) => {
      if (!isSame) forget("step", "head", "slow", "row");
      watch(known);
    }));
  }

  // A lesson that is over by itself, and not by a click, can be begun again where it stood.
  function watch(known) {
    open(new Lesson(state, known, changed, (message, unfit) => {
      forget("lesson");
      if (!message) forget("step", "head", "slow", "row");
      if (!isOver) start(known, message, unfit);
    }));
  }

  Promise.all([get("source"), get("lessons")]).then(([sources, { runs, lessons }]) => {
    const there = [...lessons.map(({ id }) => id), ...runs.map((_, i) => `run-${i}`)];
    if (isOver) return;
    if (there.includes(state.lesson)) watch({ sources });
    else start({ sources }, state.lesson ? `There is no lesson ${state.lesson} any more. It can be begun again.` : "");
  }, (error) => root.replaceChildren(el("p", { class: "error", role: "alert" }, error.message)));
  return () => { shown?.end(); isOver = true; };
}
