"""The plays as data: what can be said, and in which order.

`RULES` lists the templates of each name. All templates of a name are equally likely, so a rare kind
has few of them. In a template, `{noun}` stands for a new noun each time. A name in `REMEMBERED` is
drawn where the scene mentions it first, and stays the same from then on: `{thing}` is an umbrella
when it is handed over, and the same umbrella when it is asked back. A word knows its own grammar:
`{thing.them}` is "it" or "them", and `{B.sir}` is "sir" or "madam".

A speaks first in every scene, and B answers; C, if there is one, enters the conversation late.
Speeches are indented, so that a space precedes every name: then a name is always the same word for
a byte-pair tokenizer, not two different ones.
"""

from collections.abc import Mapping, Sequence

from minigpt.text.corpus import words

REMEMBERED = {
    "A": "person",
    "B": "person",
    "C": "person",
    "thing": "thing",
    "deed": "deed",
    "rhyme": "rhyme",
}

RULES: Mapping[str, Sequence[str]] = {
    "scene": [
        "{duo}{greeting}{gift}{demand}{end}",
        "{duo}{gift}{chat}{demand}{end}",
        "{duo}{gift}{song}{demand}{end}",
        "{duo}{greeting}{secret}{scandal}{end}",
        "{duo}{secret}{chat}{scandal}{end}",
        "{duo}{secret}{song}{scandal}{end}",
        "{duo}{greeting}{chat}{song}{end}",
        "{trio}{gift}{demand_from_two}{end}",
        "{trio}{greeting}{gift}{demand_from_two}{end}",
        "{trio}{secret}{scandal_among_three}{end}",
        "{trio}{song}{secret}{scandal_among_three}{end}",
    ],
    # The curtain rises.
    "duo": [
        "{setting} Enter {A}, a {adjective} {trade}, and {B}, a {adjective} {trade}.\n",
        "{setting} Enter {A}, a {adjective} {trade}, meeting {B}, a {adjective} {trade}.\n",
        "{setting} {B}, a {adjective} {trade}, is asleep. Enter {A}, a {adjective} {trade}.\n",
    ],
    "trio": ["{setting} Enter {A}, a {trade}, {B}, a {trade}, and {C}, a {trade}.\n"],
    "setting": ["A {adjective} {place}, {time}."],
    # The dialogues that make up a scene.
    "greeting": ["  {A}{says}{hail}, {to_B}!\n  {B}{says}{reply}\n"],
    "chat": ["  {A}{says}{remark}\n  {B}{says}{retort}\n"],
    "song": ["  {A} sings: {verse}\n  {B} sings: {refrain}\n"],
    "gift": ["  {A}{says}{offer}\n  {B}{says}{thanks}\n"],
    "demand": ["  {A}{says}{request}\n  {B}{says}{excuse}\n"],
    "demand_from_two": ["  {A}{says}{request}\n  {B}{says}{blame}\n  {C}{says}{excuse}\n"],
    "secret": ["  {A}{says}{confession}\n  {B}{says}{promise}\n"],
    "scandal": ["  {A}{says}{suspicion}\n  {B}{says}{betrayal}\n"],
    "scandal_among_three": ["  {C}{says}{curiosity}\n  {B}{says}{betrayal}\n"],
    "says": [": ", " ({mood}): "],
    # Greeting.
    "reply": [
        "I am {adjective}, {to_A}, and {adjective}.",
        "My {noun} is {adjective} today, {to_A}.",
        "{cry}, {to_A}! A {adjective} {noun} has bitten me.",
        "How is your {adjective} {noun}, {to_A}?",
        "I dreamt of a {adjective} {noun}, {to_A}.",
        "As {adjective} as a {noun}, {to_A}.",
    ],
    # Chat.
    "remark": [
        "My {noun} has become a {adjective} {trade}.",
        "I own a {adjective} {noun} and half a {adjective} {noun}.",
        "Love is a {adjective} {noun}, {to_B}.",
        "There is a {adjective} {noun} in my {adjective} {noun}.",
        "The {trade} has married a {adjective} {noun}.",
        "I saw my {relative} {doing} a {adjective} {noun}.",
    ],
    "retort": [
        "So said my {relative}, {to_A}, the {adjective} {trade}.",
        "That explains the {adjective} {noun}, {to_A}.",
        "I would rather kiss a {adjective} {noun}.",
        "Better that, {to_A}, than a {adjective} {trade}.",
        "Tell it to the {trade} or to a {adjective} {noun}.",
        "You are {adjective}, {to_A}, and so is my {noun}.",
    ],
    # Song: a couplet.
    "verse": [
        "I gave my heart to a {adjective} {rhyme},",
        "A {adjective} {noun} once met a {rhyme},",
        "My {relative} loves a {adjective} {rhyme},",
        "O never trust a {adjective} {rhyme},",
        "The {adjective} moon is but a {rhyme},",
    ],
    "refrain": [
        "And so I fear a {adjective} {rhyme.echo}.",
        "And now I wed a {adjective} {rhyme.echo}.",
        "So bring my {noun} and {adjective} {rhyme.echo}!",
        "Yet sweeter is a {adjective} {rhyme.echo}.",
        "But O, the {adjective} {noun}! But O, the {rhyme.echo}!",
    ],
    # Gift: a thing is handed over, and later asked back.
    "offer": [
        "Take {thing.these} {adjective} {thing}, {to_B}.",
        "I bring you {thing.a} {adjective} {thing} and a {adjective} {noun}.",
        "Guard {thing.these} {thing}, {to_B}, from the {adjective} {noun}.",
        "My {relative} sends you {thing.these} {adjective} {thing}.",
        "Hold {thing.these} {thing}, {to_B}. {thing.They} {thing.are} {adjective}.",
        "I won {thing.these} {thing} from a {adjective} {noun}.",
    ],
    "thanks": [
        "I shall keep {thing.them} in a {adjective} {noun}.",
        "{thing.They} {thing.are} as {adjective} as a {noun}.",
        "I shall guard {thing.them}, {to_A}, like a {adjective} {noun}.",
        "I must show {thing.them} to my {adjective} {relative}.",
        "{thing.They} shall sleep in the {adjective} {place}.",
        "You are {adjective}, {to_A}. Have a {adjective} {noun}.",
    ],
    "request": [
        "Give me my {thing}, {to_B}. A {adjective} {noun} is waiting.",
        "Where {thing.are} my {thing}, you {adjective} {noun}?",
        "I want my {thing} back, {to_B}, and a {adjective} {noun}.",
        "Without my {thing} I feel as {adjective} as a {adjective} {noun}.",
        "Return my {thing}, {to_B}, or meet my {adjective} {relative}.",
        "My {thing}! I need {thing.them} to impress a {adjective} {noun}.",
    ],
    "blame": [
        "Not I, {to_A}! Ask {C} and {C.his} {adjective} {noun}.",
        "{C} has {thing.them}. {C.He} looks {adjective} and {adjective}.",
        "Search {C}! {C.He} is as {adjective} as a {noun}.",
        "I gave {thing.them} to {C} for a {adjective} {noun}.",
    ],
    "excuse": [
        "I sold {thing.them}, {to_A}, to a {adjective} {noun}.",
        "{thing.They} {thing.were} eaten by a {adjective} {noun}.",
        "What {thing}? I see only a {adjective} {noun}.",
        "Here {thing.they} {thing.are}, {to_A}, as {adjective} as a {noun}.",
        "I left {thing.them} in the {adjective} {place} with a {noun}.",
        "Forgive me, {to_A}. I took {thing.them} for a {adjective} {noun}.",
    ],
    # Secret: it is told, and later betrayed.
    "confession": [
        "Can you keep a secret, {to_B}? I have {deed}.",
        "Come closer, {to_B}. I have {deed}.",
        "Tell no {adjective} {noun}, {to_B}: I have {deed}.",
        "{cry}! I have {deed}.",
        "Only a {adjective} {noun} knows it: I have {deed}.",
    ],
    "promise": [
        "I am as silent, {to_A}, as a {adjective} {noun}.",
        "{cry}! Not even my {adjective} {relative} shall hear of it.",
        "It is safe with me, {to_A}, and my {adjective} {noun}.",
        "I trust nobody, {to_A}, except a {adjective} {noun}.",
        "Tickle me with a {adjective} {noun}: I shall say nothing.",
        "How {adjective}! My {relative} did the same.",
    ],
    "suspicion": [
        "Why does that {adjective} {noun} stare at me?",
        "You look {adjective}, {to_B}. Who told the {adjective} {trade}?",
        "My {noun} turned {adjective}, {to_B}. Who talked?",
        "What did you sing, {to_B}, to that {adjective} {noun}?",
        "{cry}! Why is the {trade} {doing} a {adjective} {noun}?",
    ],
    "curiosity": [
        "What did {A} whisper, {to_B}? I am {adjective} and {adjective}.",
        "{A} looks {adjective}, {to_B}. What has {A.he} done?",
        "I give a {adjective} {noun} for the truth about {A}.",
        "{cry}! Why is {A} as {adjective} as a {noun}?",
    ],
    "betrayal": [
        "I told only a {adjective} {noun} that {A} has {deed}.",
        "Hear me, {adjective} world! {A} has {deed}!",
        "{cry}! I must sing it: {A} has {deed}!",
        "Fetch the {adjective} {trade}! {A} has {deed}!",
        "I sold it for a {adjective} {noun}: {A.he} has {deed}.",
        "Look at {A.him}, the {adjective} {noun}! {A.He} has {deed}!",
    ],
    # The curtain falls.
    "end": [
        "Exeunt, arguing about a {adjective} {noun}.\n\n",
        "Exeunt, {mood}, with a {adjective} {noun}.\n\n",
        "Exit {A}, followed by a {adjective} {noun}.\n\n",
        "Exit {B}, {doing} {B.his} {adjective} {noun}.\n\n",
        "A {adjective} {noun} enters. Exeunt in haste.\n\n",
    ],
    # How they address each other.
    "to_A": [
        "my dear {A}",
        "O {adjective} {A}",
        "{A.sir}",
        "my {adjective} friend",
        "you {adjective} {noun}",
    ],
    "to_B": [
        "my dear {B}",
        "O {adjective} {B}",
        "{B.sir}",
        "my {adjective} friend",
        "you {adjective} {noun}",
    ],
    # The words.
    "person": words.PEOPLE,
    "trade": words.TRADES,
    "relative": words.RELATIVES,
    "thing": words.THINGS,
    "noun": words.NOUNS,
    "rhyme": words.RHYMING,
    "adjective": words.ADJECTIVES,
    "doing": words.DOING,
    "deed": words.DEEDS,
    "place": words.PLACES,
    "time": words.TIMES,
    "mood": words.MOODS,
    "hail": words.HAILS,
    "cry": words.CRIES,
}
