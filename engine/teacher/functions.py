"""Classic Python functions: source, explanation, wordings, and cases whose expected values do not come from the source.

The expected values are literals or come from the standard library (math, sorted, str methods), never from the
function they judge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Case = tuple[tuple[Any, ...], Any]  # arguments, expected result; JSON values only


@dataclass(frozen=True)
class Function:
    """One function of the corpus; `name` is what the source defines."""

    name: str
    source: str
    before: str
    after: str
    trained: tuple[str, ...]  # phrases that follow "a Python function to ..."
    held_out: tuple[str, ...]
    cases: tuple[Case, ...]

    def answer(self) -> str:
        return f"{self.before}\n\n```python\n{self.source.strip()}\n```\n\n{self.after}"


TRAINED_REQUESTS = (
    "Write a Python function to {p}.",
    "Write a function in Python to {p}.",
    "Write Python code to {p}.",
    "Please write a Python function to {p}.",
    "Can you write a Python function to {p}?",
    "I need a Python function to {p}.",
    "Give me a Python function to {p}.",
    "Show me Python code to {p}.",
    "How do I {p} in Python?",
    "Implement a Python function to {p}.",
    "Create a Python function to {p}.",
    "Python function to {p}",
    "Please give me Python code to {p}.",
    "How can I {p} with Python?",
)
HELD_OUT_REQUESTS = (
    "Could you write a Python function to {p}?",
    "Show me a Python function to {p}.",
    "Please implement a function in Python to {p}.",
)

FUNCTIONS: tuple[Function, ...] = (
    Function(
        "fibonacci",
        """
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
""",
        "Here is a Python function that computes the nth Fibonacci number.",
        "It starts from 0 and 1 and adds the last two numbers n times.",
        ("compute the nth Fibonacci number", "calculate the nth Fibonacci number", "return the nth Fibonacci number",
         "compute Fibonacci numbers", "get the nth number of the Fibonacci sequence", "find the nth Fibonacci number"),
        ("calculate Fibonacci numbers", "get the nth Fibonacci number"),
        (*(((n,), value) for n, value in enumerate((0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55))), ((50,), 12586269025)),
    ),
    Function(
        "factorial",
        """
def factorial(n):
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result
""",
        "Here is a Python function that computes the factorial of a number.",
        "It multiplies all whole numbers from 2 up to n.",
        ("compute the factorial of a number", "calculate the factorial of n", "return the factorial of a number",
         "compute n factorial", "find the factorial of an integer", "get the factorial of a number"),
        ("calculate the factorial of a number", "find n factorial"),
        tuple(((n,), math.factorial(n)) for n in range(13)),
    ),
    Function(
        "is_prime",
        """
def is_prime(n):
    if n < 2:
        return False
    for i in range(2, int(n ** 0.5) + 1):
        if n % i == 0:
            return False
    return True
""",
        "Here is a Python function that checks whether a number is prime.",
        "It tries every divisor up to the square root of n.",
        ("check if a number is prime", "check whether a number is prime", "test if a number is prime",
         "decide if n is a prime number", "find out if a number is prime", "determine whether a number is prime"),
        ("test whether a number is prime", "check if n is a prime number"),
        (*(((n,), n in {2, 3, 5, 7, 11, 13, 17, 19, 23, 29}) for n in range(-1, 31)), ((49,), False), ((97,), True)),
    ),
    Function(
        "gcd",
        """
def gcd(a, b):
    while b:
        a, b = b, a % b
    return a
""",
        "Here is a Python function that computes the greatest common divisor of two numbers.",
        "It uses the algorithm of Euclid.",
        ("compute the greatest common divisor of two numbers", "find the greatest common divisor",
         "compute the gcd of two numbers",
         "calculate the greatest common divisor", "find the gcd of a and b",
         "get the largest common divisor of two numbers"),
        ("find the gcd of two numbers", "calculate the greatest common divisor of two numbers"),
        tuple(((a, b), math.gcd(a, b)) for a, b in ((12, 18), (7, 13), (100, 75), (0, 5), (5, 0), (270, 192))),
    ),
    Function(
        "lcm",
        """
def lcm(a, b):
    x, y = a, b
    while y:
        x, y = y, x % y
    return a * b // x
""",
        "Here is a Python function that computes the least common multiple of two numbers.",
        "It divides the product by the greatest common divisor.",
        ("compute the least common multiple of two numbers", "find the least common multiple",
         "compute the lcm of two numbers",
         "calculate the least common multiple", "find the lcm of a and b",
         "get the smallest common multiple of two numbers"),
        ("find the lcm of two numbers", "calculate the least common multiple of two numbers"),
        tuple(((a, b), math.lcm(a, b)) for a, b in ((4, 6), (7, 13), (21, 6), (1, 5), (10, 10))),
    ),
    Function(
        "reverse_string",
        """
