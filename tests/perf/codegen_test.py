"""Path counters that are not compiled in cost no instruction: an object made with their macros is the one made without them.

Environment: BUILD, a build folder; SOURCE, the source tree; CAISSON, a program that has no counters, or empty.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["BUILD"])
SOURCE = pathlib.Path(os.environ["SOURCE"])

# On the hottest paths: an ecall, the first write to a page.
COMPARED = ("src/runtime/answer_ecall.cpp", "src/memory/page_tracking.cpp")
USES_A_COUNTER = re.compile(r'\s*(?:CAISSON_PERF_\w+\(.*\);|#include "\w+/\w+_counters?\.h")')
# Turns the counters on, or tells objects apart by the text that they were made of.
DROPPED = re.compile(r"-g\d?|-DCAISSON_PERF|-fprofile-instr-generate|-fcoverage-mapping")


def compile_command(source):
    for entry in json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8")):
        if pathlib.Path(entry["file"]) == SOURCE / source:
            words = [word for word in shlex.split(entry["command"]) if not DROPPED.fullmatch(word)]
            return words[: words.index("-o")]
    raise AssertionError(f"{source} is in no compile command")


def object_of(text, source, *options):
    with tempfile.TemporaryDirectory(prefix="caisson-codegen-") as folder:
        pathlib.Path(folder, "source.cpp").write_text(text, encoding="utf-8")
        command = [*compile_command(source), *options, "-c", "source.cpp", "-o", "object.o"]
        subprocess.run(command, cwd=folder, check=True)
        return pathlib.Path(folder, "object.o").read_bytes()


class Codegen(unittest.TestCase):
    def test_nothing_is_left_of_counters_that_are_not_compiled_in(self):
        for source in COMPARED:
            with self.subTest(source):
                lines = (SOURCE / source).read_text(encoding="utf-8").splitlines()
                used = [line for line in lines if USES_A_COUNTER.fullmatch(line)]
                self.assertGreaterEqual(len(used), 2, "an include and a scope")
                with_macros = "\n".join(lines)
                # Blank, so that what follows stays on its line.
                without = "\n".join("" if line in used else line for line in lines)
                self.assertNotIn("CAISSON_PERF", without)
                self.assertEqual(object_of(with_macros, source), object_of(without, source))

    def test_with_counters_compiled_in_the_comparison_fails(self):
        text = (SOURCE / COMPARED[-1]).read_text(encoding="utf-8")
        self.assertNotEqual(object_of(text, COMPARED[-1], "-DCAISSON_PERF"), object_of(text, COMPARED[-1]))

    def test_a_program_without_counters_has_no_name_of_one(self):
        if not os.environ["CAISSON"]:
            self.skipTest("this build has path counters")
        program = pathlib.Path(os.environ["CAISSON"]).read_bytes()
        for name in (b"fdtable::close", b"boot::load_elf", b"linux::open_close"):
            self.assertNotIn(name, program)
        self.assertIn(b"make perf", program)


if __name__ == "__main__":
    unittest.main()
