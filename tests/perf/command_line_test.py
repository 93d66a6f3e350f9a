"""caisson run and invoke --perf: in a build with path counters (CAISSON) and in one that may have none (ORDINARY)."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

from command_line import COMPILER, CommandLineTest  # noqa: E402

CLOSE_LOOP = pathlib.Path(os.environ["CLOSE_LOOP"])
CLOSES = 1_000_000
# A row of the text: name, calls, total and average.
ROW = r"(?m)^%s +%d +[0-9.]+(?:ns|us|ms|s) +[0-9.]+(?:ns|us|ms|s)$"


class Counted(CommandLineTest):
    def report(self, *words, options=()):
        done = self.caisson("run", "--perf", "--perf-format=json", *options, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stderr)

    def calls(self, report):
        return {row["name"]: row["calls"] for row in report["rows"]}

    def statistics(self, *words, options=()):
        done = self.caisson("run", "--stats=json", *options, *words)
        return json.loads(done.stderr)

    def test_close_loop_in_one_run_per_counter(self):
        done = self.caisson("run", "--perf", "--tier=baseline", CLOSE_LOOP, timeout=240)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertRegex(done.stderr, r"\Atimer clock, one run per counter; floor [0-9.]+ns of each call subtracted; ")
        sections = [line.strip("-") for line in done.stderr.splitlines() if "CAISSON-" in line]
        order = ["BOOT", "COMPILE", "ROUTER", "LINUX", "FDTABLE", "MEMORY"]
        self.assertEqual([name.removeprefix("CAISSON-") for name in sections], order)
        for name in ("boot::load_elf", "boot::validate", "boot::instantiate", "boot::invoke"):
            self.assertRegex(done.stderr, ROW % (name, 1))
        self.assertRegex(done.stderr, ROW % ("linux::open_close", CLOSES))
        self.assertRegex(done.stderr, ROW % ("fdtable::close", CLOSES))
        for line in done.stderr.splitlines()[1:]:
            self.assertIn(len(line), (0, 97), line)

    def test_counts_agree_with_the_statistics_of_a_run(self):
        for tier in ("interp", "baseline"):
            statistics = self.statistics(CLOSE_LOOP, options=[f"--tier={tier}"])
            calls = self.calls(self.report(CLOSE_LOOP, options=["--perf-mode=nested", f"--tier={tier}"]))
            made = statistics["syscalls"]
            self.assertEqual(made["close"], CLOSES)
            self.assertEqual(calls["router::ecall"], sum(made.values()))
            self.assertEqual(calls["linux::open_close"], CLOSES)
            self.assertEqual(calls["fdtable::close"], CLOSES)
            self.assertEqual(calls["linux::memory"], made["brk"] + made["mprotect"])
            self.assertEqual(sum(n for name, n in calls.items() if name.startswith("linux::")), sum(made.values()))
            self.assertEqual(calls.get("compile::baseline", 0), statistics["compile"]["units"])

    def test_counts_of_the_optimising_tier(self):
        hot = self.folder / "hot"
        source = self.folder / "hot.S"
        source.write_text(".globl _start\n_start: li a0, 1000\n1: addi a0, a0, -1\n bnez a0, 1b\n li a7, 93\n ecall\n")
        subprocess.run([COMPILER, "-nostdlib", "-static", "-o", hot, source], check=True)
        options = ["--tier=optimized", "--artifacts=none"]
        optimized = self.statistics(hot, options=options)["optimized"]
        calls = self.calls(self.report(hot, options=["--perf-mode=nested", *options]))
        self.assertGreater(optimized["compiled"], 0)
        self.assertEqual(calls["compile::optimized"], optimized["compiled"] + optimized["failed"])
        self.assertEqual(calls["compile::publish"], optimized["published"])

    def test_descriptors(self):
        files = self.folder / "files"
        source = self.folder / "files.c"
        source.write_text(
            "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n"
            "int main(void) {\n"
            "  char byte;\n"
            '  int file = open("/dev/null", O_RDONLY);\n'
            "  for (int i = 0; i < 10; ++i) close(dup(file));\n"
            "  for (int i = 0; i < 20; ++i) dup3(file, 30, 0);\n"
            "  for (int i = 0; i < 30; ++i) if (read(file, &byte, 1) != 0) return 1;\n"
            "  for (int i = 0; i < 40; ++i) syscall(5000);\n"
            "  return 0;\n}\n"
        )
        subprocess.run([COMPILER, "-O1", "-static", "-o", files, source], check=True)
        calls = self.calls(self.report(files, options=["--perf-mode=nested"]))
        # The standard streams, open() and dup().
        self.assertEqual(calls["fdtable::alloc"], 3 + 1 + 10)
        self.assertEqual(calls["fdtable::dup"], 20)
        self.assertEqual(calls["fdtable::close"], 10)
        self.assertEqual(calls["linux::read_write"], 30)
        self.assertEqual(calls["linux::descriptors"], 10 + 20)
        self.assertEqual(calls["linux::open_close"], 1 + 10)
        # getrandom of the C library's start is there, too.
        self.assertEqual(calls["linux::others"], 40 + 1)
        self.assertGreaterEqual(calls["fdtable::translate"], 10 + 20 + 30)

    def test_both_timers(self):
        for options, timer in ((["--perf=clock"], "clock"), (["--perf=tsc"], "tsc"), (["--perftsc"], "tsc")):
            done = self.caisson("run", *options, "--perf-format=json", "--perf-mode=nested", self.program, "exit", "0")
            report = json.loads(done.stderr)
            self.assertEqual((report["timer"], report["mode"]), (timer, "nested"))
            self.assertGreater(report["floor_ns"], 0)
            self.assertEqual("cycles" in report["rows"][0], timer == "tsc")

    def test_output_shows_once_and_the_status_is_the_programs(self):
        echo = self.folder / "echo"
        source = self.folder / "echo.c"
        source.write_text(
            "#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); return 7; }\n"
        )
        subprocess.run([COMPILER, "-O1", "-static", "-o", echo, source], check=True)
        text = self.folder / "text"
        text.write_text("once\n")
        for mode in ("separate", "nested"):
            with text.open() as opened:
                done = subprocess.run(
                    [os.environ["CAISSON"], "run", "--perf", f"--perf-mode={mode}", echo],
                    stdin=opened, capture_output=True, text=True, check=False, timeout=60,
                )
            self.assertEqual((done.returncode, done.stdout), (7, "once\n"), done.stderr)
            self.assertNotIn("runs differ", done.stderr)
            self.assertRegex(done.stderr, ROW % ("boot::invoke", 1))

    def test_detail_csv_and_a_file(self):
        path = self.folder / "report.csv"
        done = self.caisson(
            "run", "--perf", "--perf-mode=nested", "--perf-detail", "--perf-format=csv", f"--perf-output={path}",
            "--tier=baseline", CLOSE_LOOP,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        rows = {row["name"]: row for row in csv.DictReader(io.StringIO(path.read_text()))}
        row = rows["fdtable::close"]
        self.assertEqual((row["section"], int(row["calls"])), ("FDTABLE", CLOSES))
        figures = [float(row[name]) for name in ("min_ns", "p50_ns", "p99_ns", "max_ns")]
        self.assertEqual(figures, sorted(figures))

    def test_invoke(self):
        done = self.caisson("invoke", "--perf", "--perf-format=json", self.functions, "add", "30", "12")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.count("return_value   42"), 1, done.stdout)
        calls = self.calls(json.loads(done.stderr))
        self.assertEqual({calls[f"boot::{step}"] for step in ("load_elf", "validate", "instantiate", "invoke")}, {1})

    def test_errors(self):
        self.assert_own_error(self.caisson("run", "--perf", self.folder / "missing"), "missing", 127)
        for options, text in (
            (["--perf=sundial"], "is not one of clock, tsc"),
            (["--perf", "--perf-mode=both"], "is not one of separate, nested"),
            (["--perf", "--perf-format=xml"], "is not one of text, json, csv"),
            (["--perf", "--seal-at=100"], "--seal-at"),
            (["--perf-mode=nested"], "--perf-mode goes with --perf"),
            (["--perf-detail"], "--perf-detail goes with --perf"),
            (["--perf-format=csv"], "--perf-format goes with --perf"),
            (["--perf-output=x"], "--perf-output goes with --perf"),
        ):
            self.assert_own_error(self.caisson("run", *options, self.program, "exit", "0"), text)
        done = self.caisson("run", "--perf", "--perf-output=/no/such/folder/x", self.program, "exit", "0")
        self.assertEqual(done.returncode, 125)
        self.assertIn("/no/such/folder/x", done.stderr)


class Ordinary(CommandLineTest):
    """A build without counters says so, before anything runs."""

    def test_tells_which_build_has_them(self):
        if subprocess.run([os.environ["ORDINARY"], "run", "--perf", self.program, "exit", "0"],
                          capture_output=True, check=False).returncode == 0:
            self.skipTest("this build has path counters")
        for verb, program, words in (("run", self.program, ["exit", "0"]), ("invoke", self.functions, ["add", "1", "2"])):
            for option in ("--perf", "--perf=tsc", "--perftsc"):
                done = subprocess.run(
                    [os.environ["ORDINARY"], verb, option, program, *words], capture_output=True, text=True, check=False
                )
                self.assert_own_error(done, "make perf")
                self.assertIn("build/perf/bin/caisson", done.stderr)


if __name__ == "__main__":
    unittest.main()
