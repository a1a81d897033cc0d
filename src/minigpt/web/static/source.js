// The source code that computes what a picture shows.

import { el } from "./dom.js";

export function source({ sources }, name) {
  return el("details", { class: "read" }, el("summary", {}, "Read the source"),
    sources[name].map((part) => el("figure", {},
      el("figcaption", {}, `${part.name} · `,
        el("a", { href: `/source/${part.file}#L${part.line}`, target: "_blank", rel: "noopener" },
          `${part.file}, line ${part.line}`)),
      el("pre", { tabindex: 0, "aria-label": `Source of ${part.name}` }, el("code", {}, part.text)))));
}
