"""How lesson 2 is marked: cases and known mistakes."""

import random
import re
from collections import Counter

from minigpt.course.exercise import Exercise, Mistake

EAR = "ear dear year"
E, A, R, SPACE = 101, 97, 114, 32

# ---- cases -----------------------------------------------------------------------


def some_text(seed, letters="ab ", length=40):
    return "".join(random.Random(seed).choices(letters, k=length))


def texts(seed):
    yield "the example of the page", {"text": "no, no!! 42 is_ok"}
    yield "one word", {"text": "cat"}
    yield "nothing", {"text": ""}
    yield "spaces and line breaks", {"text": "  two  spaces\n\tand a tab\n"}
    yield "apostrophes", {"text": "Don't STOP, she'd say..."}
    yield "letters of other scripts", {"text": "naïve café, 日本語 и русский"}
    yield "emoji", {"text": "fine 🙂🙂 thanks"}
    yield "random", {"text": some_text(seed, "aZé7_ ,\n", 60)}


def pieces_of(seed):
    def case(text, size):
        return {"pieces": re.findall(r"\w+|\W", text), "size": size}

    yield "the example of the page", case("b a b c", 4)
    yield "room for one", case("b a b", 1)
    yield "room for more than there is", case("c b a", 99)
    yield "a tie", {"pieces": ["z", "y", "x", "y", "z", "x"], "size": 3}
    yield "the most frequent comes last", {"pieces": ["a", "b", "c", "c"], "size": 3}
    yield "no pieces", {"pieces": [], "size": 5}
    yield "random", case(some_text(seed, "abc ", 80), 6)


def known_words(seed):
    def case(text, *known):
        return {"text": text, "ids": {"<unk>": 0} | {p: i for i, p in enumerate(known, 1)}}

    yield "the example of the page", case("a dog, a cat", " ", "a", "cat")
    yield "nothing", case("", "a")
    yield "all known", case("to be", "to", " ", "be")
    yield "all unknown", case("🙂!", "a")
    yield "capital letters", case("The the THE", "the", " ")
    other = {"text": "x y", "ids": {"x": 3, "<unk>": 7, " ": 1}}
    yield "the unknown has another id", other
    yield "random", case(some_text(seed, "ab, ", 30), "a", "b", "ab", "ba", " ")


def counted(text):
    """Return a case: a text, and how often each of its words occurs."""
    words = re.findall(r" ?\w+| ?[^\w\s]+|\s", text)
    return {"text": text, "word_counts": dict(Counter(tuple(w.encode()) for w in words))}


def word_counts(seed):
    yield "the example of the page", counted(EAR)
    yield "one letter", counted("a")
    yield "aaa", counted("aaa")
    yield "a word that occurs three times", counted("no no no")
    yield "the same pair in two words", counted("aba ab")
    yield "nothing", counted("")
    yield "emoji", counted("🙂🙂")
    joined = {"text": "after one merge", "word_counts": {(E, 256): 1, (SPACE, E, 256): 2}}
    yield "ids above 255", joined
    yield "random", counted(some_text(seed))


def pairs(seed):
    rng = random.Random(seed)

    def case(ids, pair, new=256):
        return {"ids": tuple(ids), "pair": pair, "new": new}

    yield "the example of the page", case([SPACE, E, A, R], (A, R))
    yield "the pair is not there", case([E, A, R], (R, E))
    yield "one id", case([A], (A, A))
    yield "no ids", case([], (A, R))
    yield "aaa", case([A, A, A], (A, A))
    yield "aaaa", case([A, A, A, A], (A, A))
    yield "twice", case([A, R, E, A, R], (A, R))
    yield "at the start", case([A, R, E], (A, R))
    yield "the other way round", case([R, A, R, A], (A, R))
    yield "ids above 255", case([E, 256, SPACE, E, 256], (E, 256), 257)
    yield "random", case(rng.choices([1, 2], k=30), (1, 2), 300)