def reverse_string(text):
    return text[::-1]
""",
        "Here is a Python function that reverses a string.",
        "The slice with step -1 reads the text from the end to the start.",
        ("reverse a string", "reverse the characters of a string", "return a string in reverse order",
         "turn a string around", "reverse a text", "get the reverse of a string"),
        ("reverse the letters of a string", "return the reverse of a string"),
        ((("hello",), "olleh"), (("",), ""), (("ab",), "ba"), (("Python",), "nohtyP")),
    ),
    Function(
        "is_palindrome",
        """
def is_palindrome(text):
    letters = [c.lower() for c in text if c.isalnum()]
    return letters == letters[::-1]
""",
        "Here is a Python function that checks whether a text is a palindrome.",
        "It ignores case and everything that is not a letter or digit.",
        ("check if a string is a palindrome", "check whether a text is a palindrome", "test if a word is a palindrome",
         "detect palindromes", "find out if a string is a palindrome", "determine whether a string is a palindrome"),
        ("test whether a string is a palindrome", "check if a word is a palindrome"),
        ((("level",), True), (("hello",), False), (("Never odd or even",), True), (("",), True), (("ab",), False)),
    ),
    Function(
        "bubble_sort",
        """
def bubble_sort(items):
    items = list(items)
    for end in range(len(items) - 1, 0, -1):
        for i in range(end):
            if items[i] > items[i + 1]:
                items[i], items[i + 1] = items[i + 1], items[i]
    return items
""",
        "Here is a Python function that sorts a list with bubble sort.",
        "Each pass moves the largest remaining item to the end.",
        ("sort a list with bubble sort", "implement bubble sort", "do a bubble sort", "sort numbers using bubble sort",
         "run the bubble sort algorithm", "bubble sort a list"),
        ("sort a list using bubble sort", "implement the bubble sort algorithm"),
        tuple(((v,), sorted(v)) for v in ([], [1], [3, 1, 2], [5, 4, 3, 2, 1], [2, 2, 1], [-1, 7, 0, -5])),
    ),
    Function(
        "insertion_sort",
        """
def insertion_sort(items):
    result = []
    for item in items:
        i = len(result)
        while i > 0 and result[i - 1] > item:
            i -= 1
        result.insert(i, item)
    return result
""",
        "Here is a Python function that sorts a list with insertion sort.",
        "Each item is put at its place among the items sorted so far.",
        ("sort a list with insertion sort", "implement insertion sort", "do an insertion sort",
         "sort numbers using insertion sort", "run the insertion sort algorithm", "insertion sort a list"),
        ("sort a list using insertion sort", "implement the insertion sort algorithm"),
        tuple(((v,), sorted(v)) for v in ([], [1], [3, 1, 2], [5, 4, 3, 2, 1], [2, 2, 1], [-1, 7, 0, -5])),
    ),
    Function(
        "quick_sort",
        """
def quick_sort(items):
    if len(items) <= 1:
        return list(items)
    pivot = items[0]
    smaller = [x for x in items[1:] if x < pivot]
    larger = [x for x in items[1:] if x >= pivot]
    return quick_sort(smaller) + [pivot] + quick_sort(larger)
""",
        "Here is a Python function that sorts a list with quicksort.",
        "It splits the list around a pivot and sorts both parts.",
        ("sort a list with quicksort", "implement quicksort", "do a quick sort", "sort numbers using quicksort",
         "run the quicksort algorithm", "quicksort a list"),
        ("sort a list using quicksort", "implement the quicksort algorithm"),
        tuple(((v,), sorted(v)) for v in ([], [1], [3, 1, 2], [5, 4, 3, 2, 1], [2, 2, 1], [-1, 7, 0, -5])),
    ),
    Function(
        "binary_search",
        """
