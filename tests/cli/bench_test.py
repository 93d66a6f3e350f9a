"""caisson bench: options, tables, JSON."""

import json
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
            + ["recurse", "recurse-data", "ptcache", "lifecycle", "raw"],
        )
        for case in ("  fib_recursive", "  sha256", "  hello"):
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
        for key in report:
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