def corpora(seed):
    def case(text, n_merges):
        return {**counted(text), "n_merges": n_merges}

    yield "the example of the page", case(EAR, 3)
    yield "no merges", case(EAR, 0)
    yield "aaa", case("aaa", 1)
    yield "more merges than pairs", case("aaa", 9)
    yield "a tie", case("zy ba", 2)
    yield "a tie, the left ids equal", case("zc,zb", 1)
    yield "a frequent word", case("xy ab ab ab", 4)
    yield "pairs of merges", case("abababab abab", 5)
    yield "nothing", case("", 3)
    yield "emoji", case("🙂🙂 🙃 🙂", 5)
    yield "random", case(some_text(seed, "abc ", 120), 12)


EAR_MERGES = [(A, R), (E, 256)]
SMILE = "🙂".encode()
SMILE_MERGES = [(SMILE[0], SMILE[1]), (256, SMILE[2]), (257, SMILE[3])]
ABC = [(98, 99), (97, 98), (97, 256)]
"""bc, ab, abc"""


def spelled(seed):
    def case(word, merges):
        return {"word": word, "merges": merges}

    yield "the example of the page", case(" fear", EAR_MERGES)
    yield "no merges", case("ear", [])
    yield "one letter", case("a", EAR_MERGES)
    yield "the order of the merges decides", case("ab", [(98, 99), (97, 98)])
    yield "two ways to cut", case("abc", ABC[:2])
    yield "a merge of a merge", case("abcabc", ABC)
    yield "aaaaa", case("aaaaa", [(A, A), (256, 256)])
    yield "letters with accents", case("né", EAR_MERGES)
    yield "emoji", case("🙂🙂", SMILE_MERGES[:2])
    yield "random", case(some_text(seed, "abc", 30), [(97, 98), (99, 256), (98, 99), (257, 257)])


def written(seed):
    def case(ids, merges):
        return {"ids": ids, "merges": merges}

    rng = random.Random(seed)
    yield "the example of the page", case([SPACE, 102, 257], EAR_MERGES)
    yield "no ids", case([], EAR_MERGES)
    yield "one byte", case([65], [])
    yield "a merge of a merge", case([258, 97, 256], ABC)
    yield "a character of four tokens", case([*SMILE], [])
    yield "a character of two tokens", case([257, SMILE[3], 33], SMILE_MERGES)
    yield "half a character", case([97, 256, 98], SMILE_MERGES)
    yield "random", case(rng.choices([32, 97, 98, 99, 256, 257, 258], k=20), ABC)


def run_join(module, i):
    """Return the result and its type: a list would fail as a key of a dict."""
    joined = module.join(i["ids"], i["pair"], i["new"])
    return {"joined": joined, "kind": type(joined).__name__}


# ---- known mistakes ------------------------------------------------------------------

FIND = 'return re.findall(r"\\w+|\\W", text)'
WORDS = (
    Mistake(
        "split",
        {FIND: "return text.split()"},
        "text.split() throws the spaces away and leaves commas at the words. The pieces, put "
        "together, must be the text again.",
    ),
    Mistake(
        "no spaces",
        {FIND: 'return re.findall(r"\\w+|[^\\w\\s]", text)'},
        "the spaces and line breaks are missing. Without them nobody can write the text again.",
    ),
    Mistake(
        "runs of signs",
        {FIND: 'return re.findall(r"\\w+|\\W+", text)'},
        "signs that stand side by side are one piece. Each is a piece by itself, spaces too.",
    ),
    Mistake(
        "English letters only",
        {FIND: 'return re.findall(r"[A-Za-z0-9_]+|[^A-Za-z0-9_]", text)'},
        "only the letters a to z count as letters. c.isalnum() knows those of all scripts, and "
        "so does \\w in a regular expression.",
    ),
    Mistake(
        "line breaks lost",
        {FIND: 'return re.findall(r"\\w+|.", text)'},
        "the line breaks are missing. In a regular expression, the dot is any character but a line "
        "break; \\W is any that is not in a word.",
    ),
    Mistake(
        "empty pieces",
        {FIND: 'return re.split(r"(\\W)", text)'},
        "there are empty pieces, between two signs. Add a word only if it is not empty.",
    ),
    Mistake(
        "empty pieces, last word lost",
        {FIND: 'return re.split(r"(\\W)", text)[:-1]'},
        "there are empty pieces, between two signs: add a word only if it is not empty. And after "
        "the loop, the last word must still be added.",
    ),
    Mistake(
        "digits apart",
        {FIND: 'return re.findall(r"[^\\W\\d]+|[\\W\\d]", text)'},
        "digits are not in words. They count as letters here: c.isalnum(), not c.isalpha().",
    ),
    Mistake(
        "digits and _ apart",
        {FIND: 'return re.findall(r"[^\\W\\d_]+|[\\W\\d_]", text)'},
        "digits and _ are not in words. They count as letters here: c.isalnum(), not c.isalpha().",
    ),
    Mistake(
        "_ apart",
        {FIND: 'return re.findall(r"[^\\W_]+|[\\W_]", text)'},
        "_ is a piece by itself. It belongs to words here.",
    ),
    Mistake(
        "lower case",
        {FIND: 'return re.findall(r"\\w+|\\W", text.lower())'},
        "the capital letters are gone. The pieces, put together, must be the text again.",
    ),
    Mistake(
        "characters",
        {FIND: "return list(text)"},
        "each character is a piece. Letters that stand side by side belong together.",
    ),
    Mistake(
        "space before the word",
        {FIND: 'return re.findall(r" ?\\w+|\\W", text)'},
        "the space stands in the piece of the word after it. Here it is a piece by itself.",
    ),
    Mistake(
        "last word lost",
        {FIND: 'return re.findall(r"\\w+(?!\\w*\\Z)|\\W", text)'},
        "the last word is missing if the text ends with it. After the loop, the word that was "
        "begun must still be added.",
    ),
)

