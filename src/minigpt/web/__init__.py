"""The live page: look into a model while one types (`minigpt explore`).

Read `server` for what there is at which address, `safety` for who may ask, `asking` for what may
be asked, `looking` for the answers, `static/` for the page itself. Of the tab Learn, `learn_api`
has what can be asked for, `lessons` who learns, `learning` and `following` how. It needs the extra
`explore`.
"""
