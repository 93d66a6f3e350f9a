"""The optimising tier as a user meets it: promotion, artifacts that outlive the process, dumps."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile
import time
import unittest

from command_line import CAISSON, COMPILER, HERE, NOT_FOUND, CommandLineTest


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

    def assert_all_was_there(self, stats):
        """Units were entered, all of them from the store."""
        counts = stats["optimized"]
        self.assertEqual((counts["requested"], counts["compiled"], counts["failed"]), (0, 0, 0), counts)
        self.assertGreater(counts["found"], 0, counts)
        self.assertEqual(counts["published"], counts["found"], counts)
        self.assertGreater(stats["tiers"]["optimized"], 0)

    def run_until_all_is_stored(self, store):
        """A run may be over while the compiler still works for it: then the next one has something left to ask for."""
        for _ in range(6):
            _, stats = self.run_hot(f"--artifacts={store}")
            if stats["optimized"]["requested"] == 0:
                return
        self.fail(f"the seventh run still compiles: {stats['optimized']}")

    def test_a_later_run_loads_what_the_first_compiled(self):
        with tempfile.TemporaryDirectory() as store:
            wanted, baseline = self.run_hot("--tier=baseline")
            output, first = self.run_hot(f"--artifacts={store}")
            self.assertEqual((output, first["gas_used"]), (wanted, baseline["gas_used"]))
            self.assertGreater(first["optimized"]["compiled"], 0, first["optimized"])
            self.run_until_all_is_stored(store)
            output, second = self.run_hot(f"--artifacts={store}")
            self.assertEqual((output, second["gas_used"]), (wanted, baseline["gas_used"]))
            self.assert_all_was_there(second)
            # Two at the same time.
            with concurrent.futures.ThreadPoolExecutor() as pool:
                for output, stats in pool.map(lambda _: self.run_hot(f"--artifacts={store}"), range(2)):
                    self.assertEqual(output, wanted)
                    self.assert_all_was_there(stats)
            # Nor is the compiler needed any more.
            output, third = self.run_hot(
                f"--artifacts={store}", environment={"CAISSON_OPTIMIZED_PLUGIN": "/nowhere/plugin.so"}
            )
            self.assertEqual(output, wanted)
            self.assert_all_was_there(third)

    def test_a_compiler_that_fails_costs_nothing_but_speed(self):
        wanted, baseline = self.run_hot("--tier=baseline", words=("2000",))
        output, stats = self.run_hot(
            "--artifacts=none",
            "--compiler=process",
            environment={"CAISSON_COMPILE_HELPER": "/bin/false"},
            words=("2000",),
        )
        self.assertEqual((output, stats["gas_used"]), (wanted, baseline["gas_used"]))
        self.assertEqual(stats["optimized"]["compiled"], 0, stats["optimized"])

    def test_the_process_of_the_guest_has_no_compiler(self):
        for compiler, is_mapped in (("process", False), ("thread", True)):
            words = [CAISSON, "run", "--artifacts=none", f"--compiler={compiler}", self.hot, "2000000000"]
            with subprocess.Popen(words, stdout=subprocess.DEVNULL) as run:
                maps = pathlib.Path(f"/proc/{run.pid}/maps")
                children = pathlib.Path(f"/proc/{run.pid}/task")
                deadline = time.monotonic() + 60
                seen = False
                while not seen and time.monotonic() < deadline:
                    time.sleep(0.05)
                    if is_mapped:
                        seen = "libLLVM" in maps.read_text()
                    else:
                        seen = any((task / "children").read_text().strip() for task in children.iterdir())
                self.assertTrue(seen, compiler)
                self.assertEqual("libLLVM" in maps.read_text(), is_mapped)
                run.kill()

    def compile(self, store, *words, **options):
        done = self.caisson("compile", f"--artifacts={store}", *words, timeout=240, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        match = re.search(r"(\d+) units compiled, (\d+) already there, (\d+) refused, (\d+) left", done.stderr)
        self.assertTrue(match, done.stderr)
        # A pipe gets no progress bar.
        self.assertNotIn("\r", done.stderr)
        return done, [int(number) for number in match.groups()]

    def test_compile_ahead_of_the_first_run(self):
        with tempfile.TemporaryDirectory() as store:
            done, (compiled, there, _, left) = self.compile(store, "--units=40", self.hot)
            self.assertEqual(done.stdout, "")  # it did not run
            self.assertLessEqual(compiled, 40)
            self.assertGreater(compiled, 4)
            self.assertEqual(there, 0)
            self.assertGreater(left, 0)
            _, stats = self.run_hot(f"--artifacts={store}")
            self.assert_all_was_there(stats)
            _, (compiled, there, _, _) = self.compile(store, "--units=5", self.hot)
            self.assertLessEqual(compiled, 5)
            self.assertGreater(there, 4)

    def test_compile_what_a_run_shows_to_be_hot(self):
        with tempfile.TemporaryDirectory() as store:
            wanted, _ = self.run_hot("--artifacts=none")
            done, (compiled, there, _, left) = self.compile(store, self.hot, "--", "8000")
            self.assertEqual(done.stdout, wanted)
            self.assertGreater(compiled + there, 0)
            self.assertEqual(left, 0)
            _, stats = self.run_hot(f"--artifacts={store}")
            self.assert_all_was_there(stats)

    def test_compile_ends_a_run_that_does_not(self):
        with tempfile.TemporaryDirectory() as store:
            _, (compiled, _, _, _) = self.compile(store, "--run-timeout=1", self.hot, "--", "2000000000")
            self.assertGreater(compiled, 0)

    def test_compile_shows_progress_on_a_terminal(self):
        with tempfile.TemporaryDirectory() as store:
            ours, theirs = pty.openpty()
            command = [CAISSON, "compile", f"--artifacts={store}", "--units=20", self.hot]
            with subprocess.Popen(command, stderr=theirs) as process:
                os.close(theirs)
                shown = b""
                with contextlib.suppress(OSError):  # how a terminal ends
                    while part := os.read(ours, 4096):
                        shown += part
            os.close(ours)
            self.assertEqual(process.returncode, 0)
            self.assertRegex(shown, rb"\r\[#*\.+\] \d+/\d+ hot")

    def test_compile_has_bounds_and_says_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as store:
            _, (compiled, _, _, left) = self.compile(store, "--timeout=0.2", self.hot)
            self.assertLess(compiled, 1000)
            self.assertGreater(left, 0)
            self.assert_own_error(self.caisson("compile", f"--artifacts={store}"), "PROGRAM is missing")
            self.assert_own_error(
                self.caisson("compile", f"--artifacts={store}", self.hot, self.hot, "--", "1"), "one PROGRAM"
            )
            self.assert_own_error(self.caisson("compile", "--artifacts=/dev/null", self.hot), "/dev/null")
            self.assert_own_error(
                self.caisson("compile", f"--artifacts={store}", "/nowhere/program"), "/nowhere/program", NOT_FOUND
            )
            environment = os.environ | {"CAISSON_OPTIMIZED_PLUGIN": "/nowhere/plugin.so"}
            self.assert_own_error(
                self.caisson("compile", f"--artifacts={store}", self.hot, env=environment), "/nowhere/plugin.so"
            )

    def test_compile_keeps_what_was_stored_when_it_is_interrupted(self):
        with tempfile.TemporaryDirectory() as store:
            command = [CAISSON, "compile", f"--artifacts={store}", "--units=100000", self.hot]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                time.sleep(1.5)
                process.send_signal(signal.SIGINT)
                errors = process.communicate(timeout=30)[1]
            self.assertEqual(process.returncode, 128 + signal.SIGINT, errors)
            self.assertRegex(errors, r"[1-9]\d* units compiled")
            listed = self.caisson("store", "ls", f"--store={store}")
            self.assertRegex(listed.stdout, r"[1-9]\d* good, 0 foreign, 0 rejected")

    def test_the_hottest_functions(self):
        done = self.caisson("image", "inspect", "--hot", "--json", "--artifacts=none", self.hot, "8000", timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stderr)
        hottest = report["functions"][0]
        self.assertTrue(hottest["name"].startswith("mix"), hottest)
        self.assertGreater(hottest["gas_percent"], 50)
        wanted, stats = self.run_hot("--artifacts=none")
        self.assertEqual((done.stdout, report["gas_used"]), (wanted, stats["gas_used"]))
        text = self.caisson("image", "inspect", "--hot", "--artifacts=none", self.hot, "1000")
        self.assertRegex(text.stderr, r"gas % +address +units +code bytes +function\n +\d+\.\d +0x[0-9a-f]+ .* mix")

    def test_tools_of_the_host_see_units(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [CAISSON, "run", "--artifacts=none", "--perf-map", "--jitdump", "--gdb", self.hot, "8000"]
            environment = os.environ | {"JITDUMPDIR": folder}
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
                process.wait(timeout=240)
            map_file = pathlib.Path(f"/tmp/perf-{process.pid}.map")
            lines = map_file.read_text().splitlines()
            map_file.unlink()
            units = [line for line in lines if line.endswith("[optimized]")]
            self.assertTrue(any(" guest/mix" in line for line in units), lines[-5:])
            self.assertTrue(any(line.split()[2].startswith("guest/mix") for line in lines if line not in units))
            dump = (pathlib.Path(folder) / f"jit-{process.pid}.dump").read_bytes()
            self.assertRegex(dump, rb"guest/mix[^\0]* \[optimized\]\0")

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
