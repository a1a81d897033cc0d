"""Slides are made of the page of a lesson."""

import re

import pytest

from minigpt.commands.cli import main
from minigpt.course.lesson_folder import lessons
from minigpt.course.slides import MAX_SHEETS, slides


@pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: lesson.stem)
def test_slides_have_8_to_12_sheets_with_all_pictures_and_no_answers(lesson):
    page = slides(lesson)
    assert 8 <= page.count("<section") <= MAX_SHEETS
    sections = [
        s for s in re.split(r"^## ", lesson.page, flags=re.MULTILINE) if "<details>" not in s
    ]
    assert page.count("<pre>") == sum(section.count("```") // 2 for section in sections)
    assert "<summary>" not in page
    for exercise in lesson.exercises:
        assert f"<strong>{exercise}</strong>" in page


def test_slides_are_written_to_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["course", "slides", "7"]) == 0
    assert capsys.readouterr().out == "lesson_07_slides.html\n"
    assert (tmp_path / "lesson_07_slides.html").read_text("utf-8") == slides(lessons()[7])
    assert main(["course", "slides", "99"]) == 1


def test_markup_in_a_page_stays_text():
    assert "<script" not in slides(lessons()[1]).split("</style>")[1]