KEPT = "kept = [piece for piece, _ in Counter(pieces).most_common(size - 1)]"
NUMBERED = "return {piece: i for i, piece in enumerate([UNKNOWN, *kept])}"
VOCABULARY = (
    Mistake(
        "one too many",
        {KEPT: "kept = [piece for piece, _ in Counter(pieces).most_common(size)]"},
        "there is one id too many: UNKNOWN counts, too, so there is room for size − 1 pieces.",
    ),
    Mistake(
        "ties in the order of the alphabet",
        {KEPT: "kept = sorted({*pieces}, key=lambda p: (-pieces.count(p), p))[: size - 1]"},
        "equally frequent pieces are in the order of the alphabet. The one that occurs first in "
        "the text comes first.",
    ),
    Mistake(
        "ties backwards",
        {
            KEPT: "kept = sorted(dict.fromkeys(reversed(pieces)), key=lambda p: -pieces.count(p))"
            "[: size - 1]"
        },
        "of equally frequent pieces, the one that occurs last comes first. It must be the one that "
        "occurs first.",
    ),
    Mistake(
        "not by frequency",
        {KEPT: "kept = list(dict.fromkeys(pieces))[: size - 1]"},
        "the pieces are in the order in which they occur. The most frequent come first.",
    ),
    Mistake(
        "rare ones first",
        {KEPT: "kept = sorted(dict.fromkeys(pieces), key=pieces.count)[: size - 1]"},
        "the rarest pieces come first. It must be the most frequent.",
    ),
    Mistake(
        "no UNKNOWN",
        {NUMBERED: "return {piece: i for i, piece in enumerate(kept)}"},
        "UNKNOWN has no id. A text with a new word could not be encoded.",
    ),
    Mistake(
        "UNKNOWN last",
        {NUMBERED: "return {piece: i for i, piece in enumerate([*kept, UNKNOWN])}"},
        "UNKNOWN comes last. It must have the id 0.",
    ),
    Mistake(
        "counts",
        {NUMBERED: "return dict(Counter(pieces))"},
        "these are counts. The ids are 0, 1, 2 …, in the order of the counts.",
    ),
    Mistake(
        "from the id to the piece",
        {NUMBERED: "return dict(enumerate([UNKNOWN, *kept]))"},
        "the dict goes from the id to the piece. To encode, you look up a piece: piece -> id.",
    ),
    Mistake(
        "ids in the order of the alphabet",
        {NUMBERED: "return {piece: i for i, piece in enumerate([UNKNOWN, *sorted(kept)])}"},
        "the right pieces were kept, but then sorted. The most frequent has the id 1.",
    ),
)

