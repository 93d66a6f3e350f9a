"""Counts words, writes JSON, and takes a digest of it."""
import collections
import hashlib
import json
import re

TEXT = "A caisson is a sealed chamber in which people do heavy work below the waterline; a caisson keeps the water out."

words = collections.Counter(re.findall(r"[a-z]+", TEXT.lower()))
report = json.dumps({"words": sum(words.values()), "common": words.most_common(3)})
print(report)
print(hashlib.sha256(report.encode()).hexdigest())