def binary_search(items, target):
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == target:
            return middle
        if items[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return -1
""",
        "Here is a Python function that finds a value in a sorted list with binary search.",
        "It returns the index of the value, or -1 if it is missing.",
        ("do a binary search", "implement binary search", "find a value in a sorted list with binary search",
         "search a sorted list with binary search", "run the binary search algorithm", "binary search a sorted list"),
        ("implement the binary search algorithm", "search a sorted list using binary search"),
        (
            (([1, 3, 5, 7, 9], 7), 3),
            (([1, 3, 5, 7, 9], 1), 0),
            (([1, 3, 5, 7, 9], 4), -1),
            (([], 1), -1),
            (([2], 2), 0),
        ),
    ),
    Function(
        "sum_list",
        """
def sum_list(numbers):
    total = 0
    for number in numbers:
        total += number
    return total
""",
        "Here is a Python function that computes the sum of a list of numbers.",
        "It adds every number to a running total.",
        ("compute the sum of a list", "add up all numbers in a list", "calculate the sum of a list of numbers",
         "sum a list", "return the sum of a list of numbers", "find the sum of all items in a list"),
        ("sum all numbers in a list", "calculate the sum of a list"),
        tuple(((v,), sum(v)) for v in ([], [5], [1, 2, 3], [-4, 4, 10], list(range(50)))),
    ),
    Function(
        "find_max",
        """
def find_max(numbers):
    largest = numbers[0]
    for number in numbers[1:]:
        if number > largest:
            largest = number
    return largest
""",
        "Here is a Python function that finds the largest number in a list.",
        "It keeps the largest number seen so far.",
        ("find the maximum of a list", "find the largest number in a list", "return the largest item of a list",
         "get the maximum value in a list", "find the biggest number in a list", "compute the maximum of a list"),
        ("find the maximum value of a list", "return the largest number in a list"),
        tuple(((v,), max(v)) for v in ([5], [1, 2, 3], [-4, -9, -1], [7, 7, 2], [0, 100, 50])),
    ),
    Function(
        "find_min",
        """
def find_min(numbers):
    smallest = numbers[0]
    for number in numbers[1:]:
        if number < smallest:
            smallest = number
    return smallest
""",
        "Here is a Python function that finds the smallest number in a list.",
        "It keeps the smallest number seen so far.",
        ("find the minimum of a list", "find the smallest number in a list", "return the smallest item of a list",
         "get the minimum value in a list", "find the lowest number in a list", "compute the minimum of a list"),
        ("find the minimum value of a list", "return the smallest number in a list"),
        tuple(((v,), min(v)) for v in ([5], [1, 2, 3], [-4, -9, -1], [7, 7, 2], [0, 100, 50])),
    ),
    Function(
        "count_vowels",
        """
def count_vowels(text):
    return sum(1 for c in text.lower() if c in "aeiou")
""",
        "Here is a Python function that counts the vowels in a text.",
        "It looks at each letter in lower case.",
        ("count the vowels in a string", "count vowels", "count the number of vowels in a text",
         "find how many vowels a string has", "get the number of vowels in a word", "count all vowels in a word"),
        ("count vowels in a string", "get the number of vowels in a string"),
        ((("hello",), 2), (("rhythm",), 0), (("",), 0), (("AEIOU",), 5), (("Python code",), 3)),
    ),
    Function(
        "fizzbuzz",
        """
def fizzbuzz(n):
    result = []
    for i in range(1, n + 1):
        if i % 15 == 0:
            result.append("FizzBuzz")
        elif i % 3 == 0:
            result.append("Fizz")
        elif i % 5 == 0:
            result.append("Buzz")
        else:
            result.append(str(i))
    return result
""",
        "Here is a Python function that plays FizzBuzz up to n.",
        "Multiples of 3 give Fizz, multiples of 5 give Buzz and multiples of both give FizzBuzz.",
        ("play FizzBuzz", "solve FizzBuzz", "implement FizzBuzz", "do FizzBuzz up to n",
         "return the FizzBuzz list up to n",
         "make the FizzBuzz sequence"),
        ("solve the FizzBuzz problem", "play FizzBuzz up to n"),
        (
            ((0,), []),
            ((5,), ["1", "2", "Fizz", "4", "Buzz"]),
            ((15,), ["1", "2", "Fizz", "4", "Buzz", "Fizz", "7", "8", "Fizz", "Buzz", "11", "Fizz", "13", "14",
              "FizzBuzz"]),
        ),
    ),
    Function(
        "power",
        """
def power(base, exponent):
    result = 1
    for _ in range(exponent):
        result *= base
    return result
""",
        "Here is a Python function that raises a number to a power.",
        "It multiplies the base as often as the exponent says.",
        ("raise a number to a power", "compute the power of a number", "calculate base to the power of exponent",
         "compute a power", "raise a base to an exponent", "calculate powers of a number"),
        ("calculate the power of a number", "raise a base to a power"),
        (((2, 10), 1024), ((5, 0), 1), ((3, 4), 81), ((-2, 3), -8), ((10, 6), 1000000)),
    ),
    Function(
        "count_words",
        """
def count_words(text):
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
""",
        "Here is a Python function that counts how often each word occurs.",
        "It returns a dictionary from word to count.",
        ("count the words in a text", "count how often each word occurs", "count word frequencies",
         "compute the frequency of words in a text", "count each word of a string", "get word counts of a text"),
        ("count how often each word occurs in a text", "compute word frequencies"),
        (
            (("the cat and the dog",), {"the": 2, "cat": 1, "and": 1, "dog": 1}),
            (("",), {}),
            (("A a a",), {"a": 3}),
        ),
    ),
    Function(
        "remove_duplicates",
        """
def remove_duplicates(items):
    result = []
    for item in items:
        if item not in result:
            result.append(item)
    return result
""",
        "Here is a Python function that removes duplicates from a list.",
        "It keeps the first of each item and the order of the list.",
        ("remove duplicates from a list", "drop duplicate items of a list", "delete repeated items from a list",
         "get the unique items of a list", "remove repeated values from a list", "keep each item of a list once"),
        ("delete duplicates from a list", "remove repeated items from a list"),
        ((([1, 2, 1, 3, 2],), [1, 2, 3]), (([],), []), ((["b", "a", "b"],), ["b", "a"]), (([4, 4, 4],), [4])),
    ),
    Function(
        "is_even",
        """
def is_even(n):
    return n % 2 == 0
""",
        "Here is a Python function that checks whether a number is even.",
        "An even number leaves no remainder when divided by 2.",
        ("check if a number is even", "check whether a number is even", "test if a number is even",
         "decide if n is even", "find out if a number is even", "determine whether a number is even"),
        ("test whether a number is even", "check if n is even"),
        tuple(((n,), n in {-2, 0, 2, 4, 6, 100}) for n in (-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 99, 100)),
    ),
    Function(
        "is_leap_year",
        """
def is_leap_year(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
""",
        "Here is a Python function that checks whether a year is a leap year.",
        "Every fourth year is one, but full centuries only if 400 divides them.",
        ("check if a year is a leap year", "check whether a year is a leap year", "test if a year is a leap year",
         "find leap years", "find out if a year is a leap year", "determine whether a year is a leap year"),
        ("test whether a year is a leap year", "decide if a year is a leap year"),
        (((2000,), True), ((1900,), False), ((2024,), True), ((2023,), False), ((2100,), False), ((2400,), True)),
    ),
    Function(
        "sum_digits",
        """
def sum_digits(n):
    return sum(int(digit) for digit in str(abs(n)))
""",
        "Here is a Python function that adds the digits of a number.",
        "It turns the number into text and adds the digits.",
        ("add the digits of a number", "compute the digit sum of a number", "sum the digits of an integer",
         "calculate the sum of the digits of a number", "get the digit sum", "find the sum of digits"),
        ("sum the digits of a number", "calculate the digit sum of a number"),
        (((0,), 0), ((7,), 7), ((123,), 6), ((-45,), 9), ((99999,), 45)),
    ),
    Function(
        "average",
        """
def average(numbers):
    if not numbers:
        return 0
    return sum(numbers) / len(numbers)
""",
        "Here is a Python function that computes the average of a list of numbers.",
        "It divides the sum by the length and gives 0 for an empty list.",
        ("compute the average of a list", "calculate the mean of a list", "find the average of numbers",
         "get the average of a list of numbers", "compute the mean of numbers", "return the average of a list"),
        ("calculate the average of a list", "compute the mean of a list"),
        ((([1, 2, 3],), 2.0), (([5],), 5.0), (([1, 2],), 1.5), (([-1, 1],), 0.0), (([],), 0)),
    ),
    Function(
        "celsius_to_fahrenheit",
        """
def celsius_to_fahrenheit(celsius):
    return celsius * 9 / 5 + 32
""",
        "Here is a Python function that converts Celsius to Fahrenheit.",
        "It multiplies by 9 / 5 and adds 32.",
        ("convert Celsius to Fahrenheit", "turn Celsius into Fahrenheit",
         "convert a temperature from Celsius to Fahrenheit",
         "compute Fahrenheit from Celsius", "change degrees Celsius to Fahrenheit",
         "get Fahrenheit from a Celsius value"),
        ("change Celsius to Fahrenheit", "convert degrees Celsius to Fahrenheit"),
        (((0,), 32.0), ((100,), 212.0), ((-40,), -40.0), ((37,), 98.6)),
    ),
    Function(
        "flatten",
        """
def flatten(items):
    result = []
    for item in items:
        if isinstance(item, list):
            result.extend(flatten(item))
        else:
            result.append(item)
    return result
""",
        "Here is a Python function that flattens a nested list.",
        "It calls itself for every list inside the list.",
        ("flatten a nested list", "flatten a list of lists", "turn a nested list into a flat list", "flatten lists",
         "make a nested list flat", "unpack a list of lists"),
        ("flatten nested lists", "turn a list of lists into a flat list"),
        ((([1, [2, [3, 4]], 5],), [1, 2, 3, 4, 5]), (([],), []), (([[[]]],), []), (([[1], [2]],), [1, 2])),
    ),
)  # fmt: skip