GET = "return [ids.get(piece, ids[UNKNOWN]) for piece in words(text)]"
ENCODE_WORDS = (
    Mistake(
        "unknown left out",
        {GET: "return [ids[piece] for piece in words(text) if piece in ids]"},
        "unknown pieces are left out. Each gets the id of UNKNOWN, so that the model sees that "
        "something stands there.",
    ),
    Mistake(
        "unknown fails",
        {GET: "return [ids[piece] for piece in words(text)]"},
        "ids[piece] fails for a piece that has no id. ids.get(piece, other) returns other then.",
    ),
    Mistake(
        "unknown is None",
        {GET: "return [ids.get(piece) for piece in words(text)]"},
        "ids.get(piece) returns None for an unknown piece. Name what it should return instead: "
        "ids.get(piece, …).",
    ),
    Mistake(
        "unknown is 0",
        {GET: "return [ids.get(piece, 0) for piece in words(text)]"},
        "you took 0 for an unknown piece. It is the id that `ids` has for UNKNOWN, whatever it is.",
    ),
    Mistake(
        "split",
        {GET: "return [ids.get(piece, ids[UNKNOWN]) for piece in text.split()]"},
        "text.split() has no spaces and leaves commas at the words. Use your words(text).",
    ),
    Mistake(
        "pieces",
        {GET: "return [piece if piece in ids else UNKNOWN for piece in words(text)]"},
        "these are pieces of text. A model computes with their ids.",
    ),
    Mistake(
        "lower case",
        {GET: "return [ids.get(piece, ids[UNKNOWN]) for piece in words(text.lower())]"},
        'you changed capital letters to small ones. "The" and "the" are different pieces.',
    ),
)

EACH_WORD = "for ids, count in word_counts.items():"
ADD = "pairs[pair] += count"
NEIGHBOURS = "for pair in pairwise(ids):"
COUNT_PAIRS = (
    Mistake(
        "words counted once",
        {ADD: "pairs[pair] += 1"},
        "each different word counts once. A word that occurs 3 times has its pairs 3 times: add "
        "its count, not 1.",
    ),
    Mistake(
        "overwritten",
        {ADD: "pairs[pair] = count"},
        "a later word overwrites the count of an earlier one. Add to it.",
    ),
    Mistake(
        "no overlap",
        {NEIGHBOURS: "for pair in zip(ids[::2], ids[1::2]):"},
        "you went on by two places each time. Every id but the last begins a pair: places 0 and 1, "
        "1 and 2, 2 and 3.",
    ),
    Mistake(
        "across words",
        {EACH_WORD: "for ids, count in [(sum((w * c for w, c in word_counts.items()), ()), 1)]:"},
        "you counted pairs of the last id of one word and the first id of the next. No token "
        "crosses the border of a word.",
    ),
    Mistake(
        "no order",
        {ADD: "pairs[tuple(sorted(pair))] += count"},
        "(a, b) and (b, a) are counted together. They are different pairs.",
    ),
    Mistake(
        "single ids",
        {NEIGHBOURS: "for pair in ids:"},
        "you counted single ids. Count pairs of neighbours.",
    ),
    Mistake(
        "round the corner",
        {NEIGHBOURS: "for pair in pairwise(ids + ids[:1]):"},
        "you counted the pair of the last and the first id of a word. The last has no neighbour.",
    ),
    Mistake(
        "one place too far",
        {NEIGHBOURS: "for pair in ((ids[i], ids[i + 1]) for i in range(len(ids))):"},
        "you looked at the id after the last one. n ids have n − 1 pairs.",
    ),
    Mistake(
        "last pair missing",
        {NEIGHBOURS: "for pair in pairwise(ids[:-1]):"},
        "the last pair of each word is missing: n ids have n − 1 pairs.",
    ),
    Mistake(
        "equal neighbours skipped",
        {NEIGHBOURS: "for pair in (p for p in pairwise(ids) if p[0] != p[1]):"},
        "you left out pairs of two equal ids. They are pairs like any other.",
    ),
    Mistake(
        "once in a word",
        {NEIGHBOURS: "for pair in {*pairwise(ids)}:"},
        "a pair that occurs several times in one word counts each time.",
    ),
)

