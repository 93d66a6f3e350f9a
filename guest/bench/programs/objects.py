# Classes, dictionaries, strings, sorting, integers of any size: what a Python program spends its time in.
import re


class Account:
    def __init__(self, number):
        self.number = number
        self.cents = 0
        self.log = []

    def book(self, cents, text):
        self.cents += cents
        if len(self.log) < 50:
            self.log.append((text, cents))


def run_bank(steps):
    accounts = [Account(number) for number in range(97)]
    state = 1
    for step in range(steps):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        accounts[state % 97].book(state % 1000 - 400, f"step {step}")
    richest = sorted(accounts, key=lambda account: (-account.cents, account.number))[:3]
    return [(account.number, account.cents, account.log[-1]) for account in richest]


def count_words(rounds):
    words = "the quick brown fox jumps over the lazy dog and runs into the deep dark wood".split()
    counts = {}
    for number in range(rounds):
        word = words[number * 7 % len(words)] + str(number % 13)
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:4]


def sieve(limit):
    is_prime = bytearray([1]) * (limit + 1)
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = bytes(len(range(number * number, limit + 1, number)))
    return sum(is_prime) - 2


def match_lines(lines):
    pattern = re.compile(r"^(\w+)-(\d+): ([a-z ]+)$")
    total = 0
    for number in range(lines):
        found = pattern.match(f"host-{number}: some text of a line")
        if found:
            total += int(found[2]) % 7 + len(found[3])
    return total


def fibonacci_digits(count):
    first, second = 0, 1
    for _ in range(count):
        first, second = second, first + second
    return str(first)[:20], len(str(first))


print(run_bank(200_000))
print(count_words(200_000))
print(sieve(1_000_000))
print(match_lines(60_000))
print(fibonacci_digits(8_000))
print(sum(x * x % 7 for x in range(400_000)))
