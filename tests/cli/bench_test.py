"""caisson bench: options, tables, JSON."""

import json
import os
import unittest

from command_line import HERE, CommandLineTest

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = json.loads((HERE.parent.parent / "bench/schema.json").read_text())


class Bench(CommandLineTest):
    def test_list_names_suites_and_cases(self):
        done = self.caisson("bench", "--list")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        suites = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
        self.assertEqual(
            suites,
            ["compute", "call", "compile", "start", "idle", "cold", "programs"]
            + ["recurse", "recurse-data", "ptcache", "lifecycle", "raw", "syscall", "gas"],
        )
        for case in ("  fib_recursive", "  sha256", "  hello", "  close(-1)", "  read-10240", "  fork+wait", "  divide"):
            self.assertIn(case, done.stdout.splitlines())

    def test_tables_and_json(self):
        file = self.folder / "report.json"
        done = self.caisson("bench", "compute,start", "--filter=hel", "--runs=3", f"--json={file}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("start: time_ns", done.stdout)
        report = json.loads(file.read_text())
        self.assertEqual(report["suite"], ["start"])
        for row in report["rows"]:
            self.assertTrue(row["min"] <= row["low"] <= row["median"] <= row["high"] <= row["max"], row)
            self.assertEqual((row["runs"], len(row["samples"]), row["measured_by"]), (3, 3, "hello"))
        engines = {row["engine"] for row in report["rows"] if row["metric"] == "time_ns"}
        absent = {row["engine"] for row in report["absent"]}
        self.assertEqual({"native", "interp", "auto", "baseline", "qemu-riscv64"}, engines | absent)
        above = {row["engine"] for row in report["rows"] if row["case"] == "hello-above-native"}
        self.assertEqual(engines - {"native"}, above)

    def test_system_calls(self):
        file, page = self.folder / "calls.json", self.folder / "calls.html"
        done = self.caisson("bench", "syscall", "--filter=e", "--runs=2", f"--json={file}", f"--html={page}", timeout=240)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(file.read_text())
        absent = {(row["engine"], row["case"]) for row in report["absent"]}
        rows = {(row["engine"], row["case"]) for row in report["rows"] if row["metric"] == "time_ns"}
        cases = {"close(-1)", "geteuid", "pipe", "pipe-byte", "open+close"}
        cases |= {f"{way}-{size}" for way in ("read", "write") for size in (1, 16, 64, 256, 1024, 4096, 10240)}
        engines = ["native", "interp", "baseline", "optimized", "optimized-no-gas", "auto", "baseline-interposed", "qemu-riscv64", "gvisor-ptrace"]
        self.assertEqual({(engine, case) for engine in engines for case in cases if (engine, "") not in absent}, rows)
        self.assertTrue(all(row["min"] > 0 for row in report["rows"]))
        self.assertIn("published elsewhere", done.stdout)
        self.assertIn("none is comparable row by row", page.read_text())
        compared = self.caisson("bench", f"--read={file}", f"--compare={file}").stdout
        self.assertIn(f"0 worse, 0 better, 0 unclear, {len(report['rows'])} the same, 0 gone, 0 new", compared)
        if jsonschema is not None:
            jsonschema.validate(report, SCHEMA)

    def test_what_an_engine_does_not_support_is_said(self):
        file = self.folder / "fork.json"
        done = self.caisson("bench", "syscall", "--filter=fork", "--runs=1", f"--json={file}", timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"fork\+wait, interp: not supported \(.+\)")
        report = json.loads(file.read_text())
        self.assertTrue(any((row["engine"], row["case"]) == ("interp", "fork+wait") for row in report["absent"]))
        self.assertIn("native", {row["engine"] for row in report["rows"]})
        # A file of before there was that field is read.
        for row in report["absent"]:
            del row["case"]
        file.write_text(json.dumps(report))
        self.assertIn("  interp: absent (", self.caisson("bench", f"--read={file}").stdout)

    def test_peers_that_are_not_installed(self):
        nothing = self.folder / "no-programs"
        nothing.mkdir(exist_ok=True)
        environment = dict(os.environ, PATH=str(nothing))
        done = self.caisson("bench", "compute,syscall", "--filter=o", "--runs=1", env=environment, timeout=240)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for line in (
            "  qemu-riscv64: absent (needs qemu-riscv64 in PATH)",
            "  gvisor-ptrace: absent (needs runsc in PATH)",
        ):
            self.assertIn(line, done.stdout.splitlines())
        self.assertRegex(done.stdout, r"(?m)^  wasm: absent \(needs (node in PATH|clang's target wasm32 .*)\)$")

    def test_peers_that_do_not_work(self):
        broken = self.folder / "broken"
        broken.mkdir(exist_ok=True)
        for name in ("node", "runsc"):
            (broken / name).write_text("#!/bin/sh\nexit 1\n")
            (broken / name).chmod(0o755)
        environment = dict(os.environ, PATH=str(broken))
        done = self.caisson("bench", "compute,syscall", "--filter=o", "--runs=1", env=environment, timeout=240)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^  gvisor-ptrace: absent \(needs runsc to run programs here, .+\)$")
        self.assertRegex(done.stdout, r"(?m)^  wasm: absent \(needs (node to run WebAssembly|clang's target wasm32) .+\)$")

    def test_gas_of_instructions(self):
        file = self.folder / "gas.json"
        done = self.caisson("bench", "gas", "--filter=multiply", "--runs=2", f"--json={file}", timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(file.read_text())
        unmetered = {row["metric"] for row in report["rows"] if row["engine"] == "optimized-no-gas"}
        metered = {row["metric"] for row in report["rows"] if row["engine"] == "optimized"}
        self.assertIn(unmetered, (set(), {"time_ns"}))
        self.assertEqual(bool(unmetered), bool(metered))
        prices = {row["case"]: row["median"] for row in report["rows"] if row["engine"] == "gas-v1"}
        self.assertEqual(prices, {"multiply": 3, "multiply-high": 4, "float-multiply": 4, "float-multiply-add": 4})
        for row in report["rows"]:
            if row["metric"] == "ns_per_gas" and row["case"] in prices:
                time = [other for other in report["rows"] if other["case"] == row["case"] and other["engine"] == row["engine"]]
                time = next(other for other in time if other["metric"] == "time_ns")
                self.assertAlmostEqual(row["median"] * prices[row["case"]], time["median"], places=6)
        self.assertIn("all-classes", {row["case"] for row in report["rows"]})

    def test_suites_of_the_capability_kernel(self):
        file = self.folder / "kernel.json"
        done = self.caisson(
            "bench", "recurse,recurse-data,ptcache,lifecycle,raw", "--filter=s", "--quick", f"--json={file}"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(file.read_text())
        self.assertEqual(report["suite"], ["recurse", "recurse-data", "ptcache", "lifecycle", "raw"])
        absent = {row["engine"] for row in report["absent"]}
        for suite in ("recurse", "recurse-data", "ptcache", "raw"):
            rows = [row for row in report["rows"] if row["suite"] == suite and row["metric"] == "time_ns"]
            engines = {row["engine"] for row in rows}
            self.assertEqual({"interp", "baseline", "optimized", "auto"}, engines | absent, suite)
            self.assertTrue(all(row["min"] > 0 for row in rows), suite)
        # Calls of a resident child allocate nothing.
        allocations = [row for row in report["rows"] if row["metric"] == "allocations"]
        self.assertTrue(allocations)
        for row in allocations:
            self.assertEqual(row["max"], 0, row)

    def test_refusals(self):
        for arguments, text in [
            (["nothing"], 'no suite "nothing"'),
            (["--filter=no-such-case"], "no-such-case"),
            (["--runs=0"], "--runs"),
            (["--runs=abc"], "--runs"),
        ]:
            self.assert_own_error(self.caisson("bench", *arguments), text)

    def test_a_report_that_cannot_be_written(self):
        for option in ("--json", "--html"):
            done = self.caisson("bench", "idle", "--filter=function", "--runs=1", f"{option}=/nonexistent/report")
            self.assert_own_error(done, "/nonexistent/report")

    def measure(self, name):
        file = self.folder / name
        done = self.caisson("bench", "ptcache", "--filter=calls-10", "--runs=5", f"--json={file}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return file, json.loads(file.read_text())

    def test_a_planted_regression_and_none(self):
        file, report = self.measure("compared.json")
        done = self.caisson("bench", f"--read={file}", f"--compare={file}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"0 worse, 0 better, 0 unclear, {len(report['rows'])} the same, 0 gone, 0 new", done.stdout)
        for row in report["rows"]:
            if (row["case"], row["engine"], row["metric"]) != ("calls-100", "interp", "time_ns"):
                continue
            for key in ("median", "min", "max", "low", "high"):
                row[key] /= 1000  # past what any load on the machine explains
        before, page = self.folder / "before.json", self.folder / "page.html"
        before.write_text(json.dumps(report))
        done = self.caisson("bench", f"--read={file}", f"--compare={before}", f"--html={page}")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, r"worse +ptcache/calls-100 interp time_ns: .* → .* \(\+\d+\.\d %")
        self.assertIn("\n  1 worse", done.stdout)
        self.assertTrue(page.read_text().startswith("<!DOCTYPE html>"))
        # A tolerance beyond all bounds is refused; the other way around it is better.
        self.assertEqual(self.caisson("bench", f"--read={file}", f"--compare={before}", "--tolerance=100000").returncode, 125)
        self.assertIn("1 better", self.caisson("bench", f"--read={before}", f"--compare={file}").stdout)
        # Measured anew, which also measures again what looks worse.
        done = self.caisson("bench", "ptcache", "--filter=calls-100", "--runs=5", f"--compare={before}", "--tolerance=400")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("\n  1 worse", done.stdout)

    @unittest.skipIf(jsonschema is None, "no Python package jsonschema")
    def test_reports_follow_the_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        file = self.folder / "followed.json"
        # Engines that are absent, rows of ratios and of many cases, rates: `goldilocks` and `compile`.
        done = self.caisson("bench", "compute,compile,ptcache", "--filter=o", "--runs=1", f"--json={file}", timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(file.read_text())
        jsonschema.validate(report, SCHEMA)
        self.assertIn("geomean", {row["case"] for row in report["rows"]})
        for key in report.keys() - {"path_counters"}:  # which older files do not have
            with self.assertRaises(jsonschema.ValidationError, msg=key):
                jsonschema.validate({name: value for name, value in report.items() if name != key}, SCHEMA)

    def test_files_that_are_no_reports(self):
        file, report = self.measure("whole.json")
        other = self.folder / "other.json"
        for text, message in [
            ("", "is no JSON"),
            ("{]", "is no JSON"),
            ("[]", "not a JSON object"),
            (json.dumps(report | {"schema": 7}), "schema 7"),
            (json.dumps({key: value for key, value in report.items() if key != "schema"}), "schema"),
            (json.dumps(report | {"rows": [{"suite": "ptcache"}]}), "rows[0]"),
        ]:
            other.write_text(text)
            for arguments in ([f"--read={other}"], [f"--read={file}", f"--compare={other}"]):
                done = self.caisson("bench", *arguments)
                self.assert_own_error(done, message)
                self.assertIn(str(other), done.stderr)
        self.assert_own_error(self.caisson("bench", "--read=/nonexistent"), "/nonexistent")
        self.assert_own_error(self.caisson("bench", "ptcache", f"--read={file}"), "--read")


if __name__ == "__main__":
    unittest.main()
