"""The live page: look into a model while you type, and watch one learn (`minigpt explore`).

Read `server` for the addresses, `safety` for the token and the checks of each request,
`request_fields` for what a request may contain, `look.answers` for the answers, and `static/` for
the page itself. The tab Learn: `learn.learn_api` has its addresses, `learn.lessons` keeps the
lessons, `learn.lesson` trains a model, and `learn.following` watches a run that another process
trains. The page needs the extra `explore`.
"""
