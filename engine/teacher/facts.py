"""The table of facts the teacher knows, by relation, with wordings to train on and wordings kept for evaluation.

A relation has an answer pattern and two sets of question patterns over {x}; `held_out` patterns never reach training.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    name: str
    pairs: dict[str, str]
    answer: str  # pattern over {x} and {y}
    trained: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    relation: str
    answer: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


_CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Poland": "Warsaw", "Greece": "Athens", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin", "Hungary": "Budapest", "Japan": "Tokyo",
    "China": "Beijing", "India": "New Delhi", "Egypt": "Cairo", "Kenya": "Nairobi", "Canada": "Ottawa",
    "Mexico": "Mexico City", "Peru": "Lima", "Chile": "Santiago", "Cuba": "Havana", "Australia": "Canberra",
    "Turkey": "Ankara", "Iceland": "Reykjavik", "Thailand": "Bangkok",
}  # fmt: skip

_CONTINENTS = {
    "Brazil": "South America", "Argentina": "South America", "Colombia": "South America", "Nigeria": "Africa",
    "Ghana": "Africa", "Morocco": "Africa", "Vietnam": "Asia", "Nepal": "Asia", "Mongolia": "Asia",
    "Belgium": "Europe", "Romania": "Europe", "Croatia": "Europe",
}  # fmt: skip

_SYMBOLS = {
    "hydrogen": "H", "helium": "He", "carbon": "C", "nitrogen": "N", "oxygen": "O", "sodium": "Na", "iron": "Fe",
    "copper": "Cu", "silver": "Ag", "gold": "Au", "lead": "Pb", "zinc": "Zn",
}  # fmt: skip

_YOUNG = {
    "dog": "puppy", "cat": "kitten", "cow": "calf", "horse": "foal", "sheep": "lamb", "pig": "piglet", "bear": "cub",
    "duck": "duckling", "goose": "gosling", "frog": "tadpole", "kangaroo": "joey", "swan": "cygnet",
}  # fmt: skip

_LEGS = {"spider": "eight", "ant": "six", "bee": "six", "chicken": "two", "elephant": "four", "crab": "ten"}

_OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "light": "dark", "high": "low", "early": "late", "happy": "sad",
    "hard": "soft", "full": "empty", "old": "young", "wet": "dry", "open": "closed", "loud": "quiet",
    "rich": "poor", "strong": "weak", "long": "short",
}  # fmt: skip

_COLOURS = {
    "grass": "green", "snow": "white", "coal": "black", "a ripe banana": "yellow", "blood": "red",
    "the clear daytime sky": "blue", "a carrot": "orange",
}  # fmt: skip

_COUNTS = {
    "days are in a week": "There are 7 days in a week.",
    "months are in a year": "There are 12 months in a year.",
    "hours are in a day": "There are 24 hours in a day.",
    "minutes are in an hour": "There are 60 minutes in an hour.",
    "seconds are in a minute": "There are 60 seconds in a minute.",
    "centimetres are in a metre": "There are 100 centimetres in a metre.",
    "bits are in a byte": "There are 8 bits in a byte.",
    "sides are in a triangle": "A triangle has 3 sides.",
    "sides are in a hexagon": "A hexagon has 6 sides.",
    "planets are in the solar system": "There are 8 planets in the solar system.",
    "letters are in the English alphabet": "There are 26 letters in the English alphabet.",
    "strings are on a violin": "A violin has 4 strings.",
}

_WRITERS = {
    "Hamlet": "William Shakespeare", "Don Quixote": "Miguel de Cervantes", "War and Peace": "Leo Tolstoy",
    "The Odyssey": "Homer", "Faust": "Johann Wolfgang von Goethe", "Pride and Prejudice": "Jane Austen",
    "Moby Dick": "Herman Melville", "Oliver Twist": "Charles Dickens", "Frankenstein": "Mary Shelley",
}  # fmt: skip

_NEXT_DAY = {
    "Monday": "Tuesday", "Tuesday": "Wednesday", "Wednesday": "Thursday", "Thursday": "Friday",
    "Friday": "Saturday", "Saturday": "Sunday", "Sunday": "Monday",
}  # fmt: skip

RELATIONS: tuple[Relation, ...] = (
    Relation(
        "capital",
        _CAPITALS,
        "The capital of {x} is {y}.",
        (
            "What is the capital of {x}?",
            "What's the capital of {x}?",
            "Which city is the capital of {x}?",
            "Name the capital of {x}.",
            "Tell me the capital of {x}.",
            "Can you tell me the capital of {x}?",
            "What is {x}'s capital?",
            "What city is the capital of {x}?",
            "The capital of {x} is which city?",
            "I need the name of the capital city of {x}.",
            "Capital of {x}?",
        ),
        ("Do you know the capital of {x}?", "What is the capital city of {x}?", "Please name {x}'s capital city."),
    ),
    Relation(
        "continent",
        _CONTINENTS,
        "{x} is in {y}.",
        (
            "Which continent is {x} in?",
            "On which continent is {x}?",
            "What continent is {x} part of?",
            "Name the continent of {x}.",
            "Tell me the continent of {x}.",
            "Which continent does {x} belong to?",
            "{x} is on which continent?",
            "In what part of the world is {x}?",
            "Do you know which continent {x} is in?",
        ),
        ("What continent is {x} in?", "Tell me which continent {x} is on.", "{x} belongs to which continent?"),
    ),
    Relation(
        "symbol",
        _SYMBOLS,
        "The chemical symbol of {x} is {y}.",
        (
            "What is the chemical symbol of {x}?",
            "What's the chemical symbol for {x}?",
            "Which symbol stands for {x} in the periodic table?",
            "Tell me the chemical symbol of {x}.",
            "Name the symbol of the element {x}.",
            "How is {x} written as a chemical symbol?",
            "Give the symbol for {x}.",
            "Chemical symbol of {x}?",
            "Which letters stand for {x} in chemistry?",
        ),
        (
            "What is the symbol for {x}?",
            "Can you give me the chemical symbol of {x}?",
            "Name the chemical symbol for {x}.",
        ),
    ),
    Relation(
        "young",
        _YOUNG,
        "A young {x} is called a {y}.",
        (
            "What is a young {x} called?",
            "What do you call a young {x}?",
            "What is the name for a baby {x}?",
            "How do we call a baby {x}?",
            "Tell me the word for a young {x}.",
            "Which word means a young {x}?",
            "A baby {x} is called what?",
            "What's the word for a baby {x}?",
            "Give me the name of a young {x}.",
        ),
        ("What is a baby {x} called?", "What do people call a baby {x}?", "Tell me the name for a young {x}."),
    ),
    Relation(
        "legs",
        _LEGS,
        "A {x} has {y} legs.",
        (
            "How many legs does a {x} have?",
            "What number of legs does a {x} have?",
            "Count the legs of a {x}.",
            "How many legs are on a {x}?",
            "Tell me the number of legs of a {x}.",
            "A {x} walks on how many legs?",
            "How many legs has a {x}?",
            "On how many legs does a {x} walk?",
        ),
        ("Tell me how many legs a {x} has.", "A {x} has how many legs?", "Do you know how many legs a {x} has?"),
    ),
    Relation(
        "opposite",
        _OPPOSITES,
        "The opposite of {x} is {y}.",
        (
            "What is the opposite of {x}?",
            "What's the opposite of {x}?",
            "Which word means the opposite of {x}?",
            "Name the opposite of {x}.",
            "Tell me the opposite of {x}.",
            "Give me a word that is the opposite of {x}.",
            "The opposite of {x} is what?",
            "What is the antonym of {x}?",
            "Opposite of {x}?",
            "Which word is opposite in meaning to {x}?",
        ),
        ("Give me the opposite of {x}.", "What word is the opposite of {x}?", "Can you tell me the opposite of {x}?"),
    ),
    Relation(
        "colour",
        _COLOURS,
        "The colour of {x} is {y}.",
        (
            "What colour is {x}?",
            "Which colour is {x}?",
            "What is the colour of {x}?",
            "Tell me the colour of {x}.",
            "Name the colour of {x}.",
            "What color is {x}?",
            "Which color does {x} have?",
            "What colour has {x}?",
            "Do you know what colour {x} is?",
        ),
        ("What colour does {x} have?", "Can you tell me the colour of {x}?", "What is the color of {x}?"),
    ),
    Relation(
        "count",
        _COUNTS,
        "{y}",
        (
            "How many {x}?",
            "Tell me how many {x}.",
            "Can you tell me how many {x}?",
            "Please say how many {x}.",
            "I want to know how many {x}.",
            "Do you remember how many {x}?",
            "Could you say how many {x}?",
            "I forgot how many {x}.",
        ),
        ("Do you know how many {x}?", "Please tell me how many {x}.", "Say how many {x}."),
    ),
    Relation(
        "writer",
        _WRITERS,
        "{x} was written by {y}.",
        (
            "Who wrote {x}?",
            "Who is the author of {x}?",
            "Which author wrote {x}?",
            "By whom was {x} written?",
            "Name the author of {x}.",
            "Tell me who wrote {x}.",
            "{x} was written by whom?",
            "Who is the writer of {x}?",
            "Which writer created {x}?",
        ),
        ("Do you know who wrote {x}?", "Tell me the author of {x}.", "Who was the author of {x}?"),
    ),
    Relation(
        "next day",
        _NEXT_DAY,
        "The day after {x} is {y}.",
        (
            "Which day comes after {x}?",
            "What day comes after {x}?",
            "What is the day after {x}?",
            "Which day follows {x}?",
            "Name the day after {x}.",
            "After {x} comes which day?",
            "If today is {x}, what day is tomorrow?",
            "What day of the week comes next after {x}?",
        ),
        ("What day follows {x}?", "Tell me the day after {x}.", "Which day is after {x}?"),
    ),
)

# Facts without a shared pattern: answer, wordings to train on, wordings kept for evaluation.
_SINGLE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Jupiter is the largest planet in the solar system.",
        ("What is the largest planet?", "Which planet is the largest?",
         "What is the biggest planet in the solar system?",
         "Name the largest planet in the solar system.", "Which planet is the biggest of all?",
         "What's the biggest planet?"),
        ("Which is the largest planet in the solar system?", "Tell me the largest planet."),
    ),
    (
        "Mercury is the planet closest to the sun.",
        ("Which planet is closest to the sun?", "What planet is nearest to the sun?",
         "Name the planet closest to the sun.",
         "What is the closest planet to the sun?", "Which planet lies nearest the sun?"),
        ("What planet is closest to the sun?", "Tell me which planet is closest to the sun."),
    ),
    (
        "Water is made of hydrogen and oxygen.",
        ("What is water made of?", "Which elements make up water?", "What elements does water consist of?",
         "Tell me what water is made of.", "Water consists of which elements?"),
        ("Which elements is water made of?", "What does water consist of?"),
    ),
    (
        "Water freezes at 0 degrees Celsius.",
        ("At what temperature does water freeze?", "When does water freeze?", "What is the freezing point of water?",
         "Tell me the freezing point of water.", "At which temperature does water turn to ice?"),
        ("At which temperature does water freeze?", "What's the freezing point of water?"),
    ),
    (
        "Water boils at 100 degrees Celsius at sea level.",
        ("At what temperature does water boil?", "When does water boil?", "What is the boiling point of water?",
         "Tell me the boiling point of water.", "How hot is boiling water?"),
        ("At which temperature does water boil?", "What's the boiling point of water?"),
    ),
    (
        "The Pacific Ocean is the largest ocean.",
        ("What is the largest ocean?", "Which ocean is the largest?", "What is the biggest ocean on Earth?",
         "Name the largest ocean in the world.", "Which ocean is the biggest?"),
        ("Which is the largest ocean on Earth?", "Tell me the largest ocean."),
    ),
    (
        "Mount Everest is the highest mountain on Earth.",
        ("What is the highest mountain?", "Which mountain is the highest?",
         "What is the tallest mountain in the world?",
         "Name the highest mountain on Earth.", "Which mountain is the tallest on Earth?"),
        ("Which is the highest mountain in the world?", "Tell me the highest mountain."),
    ),
    (
        "The blue whale is the largest animal.",
        ("What is the largest animal?", "Which animal is the largest?", "What is the biggest animal on Earth?",
         "Name the largest animal in the world.", "Which animal is the biggest of all?"),
        ("Which is the largest animal on Earth?", "Tell me the largest animal."),
    ),
    (
        "The cheetah is the fastest land animal.",
        ("What is the fastest land animal?", "Which land animal is the fastest?", "Which animal runs the fastest?",
         "Name the fastest animal on land.", "What animal can run fastest?"),
        ("Which is the fastest land animal?", "Tell me the fastest animal on land."),
    ),
    (
        "The Earth takes about 365 days to travel around the sun.",
        ("How long does the Earth take to go around the sun?",
         "How many days does one trip of the Earth around the sun take?",
         "How long is one orbit of the Earth around the sun?", "In how many days does the Earth circle the sun?",
         "Tell me how long the Earth takes to go around the sun."),
        ("How long does it take the Earth to travel around the sun?",
         "How many days does the Earth take to go around the sun?"),
    ),
    (
        "The first month of the year is January.",
        ("What is the first month of the year?", "Which month is the first of the year?",
         "Name the first month of the year.",
         "With which month does the year begin?", "What month comes first in a year?"),
        ("Which is the first month of the year?", "Tell me the first month of the year."),
    ),
    (
        "The last month of the year is December.",
        ("What is the last month of the year?", "Which month is the last of the year?",
         "Name the last month of the year.",
         "With which month does the year end?", "What month comes last in a year?"),
        ("Which is the last month of the year?", "Tell me the last month of the year."),
    ),
    (
        "Bees make honey.",
        ("Which insects make honey?", "What animals make honey?", "Who makes honey?", "Where does honey come from?",
         "Name the insects that make honey.", "Tell me who makes honey."),
        ("What insects make honey?", "Which animals make honey?"),
    ),
    (
        "Plants take in carbon dioxide and give off oxygen.",
        ("Which gas do plants take in?", "What gas do plants need?", "What do plants take from the air?",
         "Tell me which gas plants take in.", "Plants take in which gas?"),
        ("What gas do plants take in?", "Which gas do plants take from the air?"),
    ),
    (
        "The square root of 81 is 9.",
        ("What is the square root of 81?", "What's the square root of 81?", "Tell me the square root of 81.",
         "Find the square root of 81.", "Compute the square root of 81."),
        ("Calculate the square root of 81.", "Give me the square root of 81."),
    ),
    (
        "Pi is about 3.14159.",
        ("What is the value of pi?", "What is pi?", "How big is pi?", "Tell me the value of pi.",
         "What number is pi?", "Give me the digits of pi."),
        ("What's the value of pi?", "Which number is pi?"),
    ),
    (
        "Python was created by Guido van Rossum.",
        ("Who created Python?", "Who invented the Python language?", "Who is the creator of Python?",
         "Name the creator of Python.", "By whom was Python created?", "Who made Python?"),
        ("Who invented Python?", "Tell me who created the Python language."),
    ),
    (
        "The Berlin Wall fell in 1989.",
        ("When did the Berlin Wall fall?", "In which year did the Berlin Wall fall?",
         "Which year saw the fall of the Berlin Wall?",
         "What was the year of the fall of the Berlin Wall?", "Name the year the Berlin Wall fell."),
        ("In what year did the Berlin Wall fall?", "Tell me when the Berlin Wall fell."),
    ),
    (
        "Humans first walked on the moon in 1969.",
        ("When did humans first walk on the moon?", "In which year was the first moon landing?",
         "When was the first landing on the moon?", "Which year did people first walk on the moon?",
         "Name the year of the first moon landing."),
        ("In what year did humans first walk on the moon?", "When did people land on the moon first?"),
    ),
    (
        "Leonardo da Vinci painted the Mona Lisa.",
        ("Who painted the Mona Lisa?", "Which artist painted the Mona Lisa?", "By whom was the Mona Lisa painted?",
         "Name the painter of the Mona Lisa.", "Who is the painter of the Mona Lisa?"),
        ("Tell me who painted the Mona Lisa.", "What artist painted the Mona Lisa?"),
    ),
)  # fmt: skip


def facts() -> tuple[Fact, ...]:
    """All facts in a fixed order."""
    found = [
        Fact(
            relation.name,
            _sentence(relation.answer.format(x=x, y=y)),
            tuple(_sentence(p.format(x=x)) for p in relation.trained),
            tuple(_sentence(p.format(x=x)) for p in relation.held_out),
        )
        for relation in RELATIONS
        for x, y in relation.pairs.items()
    ]
    found += [Fact("single", answer, trained, held_out) for answer, trained, held_out in _SINGLE]
    return tuple(Fact(f.relation, _articles(f.answer), _each(f.trained), _each(f.held_out)) for f in found)


def _each(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_articles(text) for text in texts)


def _articles(text: str) -> str:
    """'a ant', 'a elephant' -> 'an ...'; the patterns write 'a {x}'."""
    for word in ("ant", "elephant"):
        text = text.replace(f"a {word} ", f"an {word} ").replace(f"A {word} ", f"An {word} ")
        text = text.replace(f" a {word}?", f" an {word}?").replace(f" a {word}.", f" an {word}.")
    return text