EACH_ID = "for i in ids:\n"
IS_PAIR = "if joined and (joined[-1], i) == pair:"
REPLACE = "joined[-1] = new"
DONE = "return tuple(joined)"
JOIN = (
    Mistake(
        "from the right",
        {
            EACH_ID: "for i in reversed(ids):\n",
            IS_PAIR: "if joined and (i, joined[-1]) == pair:",
            DONE: "return tuple(reversed(joined))",
        },
        "you went from right to left. In a row such as aaa it matters: the left two are joined.",
    ),
    Mistake(
        "right id stays",
        {REPLACE: "joined[-1:] = [new, i]"},
        "the right id of the pair is still there. The new id takes the place of both: go on after "
        "it.",
    ),
    Mistake(
        "left id stays",
        {REPLACE: "joined.append(new)"},
        "the left id of the pair is still there. The new id takes the place of both.",
    ),
    Mistake(
        "first only",
        {IS_PAIR: "if joined and new not in joined and (joined[-1], i) == pair:"},
        "only the first pair is joined. Go on to the end.",
    ),
    Mistake(
        "last id lost",
        {DONE: "return tuple(joined[: len(joined) - (joined[-1:] != [new])])"},
        "the last id is lost if it is not joined: the loop ends one place too early.",
    ),
    Mistake(
        "either order",
        {IS_PAIR: "if joined and (joined[-1], i) in (pair, pair[::-1]):"},
        "you also joined the pair in the other order. (a, b) is not (b, a).",
    ),
    Mistake(
        "one place too far",
        {"joined = []": "joined = []; ids[len(ids)]"},
        "you looked at the id after the last one. The last id has no right neighbour.",
    ),
    Mistake(
        "shrinks in the loop",
        {
            "joined = []": "joined = list(ids)\n"
            "    for i in range(len(joined) - 1):\n"
            "        if (joined[i], joined[i + 1]) == pair:\n"
            "            joined[i] = new\n"
            "            del joined[i + 1]\n"
            "    return tuple(joined)"
        },
        "you delete from a list while you go through it, and range(…) was made when it was longer. "
        "Build a new list, or use a while loop.",
    ),
    Mistake(
        "a list",
        {DONE: "return joined"},
        "this is a list. Return tuple(…): in 2.6, words are the keys of a dict, and a list cannot "
        "be a key.",
    ),
    Mistake(
        "overlapping",
        {DONE: "return tuple(new for p in pairwise(ids) if p == pair) or ids"},
        "this is one new id for each pair, and nothing else. Ids that are in no pair stay.",
    ),
)

