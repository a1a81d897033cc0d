"""Slides of a lesson, made of its page: nothing is written or drawn twice.

A sheet for each section, with its pictures, formulas, lists and examples in full, and the first two
sentences of each paragraph. The questions with their answers stay on the page.
"""

from __future__ import annotations

import html
import itertools
import re

from minigpt.course.lesson_folder import Lesson

MAX_SHEETS = 12
MIN_LETTERS, MAX_LETTERS = 12, 26
HEIGHT = 600
"""Pixels of a sheet for its text; all of it is 1280 by 720."""
STYLE = """
@page { size: 1280px 720px; margin: 0 }
* { box-sizing: border-box }
body { margin: 0; background: #777; font: 24px/1.3 system-ui, sans-serif; color: #111 }
section { position: relative; width: 1280px; height: 720px; margin: 16px auto; padding: 36px 64px;
  background: #fff; overflow: hidden; break-after: page; break-inside: avoid }
h1 { font-size: 2em; margin: 1.6em 0 .6em } h2 { margin: 0 0 .5em; font-size: 1.5em }
h2:not(:first-child) { margin-top: .7em }
p, ul, ol, pre, table { margin: .45em 0 }
pre { font: .84em/1.25 ui-monospace, "DejaVu Sans Mono", monospace; background: #f2f4f7;
  padding: .5em .8em; border-radius: 6px }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em }
table { border-collapse: collapse } td, th { border: 1px solid #bbb; padding: .15em .6em }
footer { position: absolute; right: 32px; bottom: 14px; font-size: 15px; color: #555 }
@media print { body { background: none } section { margin: 0 } }
"""


def slides(lesson: Lesson) -> str:
    """Return the slides of a lesson as one HTML page, which prints one sheet a page.

    Raises
    ------
    ImportError
        If markdown-it-py is not installed.
    """
    from markdown_it import MarkdownIt

    render = MarkdownIt("commonmark", {"html": False}).enable("table").render
    sheets = _sheets(lesson)
    title = html.escape(f"Lesson {lesson.number}. {lesson.title}")
    parts = []
    for n, sheet in enumerate(sheets, 1):
        footer = f"<footer>{title} · {n} of {len(sheets)}</footer>"
        parts.append(
            f'<section style="font-size: {_letters(sheet)}px">{render(sheet)}{footer}</section>'
        )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _sheets(lesson: Lesson) -> list[str]:
    """Return the Markdown of each sheet: 12 at most, as short neighbours share one."""
    first, *sections = re.split(r"^(?=## )", lesson.page, flags=re.MULTILINE)
    sheets = [_shortened(first)]
    sheets += [_shortened(each) for each in sections if "<details>" not in each]
    while len(sheets) > MAX_SHEETS:
        lengths = [(a + b).count("\n") for a, b in itertools.pairwise(sheets[1:])]
        at = 1 + lengths.index(min(lengths))
        sheets[at : at + 2] = ["\n\n".join(sheets[at : at + 2])]
    return sheets


def _shortened(section: str) -> str:
    """Return a section with the first two sentences of each paragraph, and all else in full."""
    kept = []
    for part in re.split(r"^(```.*?^```)$", section, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```"):
            kept.append(part)
            continue
        for block in re.split(r"\n{2,}(?=\S)", part.strip()):
            is_text = not re.match(r"\||[-*]|\d+\. |#|→", block)
            kept.append(_two_sentences(block) if is_text else block)
    return "\n\n".join(each for each in kept if each)


def _two_sentences(paragraph: str) -> str:
    text = " ".join(paragraph.split())
    ends = [*re.finditer(r"[.?!][*`\"”)]*(?= [*`\"“A-Z(]|$)", text)][:2]
    return text[: ends[-1].end()] if ends else text


def _letters(sheet: str) -> int:
    """Return the size of the letters, in pixels, with which a sheet is filled but not too full."""
    lines = sum(1 + len(line) // 90 if line else 0.4 for line in sheet.split("\n"))
    return max(MIN_LETTERS, min(MAX_LETTERS, int(HEIGHT / (1.35 * lines))))
