"""caisson run: exit statuses, messages, what the guest is given, what --stats says."""

import json
import unittest

from command_line import NOT_EXECUTABLE, NOT_FOUND, CommandLineTest

STATS_NUMBERS = ["gas_used", "exit_reason", "exit_arg", "pc", "wall_ns", "cpu_ns", "peak_committed_bytes"]
STATS_GROUPS = ["tiers", "compile", "optimized", "decode_cache", "syscalls", "unknown_syscalls"]


class ExitStatus(CommandLineTest):
    def test_is_the_guests_own(self):
        for status in (0, 1, 42, 255):
            done = self.run_program("exit", status)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (status, "", ""))

    def test_is_128_and_the_signal(self):
        self.assertEqual(self.run_program("signal", 15).returncode, 128 + 15)
        self.assertEqual(self.run_program("fault").returncode, 128 + 11)

    def test_out_of_gas(self):
        done = self.run_program("loop", options=["--gas=1000000"])
        self.assertEqual(done.returncode, 120)
        self.assertRegex(done.stderr, r"\Acaisson: out of gas at pc 0x[0-9a-f]+ \(gas used \d+\)\n\Z")
        used = int(done.stderr.split("gas used ")[1].rstrip(")\n"))
        self.assertTrue(990_000 < used <= 1_000_000, used)

    def test_out_of_gas_before_the_first_instruction(self):
        done = self.run_program("exit", options=["--gas=10"])
        self.assertEqual(done.returncode, 120)
        self.assertRegex(done.stderr, r"\Acaisson: out of gas at pc 0x[0-9a-f]+ \(gas used 0\)\n\Z")

    def test_timeout(self):
        done = self.run_program("loop", options=["--timeout=0.3"], timeout=20)
        self.assertEqual(done.returncode, 124)
        self.assertRegex(done.stderr, r"\Acaisson: timeout at pc 0x[0-9a-f]+ \(gas used \d+\)\n\Z")

    def test_not_found(self):
        self.assert_own_error(self.caisson("run", self.folder / "absent"), "absent", NOT_FOUND)
        self.assert_own_error(self.caisson("run", f"--root={self.folder}", "absent"), "absent", NOT_FOUND)

    def test_not_executable(self):
        self.assert_own_error(self.caisson("run", self.folder), str(self.folder), NOT_EXECUTABLE)

    def test_bad_elf(self):
        broken = self.folder / "broken"
        broken.write_bytes(self.program.read_bytes()[:100])
        self.assert_own_error(self.caisson("run", broken), "broken")

    def test_no_entry_point(self):
        done = self.caisson("run", self.functions)
        self.assertEqual(done.returncode, 125, done.stderr)


class BadOptions(CommandLineTest):
    def test_each_is_told(self):
        for option, text in [
            ("--bogus", "unknown option --bogus"),
            ("--gas=abc", '--gas: "abc" is not a number'),
            ("--gas=-1", '--gas: "-1" is not a number'),
            ("--gas=18446744073709551616", "--gas: 18446744073709551616 is too large"),
            ("--memory=5X", '--memory: "5X" is not a size'),
            ("--memory=17179869184G", "--memory: 17179869184G is too large"),
            ("--memory=1", "memory"),
            ("--memory=5G", "memory"),
            ("--timeout=0", '--timeout: "0" is not a time'),
            ("--timeout=nan", '--timeout: "nan" is not a time'),
            ("--tier=fast", '--tier: "fast" is not one of auto, interp'),
            ("--isolation=kvm", "--isolation: kvm is not in this build"),
            ("--isolation=none", '--isolation: "none" is not one of thread'),
            ("--stats=xml", '--stats: "xml" is not one of text, json'),
            ("--decode-cache=maybe", '--decode-cache: "maybe" is not one of on, off, verify'),
            ("--crosscheck=often", '--crosscheck: "often" is not a number'),
            ("--crosscheck=0", "--crosscheck: the least gas between two comparisons is 1"),
            ("--dir=nowhere", '--dir: "nowhere" is not HOST::GUEST'),
            ("--dir=/absent-on-the-host::/x", "/absent-on-the-host"),
            ("--dir=/tmp::relative", "relative"),
            ("--root=/absent-on-the-host", "/absent-on-the-host"),
            ("--workdir=relative", "relative"),
            ("--env=novalue", "novalue"),
        ]:
            with self.subTest(option):
                self.assert_own_error(self.run_program("exit", options=[option]), text)

    def test_missing_program_and_value(self):
        self.assert_own_error(self.caisson("run"), "PROGRAM is missing")
        self.assert_own_error(self.caisson("run", "--gas"), "--gas")

    def test_verb(self):
        self.assert_own_error(self.caisson("fly"), 'no verb "fly"')
        self.assertEqual(self.caisson().returncode, 125)


