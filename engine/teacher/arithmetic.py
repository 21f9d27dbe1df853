"""Additions and subtractions of 0 to 20: every pair, many wordings, one answer form."""

from __future__ import annotations

LARGEST = 20

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

# Patterns over {a} and {b}; the answer is always "a + b equals c." in digits.
ADD_TRAINED = (
    "What is {a}+{b}?",
    "What is {a} + {b}?",
    "What's {a} + {b}?",
    "What's {a}+{b}?",
    "{a}+{b}",
    "{a} + {b}",
    "{a} + {b} = ?",
    "{a}+{b}=?",
    "{a} + {b} =",
    "What is {a} plus {b}?",
    "What's {a} plus {b}?",
    "How much is {a} plus {b}?",
    "How much is {a} + {b}?",
    "How much is {a}+{b}?",
    "Calculate {a} + {b}.",
    "Calculate {a}+{b}",
    "Compute {a} + {b}.",
    "Compute {a} plus {b}.",
    "Please add {a} and {b}.",
    "Add {a} to {b}.",
    "Add {a} and {b}.",
    "What is the sum of {a} and {b}?",
    "Find the sum of {a} and {b}.",
    "Tell me {a} plus {b}.",
    "Tell me what {a} + {b} is.",
    "Solve {a} + {b}.",
    "{a} plus {b} is what?",
    "Can you add {a} and {b}?",
    "What do you get when you add {a} and {b}?",
    "If I add {a} and {b}, what do I get?",
    "I have {a} apples and get {b} more. How many do I have?",
    "There are {a} birds and {b} more arrive. How many birds are there?",
    "Give me the total of {a} and {b}.",
    "What does {a} + {b} equal?",
    "Evaluate {a}+{b}.",
)
ADD_HELD_OUT = (
    "Can you tell me what {a} + {b} is?",
    "What does {a} plus {b} make?",
    "Please calculate {a} plus {b}.",
    "What is the result of {a}+{b}?",
    "Tell me the sum of {a} and {b}.",
    "How much do you get if you add {a} and {b}?",
)
SUBTRACT_TRAINED = (
    "What is {a}-{b}?",
    "What is {a} - {b}?",
    "What's {a} - {b}?",
    "What's {a}-{b}?",
    "{a}-{b}",
    "{a} - {b}",
    "{a} - {b} = ?",
    "{a}-{b}=?",
    "{a} - {b} =",
    "What is {a} minus {b}?",
    "What's {a} minus {b}?",
    "How much is {a} minus {b}?",
    "How much is {a} - {b}?",
    "How much is {a}-{b}?",
    "Calculate {a} - {b}.",
    "Calculate {a}-{b}",
    "Compute {a} - {b}.",
    "Compute {a} minus {b}.",
    "Please subtract {b} from {a}.",
    "Subtract {b} from {a}.",
    "Take {b} away from {a}.",
    "What is {a} less {b}?",
    "What is left of {a} if you take away {b}?",
    "Tell me {a} minus {b}.",
    "Tell me what {a} - {b} is.",
    "Solve {a} - {b}.",
    "{a} minus {b} is what?",
    "Can you subtract {b} from {a}?",
    "What do you get when you subtract {b} from {a}?",
    "If I take {b} from {a}, what do I get?",
    "What is {a} take away {b}?",
    "What does {a} - {b} equal?",
    "Evaluate {a}-{b}.",
    "I had {a} points and lost {b}. How many points do I have?",
)
SUBTRACT_HELD_OUT = (
    "Can you tell me what {a} - {b} is?",
    "What does {a} minus {b} make?",
    "Please calculate {a} minus {b}.",
    "What is the result of {a}-{b}?",
    "Tell me the result of {a} minus {b}.",
    "How much do you get if you subtract {b} from {a}?",
)


def number_word(n: int) -> str:
    return _WORDS[n]


def answer(a: int, op: str, b: int) -> str:
    return f"{a} {op} {b} equals {a + b if op == '+' else a - b}."


def pairs() -> list[tuple[int, str, int]]:
    """All 882 problems in a fixed order."""
    numbers = range(LARGEST + 1)
    return [(a, op, b) for op in "+-" for a in numbers for b in numbers]
