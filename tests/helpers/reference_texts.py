"""Texts for tokenizers: many scripts, every Unicode category, and whatever chance brings."""

import random
import unicodedata

END = "<|endoftext|>"
PHRASES = [
    "my dear", "My dear,", "don't you", "o'er the hill", "we'll", "I'm", "they've", "it's", "'tis",
    "dogs'", "don’t", "x_1 = 12,345.67;", "...", "!?", "aaaaaaaa", "abababab", "''''s", "'S",
    "{'k': [1, 2]}", "<unk>", "<a><b>", END, "Zażółć gęślą jaźń", "Der Bär hört's", "naïve café",
    "e\u0301a\u0300", "½ ² Ⅷ ٣٤٥ 一二三", "Καλημέρα κόσμε", "Ключ к дому", "שלום עולם",
    "مرحبا بالعالم", "नमस्ते दुनिया", "ก็ได้ครับ", "漢字かな交じり文", "東京、京都。", "안녕하세요 세계",
    "😀😀😀", "👩\u200d👩\u200d👧", "🏴\U000e0067\U000e007f", "  \t  ", "\r\n\r\n", "\n \n",
    "a\u00a0b\u2003c\u3000d", "\x00\x1c\x1f\x85", "\ufeff", "\ufffd", "\U0010ffff",
]  # fmt: skip

# Characters that Unicode 3.2 knew: all the libraries know their classes, however old they are.
# Surrogates are no characters. Of what is assigned to none, some never will be: U+FFFE and others.
BY_CATEGORY: dict[str, list[str]] = {"Cn": [chr(0x10000 * plane + 0xFFFE) for plane in range(17)]}
for _character in map(chr, range(0x110000)):
    _category = unicodedata.category(_character)
    _one_of_many = _category == "Co" and ord(_character) % 64  # 137,000 of them are all alike
    if unicodedata.ucd_3_2_0.category(_character) not in ("Cn", "Cs") and not _one_of_many:
        BY_CATEGORY.setdefault(_category, []).append(_character)
CHARACTERS = [character for category in BY_CATEGORY.values() for character in category]

EMOJI = {
    "one after another": "😀😃😄 😁 😆😅",
    "skin tones": "👋🏻👋🏼👋🏽👋🏾👋🏿 👩🏽",
    "families": "👨\u200d👩\u200d👧\u200d👦 👩\u200d❤️\u200d💋\u200d👨",
    "professions": "👩🏽\u200d🚀👨🏿\u200d🎤🧑\u200d⚕️",
    "flags": "🇩🇪🇫🇷🇯🇵 🇪🇺 🇺",
    "flags of regions": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "flags of joined signs": "🏳️\u200d🌈🏴\u200d☠️",
    "keycaps": "1️⃣2️⃣#️⃣*️⃣ 0⃣",
    "text or picture": "☺︎☺️ ❤︎❤️ ©️®️™️",
    "among words": "so glad 😂😂!!1 it's 🔥hot🔥 today👍🏾'll do",
}

SPACES = [" ", "\n", "\t", "\r", "\r\n", " \n", "\n ", "\u00a0", "\u3000", "\x85", "\x0b", "\x1c"]


def written(seed: int, n_phrases: int) -> str:
    """A text in many scripts, with phrases as uneven in frequency as words are."""
    rng = random.Random(seed)
    weights = [1 / rank for rank in range(1, len(PHRASES) + 1)]
    phrases = rng.sample(PHRASES, len(PHRASES))
    separators = [" ", " ", " ", "\n", ", ", "", "  "]
    return "".join(
        phrase + rng.choice(separators) for phrase in rng.choices(phrases, weights, k=n_phrases)
    )


def of_ties(seed: int, n_words: int = 400) -> str:
    """A text of different words of the same few letters: pairs occur equally often."""
    rng = random.Random(seed)
    words = {"".join(rng.choices("abcdeéあ", k=rng.randrange(2, 6))) for _ in range(n_words)}
    return " ".join(sorted(words))


def of_category(category: str) -> list[str]:
    """All characters of a Unicode category, in a row, and each among others."""
    characters = BY_CATEGORY[category]
    joints = ["", " ", "a", "1", ".", "\n", "  ", "'s ", "é"]
    return [joint.join(characters) for joint in joints]


def runs_of_spaces() -> list[str]:
    """Runs of 1 to 300 spaces, line breaks and others, at the end and before other things."""
    return [
        f"{before}{space * length}{after}"
        for space in SPACES
        for length in (*range(1, 30), *range(30, 301, 27))
        for before, after in (("", ""), ("a", "b"), ("1", " ."), ("\n", "é"))
    ]


def control_characters() -> list[str]:
    """Every control character alone, doubled, and between words, and all of them in a row."""
    controls = BY_CATEGORY["Cc"]
    around = [f"{c}|{c}{c}|my{c}dear {c} 1{c}2" for c in controls]
    return [*controls, *around, "".join(controls)]


def random_strings(seed: int, n: int) -> list[str]:
    """Half of any characters, half of what is in `PHRASES`, shuffled."""
    rng = random.Random(seed)
    mixed = "".join(PHRASES)
    anything = ["".join(rng.choices(CHARACTERS, k=rng.randrange(40))) for _ in range(n // 2)]
    familiar = ["".join(rng.choices(mixed, k=rng.randrange(60))) for _ in range(n // 2)]
    return anything + familiar


def samples(seed: int, n: int = 2_000) -> list[str]:
    """Texts of every sort, `n` of them random."""
    runs = [character * 40 + "x" for character in " \n\t\u00a0\u3000\x1c'aé熊😀"]
    fixed = ["", written(seed, 500), "".join(CHARACTERS), *PHRASES, *EMOJI.values(), *runs]
    return fixed + random_strings(seed, n)