COUNTED = "pairs = count_pairs(now)"
STOP = "if not pairs:"
BEST = "best = min(pairs, key=lambda pair: (-pairs[pair], pair))"
FROM_256 = "for new in range(256, 256 + n_merges):"
NOW = "now = {join(ids, best, new): count for ids, count in now.items()}"
TIE = (
    " Two pairs are equally frequent here, and the rule for ties decides: the smallest pair, as "
    "tuples are compared."
)
LEARN = (
    Mistake(
        "tie: the pair seen first",
        {BEST: "best = max(pairs, key=pairs.get)"},
        "you took the pair that was counted first, as max and most_common do." + TIE,
    ),
    Mistake(
        "tie: the largest pair",
        {BEST: "best = max(pairs, key=lambda pair: (pairs[pair], pair))"},
        "you took the largest pair, as max does with (count, pair)." + TIE,
    ),
    Mistake(
        "tie: the pair seen last",
        {BEST: "best = sorted(pairs, key=pairs.get)[-1]"},
        "you took the pair that was counted last, as a sorted list has it at its end." + TIE,
    ),
    Mistake(
        "tie: by the left id alone",
        {BEST: "best = min(pairs, key=lambda pair: (-pairs[pair], pair[0], -pair[1]))"},
        "of two pairs with the same left id you took the one with the larger right id." + TIE,
    ),
    Mistake(
        "tie: the left id, then the pair seen first",
        {BEST: "best = max(pairs, key=lambda pair: (pairs[pair], -pair[0]))"},
        "of two pairs with the same left id you took the one that was counted first." + TIE,
    ),
    Mistake(
        "the pair with its count",
        {BEST: "best = Counter(pairs).most_common(1)[0]"},
        "most_common returns (pair, count), and you used both as the pair. And of equally frequent "
        "pairs it returns the one that was counted first, not the smallest.",
    ),
    Mistake(
        "rarest pair",
        {BEST: "best = min(pairs, key=lambda pair: (pairs[pair], pair))"},
        "you joined the rarest pair. It must be the most frequent.",
    ),
    Mistake(
        "words counted once",
        {COUNTED: "pairs = count_pairs(dict.fromkeys(now, 1))"},
        "the counts of the words are lost. A pair in a word that occurs 3 times counts 3 times.",
    ),
    Mistake(
        "counted at the start only",
        {COUNTED: "pairs = count_pairs(word_counts); [pairs.pop(m, None) for m in merges]"},
        "you counted the pairs once, at the start. After each merge there are new pairs, and old "
        "ones have become rarer: count again.",
    ),
    Mistake(
        "not joined",
        {NOW: "pass"},
        "the words never change. After each merge, join the pair in all words, and go on with "
        "these.",
    ),
    Mistake(
        "no end, with min",
        {STOP: "if False:"},
        "all words are single tokens, so no pair is left. Stop there, even if there are fewer "
        "merges than asked for.",
    ),
    Mistake(
        "no end, with max",
        {STOP: "if False:", BEST: "best = max(pairs, key=lambda p: (pairs[p], -p[0], -p[1]))"},
        "all words are single tokens, so no pair is left. Stop there, even if there are fewer "
        "merges than asked for.",
    ),
    Mistake(
        "stops at pairs that occur once",
        {STOP: "if not pairs or max(pairs.values()) < 2:"},
        "you stopped when every pair occurs once. Go on until there are n_merges, or no pair is "
        "left.",
    ),
    Mistake(
        "new ids begin at 257",
        {FROM_256: "for new in range(257, 257 + n_merges):"},
        "your first new id is 257. Bytes have the ids 0 to 255, so it is 256.",
    ),
    Mistake(
        "new ids begin at 255",
        {FROM_256: "for new in range(255, 255 + n_merges):"},
        "your first new id is 255, which is a byte. Begin at 256.",
    ),
    Mistake(
        "the same new id",
        {NOW: "now = {join(ids, best, 256): count for ids, count in now.items()}"},
        "all merges make the id 256. Merge number n makes 256 + n.",
    ),
    Mistake(
        "one merge less",
        {FROM_256: "for new in range(256, 255 + n_merges):"},
        "there is one merge less than asked for.",
    ),
)

BYTES = 'ids = tuple(word.encode("utf-8"))\n'
IN_ORDER = "for rank, pair in enumerate(merges):"
APPLY = "ids = join(ids, pair, 256 + rank)"
LEFTMOST = (
    "for pair in (p for _ in word for p in [next((q for q in pairwise(ids) if q in merges), None)]"
    " if p):\n        rank = merges.index(pair)"
)
ENCODE = (
    Mistake(
        "numbers of characters",
        {BYTES: "ids = tuple(map(ord, word))\n"},
        "ord(c) is the number of a character, and there are over a million. Begin with the bytes: "
        'tuple(word.encode("utf-8")).',
    ),
    Mistake(
        "ASCII",
        {BYTES: 'ids = tuple(word.encode("ascii"))\n'},
        "ASCII has no é and no emoji. UTF-8 has bytes for every character.",
    ),
    Mistake(
        "leftmost first",
        {IN_ORDER: LEFTMOST},
        "you joined the leftmost pair that is a merge. The order of the merges decides: the one "
        "that was learned first is joined first, wherever it stands.",
    ),
    Mistake(
        "last learned first",
        {IN_ORDER: "for rank, pair in [*enumerate(merges)][::-1]:"},
        "you went through the merges from the last to the first. Repeat training: the first one "
        "first.",
    ),
    Mistake(
        "ids begin at 257",
        {APPLY: "ids = join(ids, pair, 257 + rank)"},
        "merge number n, counted from 0, makes the id 256 + n. Yours is 1 higher.",
    ),
    Mistake(
        "ids begin at 255",
        {APPLY: "ids = join(ids, pair, 255 + rank)"},
        "merge number n, counted from 0, makes the id 256 + n. Yours is 1 lower.",
    ),
    Mistake(
        "ends too early",
        {
            APPLY: "before, ids = ids, join(ids, pair, 256 + rank)\n"
            "        if ids == before:\n            break"
        },
        "you stopped at the first merge that does not occur in the word. A later one may.",
    ),
    Mistake(
        "one merge only",
        {APPLY: "ids = join(ids, pair, 256 + rank)\n        if max(ids) > 255:\n            break"},
        "you stopped after one merge. Later merges join what earlier ones have made.",
    ),
    Mistake(
        "nothing joined",
        {APPLY: "pass"},
        "no merge was applied: these are the bytes. If your join compares a slice such as "
        "ids[i : i + 2] with `pair`, then ids must be a tuple: [1, 2] == (1, 2) is False.",
    ),
    Mistake(
        "space lost",
        {BYTES: 'ids = tuple(word.strip().encode("utf-8"))\n'},
        "the space before the word is lost. It is a byte like any other.",
    ),
)

