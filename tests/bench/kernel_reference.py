"""What the first round of each kernel of guest/bench must give, computed another way: by Python's integers, floats, hashlib,
sorted, dict and re. Prints a line "name checksum" each; tests/unit/bench_test.cpp compares. (lz checks itself.)"""

import hashlib
import json
import re
import struct

MASK = 2**64 - 1
GOLDILOCKS = 2**64 - 2**32 + 1


def random_numbers(seed):
    state = (seed * 0x9E3779B97F4A7C15 + 1) & MASK
    while True:
        state ^= (state << 13) & MASK
        state ^= state >> 7
        state ^= (state << 17) & MASK
        yield state


def below(numbers, limit):
    return (next(numbers) >> 16) % limit


def mix(checksum, value):
    return ((checksum ^ (value & MASK)) * 0x100000001B3) & MASK


def bits(number):
    return struct.unpack("<Q", struct.pack("<d", number))[0]


def first_word(digest):
    return int.from_bytes(digest[:8], "little")


MESSAGE = bytes(index & 0xFF for index in range(1024))


def fib_recursive():
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    return mix(0, fibonacci(20))


def fib_iterative():
    def pair(n):  # F(n), F(n + 1) by doubling
        if n == 0:
            return 0, 1
        a, b = pair(n // 2)
        c, d = a * (2 * b - a) & MASK, (a * a + b * b) & MASK
        return (c, d) if n % 2 == 0 else (d, (c + d) & MASK)

    return pair(1_000_000)[0]


def sieve():
    return sum(1 for n in range(2, 100_000) if all(n % d for d in range(2, int(n**0.5) + 1)))


def sorted_checksum(count, step):
    numbers = random_numbers(1)
    values = sorted(next(numbers) & 0xFFFFFFFF for _ in range(count))
    checksum = 0
    for value in values[::step]:
        checksum = mix(checksum, value)
    return checksum


def insertion_sort():
    return sorted_checksum(1024, 64)


def quicksort():
    return sorted_checksum(16_384, 256)


def sha256():
    return first_word(hashlib.sha256(MESSAGE).digest())


def blake2b():
    return first_word(hashlib.blake2b(MESSAGE, digest_size=32).digest())


def keccak():
    """On rows of bits in integers, rotations and constants from their definitions in FIPS 202, 3.2."""

    def rotate(lane, count):
        count %= 64
        return ((lane << count) | (lane >> (64 - count))) & MASK

    def rc_bits():
        register = 1
        while True:
            yield register & 1
            register <<= 1
            if register & 0x100:
                register ^= 0x171

    def permute(lanes):
        bit = rc_bits()
        for _ in range(24):
            parity = [lanes[x, 0] ^ lanes[x, 1] ^ lanes[x, 2] ^ lanes[x, 3] ^ lanes[x, 4] for x in range(5)]
            lanes = {(x, y): lanes[x, y] ^ parity[(x - 1) % 5] ^ rotate(parity[(x + 1) % 5], 1) for x, y in lanes}
            x, y = 1, 0
            rotated = {(0, 0): lanes[0, 0]}
            for t in range(24):
                rotated[x, y] = rotate(lanes[x, y], (t + 1) * (t + 2) // 2)
                x, y = y, (2 * x + 3 * y) % 5
            lanes = {(y, (2 * x + 3 * y) % 5): lane for (x, y), lane in rotated.items()}
            lanes = {(x, y): lanes[x, y] ^ (~lanes[(x + 1) % 5, y] & lanes[(x + 2) % 5, y] & MASK) for x, y in lanes}
            for power in range(7):
                lanes[0, 0] ^= next(bit) << (2**power - 1)
        return lanes

    rate = 136
    padded = bytearray(MESSAGE + b"\x01" + bytes(-(len(MESSAGE) + 1) % rate))
    padded[-1] |= 0x80
    lanes = {(x, y): 0 for x in range(5) for y in range(5)}
    for block in range(0, len(padded), rate):
        for lane in range(rate // 8):
            lanes[lane % 5, lane // 5] ^= int.from_bytes(padded[block + 8 * lane : block + 8 * lane + 8], "little")
        lanes = permute(lanes)
    return lanes[0, 0]


def first_row_product(number):
    numbers = random_numbers(1)
    left, right = {}, {}
    for row in range(64):
        for column in range(64):
            left[row, column] = number(next(numbers))
            right[row, column] = number(next(numbers))
    total = 0
    for index in range(64):
        total += left[0, index] * right[index, 63]
    return total


def matrix_int():
    numbers = iter(range(1 << 30))

    def number(value):  # right's entries, every second one, are made odd
        return (value & 0xFFFFFFFF) | (next(numbers) & 1)

    return mix(0, first_row_product(number) & 0xFFFFFFFF)


def matrix_double():
    return mix(0, bits(first_row_product(lambda value: (value >> 11) * 2.0**-53)))


def nbody():
    bodies = [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.0],
        [5.0, -1.0, -0.1, 0.6, 2.7, -0.02, 0.037],
        [8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.011],
        [12.9, -15.1, -0.2, 1.1, 0.9, -0.01, 0.002],
        [15.4, -25.9, 0.2, 1.0, 0.6, -0.03, 0.002],
    ]
    step = 0.01
    for _ in range(100):
        for first in range(5):
            for second in range(first + 1, 5):
                one, other = bodies[first], bodies[second]
                way = [one[axis] - other[axis] for axis in range(3)]
                squared = way[0] * way[0] + way[1] * way[1] + way[2] * way[2]
                pull = step / (squared * squared**0.5)
                for axis in range(3):
                    one[3 + axis] -= way[axis] * other[6] * pull
                    other[3 + axis] += way[axis] * one[6] * pull
        for body in bodies:
            for axis in range(3):
                body[axis] += step * body[3 + axis]
    checksum = 0
    for body in bodies:
        checksum = mix(checksum, bits(body[0] + body[1] + body[2]))
    return checksum


def bytecode():
    steps = 0
    for number in range(1, 101):
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            steps += 1
    return mix(0, steps)


def pointer_chase():
    count = 16_384
    numbers = random_numbers(7)
    order = list(range(count))
    for index in range(count - 1, 0, -1):
        other = below(numbers, index)
        order[index], order[other] = order[other], order[index]
    # A whole turn of the ring and one step more.
    start = order.index(0)
    return mix(sum(range(count)), order[(start + 1) % count])


def hash_table():
    numbers = random_numbers(1)
    keys = [next(numbers) | 1 for _ in range(5000)]
    table = {key: index for index, key in enumerate(keys)}
    checksum = 0
    for index, key in enumerate(keys):
        checksum += table[key]
        if index % 4 == 0:
            del table[key]
    for key in keys:
        checksum = mix(checksum, table.get(key, 0))
    return checksum


def goldilocks():
    return pow(7, 100_001, GOLDILOCKS)


def polynomial():
    numbers = random_numbers(3)
    coefficients = [next(numbers) % GOLDILOCKS for _ in range(4097)]
    point = 1
    for index in range(64):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * point + coefficient) % GOLDILOCKS
        point = (value + index) % GOLDILOCKS
    return point


def regex():
    pieces = ["at 9:45 ", "ask ada.l ", "ada@mail.org ", "12:00 noon ", "x@y ", "bob.2@lists.net", "(no) ", "7:5 "]
    numbers = random_numbers(1)
    text = ""
    while len(text) < 8192:
        text += pieces[below(numbers, 8)]
    text = text[:8192]
    expressions = [re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*@([a-z]+\.)+(org|net|com)"), re.compile(r"[0-9]?[0-9]:[0-9][0-9]")]
    checksum = position = 0
    while position < len(text):
        # Python's match is the first alternative's, the kernel's the longest: try every end.
        length = 0
        for expression in expressions:
            for end in range(min(len(text), position + 200), position, -1):
                if expression.fullmatch(text, position, end):
                    length = max(length, end - position)
                    break
        if length:
            checksum = mix(checksum, position * 256 + length)
        position += length or 1
    return checksum


def json_():
    numbers = random_numbers(1)
    text = "[ "
    while len(text) + 200 < 16_384:
        text += '{"id": %d' % below(numbers, 1_000_000)
        text += ', "name": "worker \\"%d\\" \\u00e9"' % below(numbers, 1000)
        text += ', "depth": -%d' % below(numbers, 40)
        text += ".%de1" % below(numbers, 1000)
        text += ', "tags": ["iron", "water", [], null], "active": ' + ("true" if below(numbers, 2) == 0 else "false")
        text += ', "next": {"shift": %d}},\n  ' % below(numbers, 3)
    text += "{}]"

    def number(written):  # an integer and a power of ten, as they stand
        digits, _, power = written.partition("e")
        whole, _, fraction = digits.partition(".")
        return ("number", int(whole + fraction), int(power or 0) - len(fraction))

    def text_hash(characters):
        checksum = 0
        for character in characters:
            checksum = mix(checksum, ord(character))
        return checksum

    def checksum_of(value, key_hash):
        kind, integer, exponent, characters, children = 0, 0, 0, 0, []
        if value is False or value is True:
            kind = 1 + value
        elif isinstance(value, tuple):
            kind, integer, exponent = 3, value[1], value[2]
        elif isinstance(value, str):
            kind, characters = 4, text_hash(value)
        elif isinstance(value, list):
            kind, children = 5, [(0, child) for child in value]
        elif isinstance(value, dict):
            kind, children = 6, [(text_hash(key), child) for key, child in value.items()]
        checksum = mix(kind, characters ^ key_hash)
        checksum = mix(checksum, (integer & MASK) + (exponent & 0xFFFFFFFF))
        for child_key, child in children:
            checksum = mix(checksum, checksum_of(child, child_key))
        return checksum

    return mix(0, checksum_of(json.loads(text, parse_float=number, parse_int=number), 0))


KERNELS = [
    *(fib_recursive, fib_iterative, sieve, insertion_sort, quicksort, sha256, blake2b, keccak, matrix_int, matrix_double),
    *(nbody, bytecode, pointer_chase, hash_table, goldilocks, polynomial, regex, json_),
]

for kernel in KERNELS:
    print(kernel.__name__.rstrip("_"), hex(kernel()))
