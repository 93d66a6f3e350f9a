"""tools/bench-gate: counts repeat, growth is found, and what cannot be counted is said."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CAISSON = os.environ.get("CAISSON", str(ROOT / "build/release/bin/caisson"))
START = "instructions: start of a static program"


class Gate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("valgrind") is None:
            raise unittest.SkipTest("no valgrind")
        owner = tempfile.TemporaryDirectory(prefix="caisson-gate-test-")
        cls.addClassCleanup(owner.cleanup)
        cls.file = pathlib.Path(owner.name) / "baseline.json"
        done = cls.gate("--update", only="start")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.recorded = json.loads(cls.file.read_text())["counts"]

    @classmethod
    def gate(cls, *words, only="start"):
        command = [str(ROOT / "tools/bench-gate"), f"--caisson={CAISSON}", f"--baseline={cls.file}", f"--only={only}", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def compare_with(self, counts, *words):
        self.file.write_text(json.dumps({"counts": counts}))
        return self.gate(*words)

    def test_counts_repeat(self):
        self.assertEqual(list(self.recorded), [START])
        done = self.compare_with(self.recorded, "--tolerance=0.5")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("WORSE", done.stdout)

    def test_growth_fails(self):
        done = self.compare_with({START: int(self.recorded[START] / 1.05)})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, f"{START}.*WORSE")
        self.assertIn("--update", done.stderr)

    def test_less_passes_and_is_said(self):
        done = self.compare_with({START: int(self.recorded[START] * 1.05)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("better", done.stdout)

    def test_what_has_no_baseline_fails(self):
        self.assertEqual(self.compare_with({"another": 5}).returncode, 1)

    def test_what_cannot_be_counted_is_said(self):
        for text in ("", "{", "[]", '{"counts": []}', '{"counts": {"a": "b"}}', '{"counts": {"a": 0}}'):
            self.file.write_text(text)
            done = self.gate()
            self.assertEqual(done.returncode, 2, text)
            self.assertIn(str(self.file), done.stderr)
            self.assertEqual(done.stderr.count("Traceback"), 0, text)
        self.file.write_text(json.dumps({"counts": self.recorded}))
        done = self.gate("--caisson=/nonexistent/bin/caisson")
        self.assertEqual((done.returncode, done.stderr.count("Traceback")), (2, 0))
        self.assertIn("/nonexistent/bin/caisson", done.stderr)
        self.assertEqual(self.gate(only="no such run").returncode, 2)


if __name__ == "__main__":
    unittest.main()
