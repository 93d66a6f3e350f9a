"""Loops full of dictionaries, sets, classes, generators and exceptions."""
import collections
import functools
import heapq
import itertools
import operator

counts = {}
state = 12345
for _ in range(40000):
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    key = f"k{state % 997}"
    counts[key] = counts.get(key, 0) + 1
print(len(counts), max(counts.items(), key=lambda item: (item[1], item[0])), sum(counts.values()))

by_length = collections.defaultdict(list)
for key, count in sorted(counts.items()):
    by_length[len(key)].append(count)
print({length: (len(values), sum(values)) for length, values in sorted(by_length.items())})
print(collections.Counter("".join(sorted(counts))).most_common(4))

graph = {node: {(node * factor + 1) % 800: factor for factor in (2, 3, 5, 7)} for node in range(800)}


def distances(start):
    found = {start: 0}
    queue = [(0, start)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > found[node]:
            continue
        for neighbour, weight in graph[node].items():
            through = distance + weight
            if through < found.get(neighbour, through + 1):
                found[neighbour] = through
                heapq.heappush(queue, (through, neighbour))
    return found


reached = distances(1)
print(len(reached), max(reached.values()), sum(reached.values()))


@functools.lru_cache(maxsize=None)
def ways(amount, coins):
    if amount == 0:
        return 1
    if amount < 0 or not coins:
        return 0
    return ways(amount - coins[0], coins) + ways(amount, coins[1:])


print(ways(200, (100, 50, 20, 10, 5, 2, 1)))


class Account:
    __slots__ = ("owner", "balance")

    def __init__(self, owner, balance=0):
        self.owner, self.balance = owner, balance

    def withdraw(self, amount):
        if amount > self.balance:
            raise ValueError(f"{self.owner} lacks {amount - self.balance}")
        self.balance -= amount


accounts = [Account(f"a{i}", i * 3) for i in range(300)]
refused = []
for i, account in enumerate(accounts):
    try:
        account.withdraw(i * i % 700)
    except ValueError as error:
        refused.append(str(error))
print(len(refused), refused[-1], sum(account.balance for account in accounts))

words = {"".join(letters) for letters in itertools.product("abcd", repeat=5) if letters[0] < letters[-1]}
print(len(words), len(words & {word[::-1] for word in words}), functools.reduce(operator.xor, map(len, words)))
print([*itertools.accumulate(itertools.islice(itertools.cycle([3, 1, 2]), 9))], sorted(words, key=lambda word: word[::-1])[:3])