TOKENS = "tokens.append(tokens[left] + tokens[right])"
ALL_BYTES = 'joined = b"".join(tokens[i] for i in ids)'
TEXT = 'return joined.decode("utf-8", errors="replace")'
DECODE = (
    Mistake(
        "each token by itself",
        {TEXT: 'return "".join(tokens[i].decode("utf-8", errors="replace") for i in ids)'},
        "you decoded each token by itself. A character can be spread over several tokens: put the "
        "bytes together first, then decode them all at once.",
    ),
    Mistake(
        "chr",
        {TEXT: 'return "".join(map(chr, ids))'},
        "chr(i) is a character by its Unicode number. Ids are bytes, and from 256 on they are "
        "merges: look up their bytes.",
    ),
    Mistake(
        "latin-1",
        {TEXT: 'return "".join(map(chr, joined))'},
        "each byte became a character. In UTF-8 a character may have up to 4 bytes: decode them "
        "together.",
    ),
    Mistake(
        "fails at half a character",
        {TEXT: 'return joined.decode("utf-8")'},
        'half a character is not UTF-8, and a model can write one. decode needs errors="replace".',
    ),
    Mistake(
        "ignores half a character",
        {TEXT: 'return joined.decode("utf-8", errors="ignore")'},
        'bytes that are not UTF-8 are left out. They become �, with errors="replace", so that '
        "one sees them.",
    ),
    Mistake(
        "right part first",
        {TOKENS: "tokens.append(tokens[right] + tokens[left])"},
        "the two parts of a merge are in the wrong order: left, then right.",
    ),
    Mistake(
        "parts are bytes",
        {TOKENS: "tokens.append(bytes([left, right]))"},
        "a part of a merge can be a merge itself. Put together the bytes of its two parts, "
        "tokens[left] + tokens[right], not the ids.",
    ),
    Mistake(
        "spaces between tokens",
        {ALL_BYTES: 'joined = b" ".join(tokens[i] for i in ids)'},
        "you put spaces between the tokens. The spaces are in the tokens already.",
    ),
    Mistake(
        "bytes only",
        {ALL_BYTES: 'joined = b"".join(tokens[i] for i in ids if i < 256)'},
        "ids from 256 on are lost. Each stands for the bytes of its two parts.",
    ),
)

