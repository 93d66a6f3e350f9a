"""The optimising tier as a user meets it: promotion, artifacts that outlive the process, dumps."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from command_line import CAISSON, COMPILER, HERE, CommandLineTest


class Optimized(CommandLineTest):
    """`hot` computes for about a second in the baseline tier; `stats` is --stats=json of a run of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hot = cls.folder / "hot"
        subprocess.run([COMPILER, "-O2", "-static", "-o", cls.hot, HERE / "guests/hot.c"], check=True)

    def run_hot(self, *options, environment=None, words=("8000",)):
        done = self.caisson(
            "run", "--stats=json", *options, self.hot, *words, env=os.environ | (environment or {}), timeout=240
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout, json.loads(done.stderr.splitlines()[-1])

    def test_a_later_run_loads_what_earlier_ones_compiled(self):
        with tempfile.TemporaryDirectory() as store:
            wanted, baseline = self.run_hot("--tier=baseline")
            # Which blocks are seen to be hot differs a little from run to run: until there is nothing new.
            for _ in range(8):
                output, second = self.run_hot(f"--artifacts={store}")
                self.assertEqual((output, second["gas_used"]), (wanted, baseline["gas_used"]))
                if second["optimized"]["compiled"] == 0 and second["optimized"]["pending"] == 0:
                    break
            self.assertEqual(second["optimized"]["compiled"], 0, second["optimized"])
            self.assertGreater(second["optimized"]["artifacts_preloaded"], 0)
            self.assertGreater(second["tiers"]["optimized"], second["gas_used"] // 2)
            # Nor is the compiler needed any more.
            output, third = self.run_hot(
                f"--artifacts={store}", environment={"CAISSON_OPTIMIZED_PLUGIN": "/nowhere/plugin.so"}
            )
            self.assertEqual(output, wanted)
            self.assertGreater(third["tiers"]["optimized"], third["gas_used"] // 2)

    def test_forged_artifacts_are_compiled_again(self):
        with tempfile.TemporaryDirectory() as store:
            wanted, first = self.run_hot(f"--artifacts={store}")
            self.assertGreater(first["optimized"]["artifacts_stored"], 0)
            # With another key nothing in the store is authentic.
            key = pathlib.Path(store) / "key"
            key.write_bytes(bytes(byte ^ 1 for byte in key.read_bytes()))
            output, second = self.run_hot(f"--artifacts={store}")
            self.assertEqual(output, wanted)
            self.assertGreater(second["optimized"]["artifacts_rejected"], 0)
            self.assertEqual(second["optimized"]["artifacts_preloaded"], 0)
            self.assertGreater(second["optimized"]["compiled"], 0)

    def test_without_the_plug_in_everything_runs(self):
        wanted, _ = self.run_hot("--tier=baseline")
        output, stats = self.run_hot("--artifacts=none", environment={"CAISSON_OPTIMIZED_PLUGIN": "/nowhere/plugin.so"})
        self.assertEqual(output, wanted)
        self.assertEqual(stats["tiers"]["optimized"], 0)
        done = self.caisson(
            "run", "--tier=optimized", self.hot, env=os.environ | {"CAISSON_OPTIMIZED_PLUGIN": "/nowhere/plugin.so"}
        )
        self.assert_own_error(done, "/nowhere/plugin.so")

    def test_the_hot_threshold_says_how_soon(self):
        requested = {}
        for threshold in (0, 2**60):
            _, stats = self.run_hot("--artifacts=none", f"--hot-threshold={threshold}", words=("200",))
            requested[threshold] = stats["optimized"].get("requested", 0)
        self.assertGreater(requested[0], 0)
        self.assertEqual(requested[2**60], 0)

    def test_dumps(self):
        with tempfile.TemporaryDirectory() as dumps:
            self.run_hot("--artifacts=none", f"--dump-code={dumps}")
            folders = list(pathlib.Path(dumps).iterdir())
            self.assertTrue(folders)
            for folder in folders:
                names = {file.name for file in folder.iterdir()}
                self.assertLessEqual({"blocks.txt", "lifted.ll", "improved.ll", "code.s"}, names)
                self.assertIn("block 0 at 0x", (folder / "blocks.txt").read_text())

    def test_cold_programs_do_not_map_the_compiler(self):
        # The program prints the libraries of its host process, which it cannot see; so the host's loader is asked.
        done = self.caisson("run", self.hot, "1", env=os.environ | {"LD_DEBUG": "files"})
        self.assertEqual(done.returncode, 0)
        self.assertIn("libc.so", done.stderr)
        self.assertNotIn("LLVM", done.stderr)
        self.assertNotIn("caisson-optimized", done.stderr)


if __name__ == "__main__":
    unittest.main()
