"""JSON round trips and regular expressions over generated text."""
import json
import re
import textwrap

record = {
    "name": "caisson",
    "tags": ["sealed", "metered", "ünïcode €"],
    "depth": {"metres": 23.5, "log": [None, True, False, -1, 1e-7, 1.5e300]},
}
records = [dict(record, id=i, ratio=i / 7, tags=record["tags"] * (i % 4)) for i in range(400)]
text = json.dumps(records, sort_keys=True)
again = json.loads(text)
print(len(text), again == records, sum(item["ratio"] for item in again))
print(json.dumps(again[3], indent=1, ensure_ascii=False))
for broken in ('{"a": }', "[1, 2", '"\\u12"', "nul", '{"a": 1,}'):
    try:
        json.loads(broken)
    except json.JSONDecodeError as error:
        print(error)

log = "\n".join(
    f"2026-{1 + i % 12:02}-{1 + i % 28:02} {i * 7 % 24:02}:{i % 60:02} host{i % 9} "
    f"[{['info', 'warn', 'error'][i % 3]}] user=u{i * 31 % 97} took {i * i % 1009}ms /path/{i:x}/item?id={i}"
    for i in range(2500)
)
pattern = re.compile(
    r"^(?P<date>\d{4}-\d\d-\d\d) (?P<time>[\d:]+) (?P<host>\w+) \[(?P<level>\w+)\] user=(\w+) took (?P<ms>\d+)ms (?P<url>\S+)$",
    re.MULTILINE,
)
totals = {}
for match in pattern.finditer(log):
    key = match["host"], match["level"]
    count, total = totals.get(key, (0, 0))
    totals[key] = count + 1, total + int(match["ms"])
for key in sorted(totals)[:12]:
    print(*key, *totals[key])
print(len(re.findall(r"(?:error|warn)\].*?took (?:9\d\d|1000)ms", log)))
print(re.sub(r"(\w+)=(\w+)", lambda match: f"{match[2].upper()}<-{match[1]}", log.splitlines()[1234]))
print(re.split(r"[,;]\s*|\s+and\s+", "one, two;three and four"), re.fullmatch(r"(a+)+b", "a" * 14 + "b") is not None)
print(re.findall(r"(?<=\$)\d+(?:\.\d\d)?(?!\d)", "$5 $12.50 $7.999 £3"), re.escape("a.b*c"))
print(textwrap.fill("A caisson is a sealed chamber in which people do heavy work below the waterline. " * 3, 60))
