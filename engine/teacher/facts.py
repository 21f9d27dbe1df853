"""The table of facts the teacher knows, by relation, with wordings to train on and wordings kept for evaluation.

A relation has an answer pattern and two sets of question patterns over {x}; `held_out` patterns never reach training.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.teacher.single_facts import SINGLE


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
    found += [Fact("single", answer, trained, held_out) for answer, trained, held_out in SINGLE]
    return tuple(Fact(f.relation, _articles(f.answer), _each(f.trained), _each(f.held_out)) for f in found)


def _each(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_articles(text) for text in texts)


def _articles(text: str) -> str:
    """'a ant', 'a elephant' -> 'an ...'; the patterns write 'a {x}'."""
    for word in ("ant", "elephant"):
        text = text.replace(f"a {word} ", f"an {word} ").replace(f"A {word} ", f"An {word} ")
        text = text.replace(f" a {word}?", f" an {word}?").replace(f" a {word}.", f" an {word}.")
    return text
