// The tab Learn: the form that starts a lesson, or the lesson that is shown.

import { get } from "./ask.js";
import { el } from "./dom.js";
import { readLearn, writeLearn } from "./learn_address.js";
import { Lesson } from "./lesson.js";
import { Start } from "./start.js";

export const title = "Learn";

export function show(root) {
  const state = readLearn();
  let view = null;
  let isClosed = false;
  const changed = () => { if (!isClosed) writeLearn(state); };

  function open(newView) {
    view?.end();
    view = newView;
    root.replaceChildren(view.root);
    changed();
  }

  function forget(...names) { for (const name of names) delete state[name]; }

  function showStart(sources, message = "", unfit = null) {
    open(new Start(state, { message, unfit }, (isSame) => {
      if (!isSame) forget("step", "head", "slow", "row");
      showLesson(sources);
    }));
  }

  // With a message, the lesson ended without a click here: keep its state, so that it can start again there.
  function showLesson(sources) {
    open(new Lesson(state, sources, changed, (message, unfit) => {
      forget("lesson");
      if (!message) forget("step", "head", "slow", "row");
      if (!isClosed) showStart(sources, message, unfit);
    }));
  }

  Promise.all([get("source"), get("lessons")]).then(([sources, { runs, lessons }]) => {
    const existing = [...lessons.map(({ id }) => id), ...runs.map((_, i) => `run-${i}`)];
    if (isClosed) return;
    if (existing.includes(state.lesson)) showLesson(sources);
    else showStart(sources, state.lesson ? `There is no lesson ${state.lesson} any more. You can start it again.` : "");
  }, (error) => root.replaceChildren(el("p", { class: "error", role: "alert" }, error.message)));
  return () => { view?.end(); isClosed = true; };
}