EXERCISES = [
    Exercise(
        "2.1", "words", "Words",
        hints=(
            "Go through the text character by character, with the word that was begun in a "
            "variable. Or use re.findall.",
            "In a regular expression \\w is a letter, a digit or _, and \\W is any other "
            "character. + means: one or more, as many as possible.",
            'return re.findall(r"\\w+|\\W", text)',
        ),
        idea="A regular expression says it in one line: a run of word characters, or one other. A "
        "loop with c.isalnum() does the same.",
        inputs=("text",), outputs=("pieces",), cases=texts, mistakes=WORDS,
    ),
    Exercise(
        "2.2", "vocabulary", "Words",
        hints=(
            "Count the pieces first: Counter(pieces), or a dict.",
            "Counter(pieces).most_common(n) has the n most frequent, with their counts. Of equal "
            "ones, those that were counted first come first. (A set forgets which came first.)",
            "enumerate([UNKNOWN, *kept]) numbers them, where kept are the size − 1 most frequent.",
        ),
        idea="most_common sorts by count and keeps equal ones in the order in which they were "
        "counted: Python's sort is stable. sorted(…, key=…) with a dict is the same.",
        inputs=("pieces", "size"), outputs=("ids",), cases=pieces_of, mistakes=VOCABULARY,
    ),
    Exercise(
        "2.3", "encode_words", "Words",
        hints=(
            "Cut the text with your function of 2.1. Look up each piece.",
            "What does a dict do with a key that it does not have? ids.get(key, other) returns "
            "other.",
            "return [ids.get(piece, ids[UNKNOWN]) for piece in words(text)]",
        ),
        idea="One look-up for each piece. All unknown words become the same id, and what they were "
        "is lost: the next half of the lesson is about that.",
        inputs=("text", "ids"), outputs=("encoded",), cases=known_words, mistakes=ENCODE_WORDS,
        includes=("2.1",),
    ),
    Exercise(
        "2.4", "count_pairs", "Counting pairs",
        hints=(
            "Two loops: over the words, and over the neighbours in a word.",
            "zip(ids, ids[1:]) makes the pairs of neighbours, and so does itertools.pairwise(ids).",
            "pairs = Counter(); then pairs[pair] += count for each pair of each word.",
        ),
        idea="Each different word is looked at once, however often it occurs. This is why the "
        "words are counted first: a text of a million words has some ten thousand different ones.",
        inputs=("word_counts",), outputs=("pairs",), cases=word_counts, mistakes=COUNT_PAIRS,
        shown=("text", "word_counts"),
    ),
    Exercise(
        "2.5", "join", "Joining a pair",
        hints=(
            "Build a new list. When you have joined two ids, where does the search go on?",
            "With a place i in a while loop: i += 2 after a joined pair, else i += 1. Or ask for "
            "each id whether it makes a pair with the last of the new list.",
            "for i in ids: if joined and (joined[-1], i) == pair: joined[-1] = new, else: "
            "joined.append(i).",
        ),
        idea="We look back, not ahead: then there is no end of the row to take care of. A new id "
        "is never part of `pair`, so nothing is joined twice.",
        inputs=("ids", "pair", "new"), outputs=("joined", "kind"), cases=pairs, call=run_join,
        mistakes=JOIN,
    ),
    Exercise(
        "2.6", "learn_merges", "Learning the merges",
        hints=(
            "A loop of n_merges rounds: count, choose, join in all words, note the pair.",
            "The tie rule in one call: min over the pairs, with the key (−count, pair). A large "
            "count is a small −count.",
            "best = min(pairs, key=lambda pair: (-pairs[pair], pair)); then "
            "words = {join(ids, best, new): count for ids, count in words.items()}.",
        ),
        idea="Everything is counted again in each round, which is simple and slow. Only the pairs "
        "next to a merge change, and miniGPT's own tokenizer updates just these.",
        outputs=("merges",), inputs=("word_counts", "n_merges"), cases=corpora, mistakes=LEARN,
        includes=("2.4", "2.5"), shown=("text", "n_merges"), points=2,
    ),
    Exercise(
        "2.7", "encode", "Encoding",
        hints=(
            "Do with one word what training did with all: the same merges, in the same order.",
            "word.encode(\"utf-8\") are the bytes; tuple(…) of them are the first ids.",
            "for rank, pair in enumerate(merges): ids = join(ids, pair, 256 + rank).",
        ),
        idea="Each merge is tried once, in order. With 50,000 merges that is slow: a faster form "
        "looks for the pair of the word with the lowest rank, and has a dict, pair -> rank.",
        inputs=("word", "merges"), outputs=("ids",), cases=spelled, mistakes=ENCODE,
        includes=("2.5",),
    ),
    Exercise(
        "2.8", "decode", "Decoding",
        hints=(
            "Which bytes does each id stand for? For 0 to 255, and for a merge?",
            "Make a list of bytes: the id 256 + n stands for the bytes of its two parts, one after "
            "the other. The parts come earlier in the list.",
            "tokens.append(tokens[left] + tokens[right]) for each merge; then b\"\".join, and one "
            "decode(\"utf-8\", errors=\"replace\") for all bytes.",
        ),
        idea="The bytes are put together first. Decoding is the only step that knows about "
        "characters, and it needs all bytes of a character at once.",
        inputs=("ids", "merges"), outputs=("text",), cases=written, mistakes=DECODE,
    ),
]  # fmt: skip
