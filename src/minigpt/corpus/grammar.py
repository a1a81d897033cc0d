"""The plays as data: what may be said, and in which order.

`RULES` gives for each name the templates it may become, all equally likely: what is to be rare
gets fewer of them. In a template, `{noun}` stands for a new noun each time. A name listed in
`REMEMBERED` is drawn where the scene first mentions it and stays the same from then on: `{thing}`
is an umbrella when it is given away and the same umbrella when it is asked back. A word brings its
grammar along: `{thing.them}` is "it" or "them", `{B.sir}` is "sir" or "madam".

A has the first word in every scene, B answers; C, if there is one, comes in late.
"""

from minigpt.corpus import words

REMEMBERED = {
    "A": "person",
    "B": "person",
    "C": "person",
    "A_trade": "trade",
    "B_trade": "trade",
    "C_trade": "trade",
    "thing": "thing",
    "deed": "deed",
    "rhyme": "rhyme",
}

RULES: dict[str, list[str]] = {
    "scene": [
        "{duo}{gift}{demand}{end}",
        "{duo}{greeting}{gift}{demand}{end}",
        "{duo}{gift}{chat}{demand}{end}",
        "{duo}{gift}{song}{demand}{end}",
        "{duo}{secret}{scandal}{end}",
        "{duo}{secret}{chat}{scandal}{end}",
        "{duo}{secret}{song}{scandal}{end}",
        "{duo}{greeting}{song}{end}",
        "{duo}{chat}{song}{end}",
        "{trio}{gift}{demand_from_two}{end}",
        "{trio}{secret}{scandal_among_three}{end}",
        "{trio}{song}{secret}{scandal_among_three}{end}",
    ],
    # The curtain rises.
    "duo": [
        "{setting} Enter {A}, a {adjective} {A_trade}, and {B}, a {adjective} {B_trade}.\n",
        "{setting} Enter {A}, a {adjective} {A_trade}, meeting {B}, a {adjective} {B_trade}.\n",
        "{setting} {B}, a {adjective} {B_trade}, is asleep. Enter {A}, a {adjective} {A_trade}.\n",
    ],
    "trio": ["{setting} Enter {A}, a {A_trade}, {B}, a {B_trade}, and {C}, a {C_trade}.\n"],
    "setting": ["A {adjective} {place}, {time}."],
    # The exchanges a scene is made of.
    "greeting": ["{A}{says}{hail}, {to_B}! {hello}\n{B}{says}{reply}\n"],
    "chat": ["{A}{says}{remark}\n{B}{says}{retort}\n"],
    "song": ["{A} sings: {verse}\n{B} sings: {refrain}\n"],
    "gift": ["{A}{says}{offer}\n{B}{says}{thanks}\n"],
    "demand": ["{A}{says}{request}\n{B}{says}{excuse}\n"],
    "demand_from_two": ["{A}{says}{request}\n{B}{says}{blame}\n{C}{says}{excuse}\n"],
    "secret": ["{A}{says}{confession}\n{B}{says}{promise}\n"],
    "scandal": ["{A}{says}{suspicion}\n{B}{says}{betrayal}\n"],
    "scandal_among_three": ["{C}{says}{curiosity}\n{B}{says}{betrayal}\n"],
    "says": [": ", " ({mood}): ", " ({doing} a {noun}): "],
    # Greeting.
    "hello": [
        "You look {adjective} and {adjective}.",
        "How is your {adjective} {noun}?",
        "I dreamt of a {adjective} {noun}.",
        "Is the {trade} still {adjective}?",
        "Where is your {adjective} {relative}?",
        "What a {adjective} {noun} you have!",
    ],
    "reply": [
        "I am {adjective}, {to_A}, {adjective} and {adjective}.",
        "{cry}! A {adjective} {noun} has bitten my {relative}.",
        "I slept in a {noun}, {to_A}, with a {adjective} {noun}.",
        "Poor me! My {relative} has wed a {adjective} {noun}.",
        "Softly, {to_A}! My {adjective} {noun} is {adjective}.",
        "I have a {noun} in my {noun}. Otherwise I am {adjective}.",
        "As {adjective} as a {noun}, {to_A}, and twice as {adjective}.",
    ],
    # Chat.
    "remark": [
        "There is a {adjective} {noun} in my {adjective} {noun}.",
        "My {relative} has become a {adjective} {trade} or a {adjective} {noun}.",
        "The {trade} has {done} a {adjective} {noun} and a {noun}.",
        "I own a {adjective} {noun}, a {adjective} {noun} and half a {noun}.",
        "Love is a {adjective} {noun}, {to_B}, and marriage a {adjective} {noun}.",
        "A {trade} without a {noun} is like a {noun} without a {noun}.",
        "I fear two things, {to_B}: a {adjective} {noun} and a {adjective} {trade}.",
    ],
    "retort": [
        "{cry}! That explains the {adjective} {noun} and the {noun}.",
        "So said my {relative}, and married a {adjective} {noun}.",
        "I would rather kiss a {adjective} {noun} or a {adjective} {trade}.",
        "Better that, {to_A}, than a {adjective} {noun} in the {place}.",
        "You are {adjective}, {to_A}, but so is my {noun}.",
        "Only a {adjective} {trade} or a {noun} would say so.",
        "Tell it to the {trade}, {to_A}, or to a {adjective} {noun}.",
    ],
    # Song: a couplet.
    "verse": [
        "I gave my heart to a {adjective} {rhyme},",
        "A {adjective} {noun} once met a {rhyme},",
        "My {relative} loves a {adjective} {rhyme},",
        "O never trust a {adjective} {rhyme},",
        "The {adjective} moon is but a {rhyme},",
        "A {adjective} {noun} kissed a {adjective} {rhyme},",
    ],
    "refrain": [
        "And so I fear a {adjective} {rhyme.echo}.",
        "And now I wed a {adjective} {rhyme.echo}.",
        "So bring my {noun} and {adjective} {rhyme.echo}!",
        "Yet sweeter is a {adjective} {rhyme.echo}.",
        "And {adjective} was the {noun}, and {adjective} the {rhyme.echo}.",
        "But O, the {adjective} {noun}! But O, the {rhyme.echo}!",
    ],
    # A thing is handed over, and later asked back.
    "offer": [
        "Take {thing.these} {adjective} {thing}, {to_B}, and a {adjective} {noun}.",
        "I bring you {thing.a} {adjective} {thing}, a {adjective} {noun} and a {noun}.",
        "Guard {thing.these} {thing}, {to_B}. {thing.They} {thing.are} {adjective} and {adjective}.",
        "My {relative} sends you {thing.these} {adjective} {thing}.",
        "Hold {thing.these} {thing}. {thing.They} {thing.were} made by a {adjective} {noun}.",
        "{cry}! I won {thing.these} {adjective} {thing} from a {adjective} {noun}. Keep {thing.them}!",
        "Lend me a {adjective} {noun}, {to_B}, and have {thing.these} {adjective} {thing}.",
    ],
    "thanks": [
        "I shall keep {thing.them} in a {adjective} {noun} or a {adjective} {noun}.",
        "{cry}! {thing.They} {thing.are} as {adjective} as a {noun}.",
        "I shall guard {thing.them}, {to_A}, like a {adjective} {noun}.",
        "How {adjective}! I must show {thing.them} to my {relative} and my {noun}.",
        "{thing.They} shall sleep in the {place} beside my {adjective} {noun}.",
        "I asked for a {adjective} {noun}, {to_A}, or a {adjective} {noun}.",
        "You are {adjective}, {to_A}. Take my {adjective} {noun} in return.",
    ],
    "request": [
        "Give me my {thing}, {to_B}. A {adjective} {noun} is waiting.",
        "{cry}! Where {thing.are} my {thing}, you {adjective}, {adjective} {noun}?",
        "And my {thing}? {thing.Are} {thing.they} in the {adjective} {place}?",
        "I want my {thing} back before I turn {adjective} and {adjective}.",
        "Without my {thing} I feel as {adjective} as a {adjective} {noun}.",
        "Return my {thing}, {to_B}, or meet my {adjective} {relative}.",
        "My {thing}! I need {thing.them} to impress a {adjective} {noun}.",
    ],
    "blame": [
        "Not I, {to_A}! Ask {C} and {C.his} {adjective} {noun}.",
        "{C} has {thing.them}. {C.He} looks {adjective}, {adjective} and {adjective}.",
        "Search {C}! {C.He} is as {adjective} as a {noun}.",
        "I gave {thing.them} to {C}, {to_A}, in the {place}.",
    ],
    "excuse": [
        "I sold {thing.them}, {to_A}, to a {adjective} {noun}.",
        "{thing.They} {thing.were} eaten by a {adjective} {noun} and a {adjective} {trade}.",
        "What {thing}? I see only a {adjective} {noun} and a {noun}.",
        "Here {thing.they} {thing.are}, {to_A}, as {adjective} as a {noun}.",
        "{cry}! I left {thing.them} in the {place} with a {adjective} {noun}.",
        "Ask my {relative}, the {trade} and that {adjective} {noun}.",
        "Forgive me, {to_A}. I took {thing.them} for a {adjective} {noun}.",
    ],
    # A secret is told, and later betrayed.
    "deed": [
        "{done} a {noun} in the {place}",
        "{done} a {adjective} {noun}",
        "{done} the {trade}'s {noun}",
    ],
    "confession": [
        "Can you keep a secret? I have {deed}.",
        "Come closer, {to_B}. I have {deed}.",
        "Tell no {noun}, {to_B}: I have {deed}.",
        "Pity a {adjective} {trade}! I have {deed}.",
        "{cry}! I have {deed}.",
        "Swear by a {adjective} {noun} to be silent. I have {deed}.",
        "Only a {adjective} {noun} knows it: I have {deed}.",
    ],
    "promise": [
        "I am as silent, {to_A}, as a {adjective} {noun}.",
        "{cry}! Not even my {adjective} {relative} shall hear of it.",
        "It is safe with me, like a {noun} in a {adjective} {noun}.",
        "I trust nobody, {to_A}, except a {adjective} {noun}.",
        "Tickle me with a {adjective} {noun}: I shall say nothing.",
        "Only my {noun} shall know, and the {adjective} {trade}.",
        "How {adjective}! My {adjective} {relative} did the same.",
    ],
    "suspicion": [
        "Why does that {adjective}, {adjective} {noun} stare at me?",
        "You look {adjective}, {to_B}. Who told the {trade}?",
        "My {relative} turned {adjective}, and my {noun} {adjective}. Who talked?",
        "What did you sing, {to_B}, to that {adjective} {noun}?",
        "{cry}! Why is the {trade} laughing in the {place}?",
        "Is it safe, {to_B}, as safe as a {adjective} {noun}?",
    ],
    "curiosity": [
        "What did {A} whisper, {to_B}? I am {adjective}.",
        "{A} looks {adjective} and {adjective}. What has {A.he} done?",
        "I give a {adjective} {noun} and a {noun} for the truth about {A}.",
        "{cry}! Why is {A} as {adjective} as a {noun}?",
    ],
    "betrayal": [
        "I told only a {adjective} {noun} and a {noun} that {A} has {deed}.",
        "Hear me, {adjective} world! {A} has {deed}!",
        "{cry}! I must sing it: {A} has {deed}!",
        "The {adjective} {place} knows it: {A.he} has {deed}.",
        "Fetch the {trade}! This {adjective} {A_trade} has {deed}!",
        "I sold it for a {adjective} {noun}: {A.he} has {deed}.",
        "Look at {A.him}, the {adjective} {A_trade}! {A.He} has {deed}!",
    ],
    # The curtain falls.
    "end": [
        "Exeunt, arguing about a {adjective} {noun}.\n\n",
        "Exeunt, {mood}, with a {adjective} {noun}.\n\n",
        "Exit {A}, followed by a {adjective} {noun}.\n\n",
        "Exit {B}, {doing} {B.his} {adjective} {noun}.\n\n",
        "{B} faints into {B.his} {adjective} {noun}.\n\n",
        "A {adjective} {noun} enters. Exeunt in haste.\n\n",
        "{A} bows to {B}, {B} to a {adjective} {noun}.\n\n",
    ],
    # How they address each other.
    "to_A": [
        "my dear {A}",
        "my dear {A_trade}",
        "good {A_trade}",
        "my {adjective} {A}",
        "O {adjective} {A_trade}",
        "{A.sir}",
    ],
    "to_B": [
        "my dear {B}",
        "my dear {B_trade}",
        "good {B_trade}",
        "my {adjective} {B}",
        "O {adjective} {B_trade}",
        "{B.sir}",
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
    "done": words.DONE,
    "place": words.PLACES,
    "time": words.TIMES,
    "mood": words.MOODS,
    "hail": words.HAILS,
    "cry": words.CRIES,
}
