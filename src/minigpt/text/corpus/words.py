"""The words of the plays, and the grammar of each word.

All words of a list are equally likely. The tests prove two properties. No word of a list begins
with another word of this list (as "pigeon" begins with "pig"), so a reader always knows which one
was drawn. And a word has the article "an" if and only if it begins with a, e, i, o or u (there is
no "hour" and no "unicorn"), so the articles need no dictionary.
"""


class Singular(str):
    """The name of one thing; its attributes are the words that agree with it."""

    a, these, they, They, them, are, Are, were = "a this it It it is Is was".split()


class Plural(str):
    """The name of several things; its attributes are the words that agree with them."""

    a, these, they, They, them, are, Are, were = "some these they They them are Are were".split()


class Woman(str):
    """A woman's name; its attributes are the words that stand for her."""

    he, He, him, his, sir = "she She her her madam".split()


class Man(str):
    """A man's name; its attributes are the words that stand for him."""

    he, He, him, his, sir = "he He him his sir".split()


class Rhyme(str):
    """A word, together with one of the words that it rhymes with: its `echo`."""

    echo: str

    def __new__(cls, word: str, echo: str) -> "Rhyme":
        """Return `word` with its echo."""
        rhyme = super().__new__(cls, word)
        rhyme.echo = echo
        return rhyme


# So few names that a small model soon learns from the context who speaks next.
WOMEN = "Agatha Flora Mabel Ottilie".split()
MEN = "Caspar Hugo Milo Rufus".split()

PEOPLE = [*map(Woman, WOMEN), *map(Man, MEN)]

THINGS = [
    *map(Singular, "anchor dagger ladder lantern pudding saddle teapot umbrella".split()),
    *map(Plural, "bagpipes candles garters keys onions sausages slippers trousers".split()),
]

RHYMES = [
    family.split()
    for family in (
        "baboon balloon bassoon spoon",
        "bat cat hat rat",
        "bean queen sardine tureen",
        "bear chair hare mare",
        "bee flea pea tree",
        "boat coat goat stoat",
        "book cook hook rook",
        "boot flute lute newt",
        "bunk monk skunk trunk",
        "cake drake rake snake",
        "clam ham lamb ram",
        "clown crown gown town",
        "crumb drum plum thumb",
        "dog frog hog log",
        "fig pig twig wig",
        "fool ghoul mule stool",
        "grouse house louse mouse",
        "jug pug rug slug",
        "lout scout sprout trout",
        "quail snail tail whale",
    )
]
NOUNS = [word for family in RHYMES for word in family]
RHYMING = [
    Rhyme(word, echo) for family in RHYMES for word in family for echo in family if echo != word
]

ADJECTIVES = """
    ancient angry awkward bashful bold brave brittle cheerful clumsy crooked curious damp dismal
    dizzy drowsy dusty eager elegant enormous exotic famous feeble fluffy foolish frozen frugal
    fussy gallant gilded gloomy grand greasy grumpy hairy haunted heroic hollow humble hungry icy
    idle innocent itchy jealous jolly lazy limp lonely lopsided loyal merry mighty modest mossy
    muddy nervous nimble noble noisy odd oily old pale perfumed pious plump polite pompous proud
    purple quiet radiant rude rusty salty shabby shy silent sinister slippery smug soggy solemn
    sticky stubborn thirsty tiny tragic ugly untidy vain velvet wicked wild windy wobbly wooden
""".split()

TRADES = """
    actor admiral baker barber brewer butler captain cobbler doctor duke farmer fiddler gardener
    hatter hermit judge lawyer miller organist painter pilgrim piper plumber poet sailor sexton
    spy tailor thief tutor usher vicar
""".split()

RELATIVES = """
    aunt brother cousin daughter father godson landlord mother nephew niece sister uncle
""".split()

PLACES = """
    attic ballroom barn cellar chapel courtyard crypt cupboard dungeon forest garden harbour kitchen
    laundry library marsh meadow orchard pantry stable tavern theatre tower vineyard
""".split()

TIMES = [
    time.strip()
    for time in """
    after supper, at dawn, at dusk, at midnight, at noon, before breakfast, by candlelight,
    by moonlight, during a storm, in spring, in the fog, in the rain, in winter, late at night,
    on market day, on Sunday
    """.split(",")
]

DOING = """
    adopting bribing combing crowning embracing flattering insulting measuring painting scolding
    tickling weighing
""".split()

# Things that one may regret. A deed follows "I have" and "she has".
DEEDS = [
    "buried the silver spoons",
    "danced with the hangman",
    "eaten the birthday cake",
    "forged a love letter",
    "kissed the wrong twin",
    "lost the crown jewels",
    "married a weathercock",
    "never paid the piper",
    "painted a horse green",
    "salted the royal tea",
    "sold the bishop's hat",
    "taught the parrot to swear",
]

MOODS = """
    blushing bowing coldly dreamily fainting frowning giggling grimly hopping humming laughing
    limping loudly nobly proudly sadly shivering sighing sneezing sobbing swooning trembling
    warmly yawning
""".split()

HAILS = ["Good morrow", "Greetings", "Hail", "So we meet", "Welcome", "Well met"]

CRIES = """
    Alas Bravo Courage Disaster Fiddlesticks Heavens Mercy Nonsense Poppycock Scandal Thunder
    Treason
""".split()
