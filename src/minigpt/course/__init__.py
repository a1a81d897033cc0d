"""The course: build each layer yourself, and the tool marks it.

In reading order: `exercise` (how a lesson describes an exercise), `lesson_folder` (where a lesson
is), `crossing`, `runner` and `apart` (the learner's code in a process of its own), `marker` (stage
by stage, to the first that fails) with `known_mistakes`, `advice`, `report` and `plain_text`,
`folder` (the learner's files), `grades` (many learners), `watch` and `keys`, `slides`, and `joined`
and `in_use` (the learner's layers in a model).

The lessons themselves are data: a folder each in `lessons/`. A teacher's own have the same form.
"""