class Guest(CommandLineTest):
    def test_options_behind_the_program_are_the_programs(self):
        done = self.run_program("show", "--gas=1", "--", "-h", "", options=["--timeout", "50"])
        self.assertEqual(done.stdout.splitlines()[:4], ["argument --gas=1", "argument --", "argument -h", "argument "])

    def test_two_dashes_end_the_options(self):
        done = self.caisson("run", "--", self.program, "exit", 9)
        self.assertEqual(done.returncode, 9)
        self.assert_own_error(self.caisson("run", "--", "--help"), "--help", NOT_FOUND)

    def test_gets_its_environment_and_nothing_else(self):
        done = self.run_program("show", options=["--env=A=1", "--env", "B=x=y", "--workdir=/"])
        self.assertIn("variable A=1\nvariable B=x=y\n", done.stdout)
        variables = [line for line in done.stdout.splitlines() if line.startswith("variable")]
        self.assertEqual(len(variables), 3)
        self.assertTrue(variables[2].startswith("variable PATH="))
        self.assertIn("directory /\n", done.stdout)

    def test_sees_only_what_it_is_given(self):
        (self.folder / "seen").mkdir(exist_ok=True)
        (self.folder / "seen/file").write_text("text of the host\n", encoding="ascii")
        self.assertEqual(self.run_program("copy", self.folder / "seen/file").returncode, 1)
        mounted = [f"--dir={self.folder}/seen::/data"]
        self.assertEqual(self.run_program("copy", "/data/file", options=mounted).stdout, "text of the host\n")
        (self.folder / "secret").write_text("not for guests\n", encoding="ascii")
        for path in ("/data/../secret", "/data/../../../" + str(self.folder / "secret"), "/proc/self/root/etc/passwd-"):
            self.assertEqual(self.run_program("copy", path, options=mounted).returncode, 1, path)

    def test_writes_where_it_may(self):
        for mode, expected in (("", True), (":ro", False)):
            target = self.folder / f"target{mode.strip(':')}"
            target.mkdir(exist_ok=True)
            done = self.run_program("create", "/data/made", options=[f"--dir={target}::/data{mode}"])
            self.assertEqual((done.returncode == 0, (target / "made").exists()), (expected, expected))

    def test_is_found_beneath_its_root_first(self):
        root = self.folder / "root"
        (root / "usr/bin").mkdir(parents=True, exist_ok=True)
        (root / "usr/bin/guest-program").write_bytes(self.program.read_bytes())
        (root / "usr/bin/guest-program").chmod(0o755)
        by_path = ["--env=PATH=/nowhere:/usr/bin"]
        for name, options in (("/usr/bin/guest-program", []), ("guest-program", []), ("guest-program", by_path)):
            done = self.caisson("run", f"--root={root}", *options, name, "exit", 5)
            self.assertEqual(done.returncode, 5, done.stderr)
        self.assert_own_error(
            self.caisson("run", f"--root={root}", "--env=PATH=/nowhere", "guest-program"), "guest-program", NOT_FOUND
        )
        # A host path, where the root has no such file.
        self.assertEqual(self.caisson("run", f"--root={root}", self.program, "exit", 6).returncode, 6)

    def test_memory_is_bounded(self):
        self.assertEqual(self.run_program("memory", 40, options=["--memory=64M"]).returncode, 0)
        self.assertEqual(self.run_program("memory", 40, options=["--memory=32M"]).returncode, 3)

    def test_deterministic_runs_cost_the_same(self):
        costs = set()
        for _ in range(2):
            done = self.run_program("show", "x", options=["--deterministic", "--stats=json"])
            costs.add(json.loads(done.stderr)["gas_used"])
        self.assertEqual(len(costs), 1)

    def test_decode_cache_changes_neither_output_nor_gas(self):
        results = set()
        for mode in ("on", "off", "verify"):
            done = self.run_program("show", options=["--deterministic", f"--decode-cache={mode}", "--stats=json"])
            results.add((done.stdout, json.loads(done.stderr)["gas_used"]))
        self.assertEqual(len(results), 1)

    def test_crosscheck_changes_neither_output_nor_gas(self):
        results = set()
        for options in ([], ["--crosscheck"], ["--tier=baseline", "--crosscheck"], ["--crosscheck=5000"]):
            done = self.run_program("show", options=["--deterministic", "--stats=json", *options])
            results.add((done.stdout, json.loads(done.stderr)["gas_used"]))
        self.assertEqual(len(results), 1)
        self.assertEqual(self.run_program("signal", 9, options=["--crosscheck"]).returncode, 137)


class Stats(CommandLineTest):
    def test_json_has_exactly_its_fields(self):
        done = self.run_program("unknown-call", options=["--stats=json"])
        self.assertEqual(done.returncode, 0)
        stats = json.loads(done.stderr)
        self.assertEqual(list(stats), STATS_NUMBERS + STATS_GROUPS)
        for name in STATS_NUMBERS:
            self.assertIs(type(stats[name]), int, name)
        self.assertEqual((stats["exit_reason"], stats["exit_arg"]), (0, 0))
        self.assertGreater(stats["gas_used"], 1000)
        self.assertGreater(stats["wall_ns"], 0)
        self.assertGreater(stats["peak_committed_bytes"], 64 << 10)
        self.assertEqual(list(stats["tiers"]), ["interp", "baseline", "optimized"])
        self.assertLessEqual(sum(stats["tiers"].values()), stats["gas_used"])
        self.assertGreater(sum(stats["tiers"].values()), 500)
        self.assertEqual(stats["syscalls"]["exit_group"], 1)
        self.assertEqual(stats["unknown_syscalls"], {"1999": 1})
        self.assertGreater(stats["decode_cache"]["instructions_decoded"], 100)

    def test_json_is_the_last_line(self):
        done = self.run_program("loop", options=["--stats=json", "--gas=500000"])
        message, stats = done.stderr.splitlines()
        self.assertTrue(message.startswith("caisson: out of gas"))
        self.assertEqual(json.loads(stats)["exit_reason"], 2)

    def test_text(self):
        done = self.run_program("exit", options=["--stats"])
        self.assertRegex(done.stderr, r"\Agas_used +\d+\n")
        self.assertIn("exit_group", done.stderr)


if __name__ == "__main__":
    unittest.main()
