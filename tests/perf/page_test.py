"""Follows docs/adding-a-counter.md literally: its blocks are built with path counters and without, and run.

Environment: SOURCE, the source tree; COMPILER, with its options; COUNTERS and NO_COUNTERS, what is linked for each kind of build.
"""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["SOURCE"])
PAGE = SOURCE / "docs/adding-a-counter.md"
# A sentence that ends in the name of a file, and the file.
BLOCK = re.compile(r"`([\w/]+\.(?:h|cpp))`:\n\n```cpp\n(.*?)```", re.DOTALL)


class Page(unittest.TestCase):
    def setUp(self):
        owner = tempfile.TemporaryDirectory(prefix="caisson-page-")
        self.addCleanup(owner.cleanup)
        self.folder = pathlib.Path(owner.name)
        self.blocks = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
        for name, text in self.blocks.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def output(self, libraries, *options):
        program = self.folder / "program"
        folders = ["-I", SOURCE / "include", "-iquote", self.folder, "-iquote", SOURCE / "src"]
        sources = [self.folder / name for name in self.blocks if name.endswith(".cpp")]
        subprocess.run(
            [*shlex.split(os.environ["COMPILER"]), "-Wall", "-Werror", *options, *folders, *sources,
             *shlex.split(libraries), "-o", program],
            check=True,
        )
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout

    def test_the_page_has_the_three_files_that_it_speaks_of(self):
        self.assertEqual(list(self.blocks), ["cargo/cargo_counters.h", "cargo/cargo.cpp", "report.cpp"])

    def test_the_counters_of_the_page_count(self):
        lines = self.output(os.environ["COUNTERS"], "-DCAISSON_PERF").splitlines()
        self.assertEqual(lines[1].strip("-"), "CAISSON-CARGO")
        rows = [line.split()[:2] for line in lines if line.startswith("cargo::")]
        self.assertEqual(rows, [["cargo::load", "3"], ["cargo::find", "2"]])

    def test_without_counters_the_page_builds_and_says_so(self):
        self.assertIn("make perf", self.output(os.environ["NO_COUNTERS"]))


if __name__ == "__main__":
    unittest.main()
