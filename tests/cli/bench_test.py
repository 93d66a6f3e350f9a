"""caisson bench: options, tables, JSON."""

import json

from command_line import CommandLineTest


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
        self.assertEqual(set(report), {"version", "machine", "suite", "rows", "absent"})
        self.assertEqual(report["suite"], ["start"])
        for row in report["rows"]:
            self.assertEqual(
                set(row), {"suite", "case", "engine", "metric", "unit", "median", "min", "max", "runs", "note"}
            )
            self.assertTrue(row["min"] <= row["median"] <= row["max"], row)
            self.assertEqual(row["runs"], 3)
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
        done = self.caisson("bench", "idle", "--filter=function", "--runs=1", "--json=/nonexistent/report.json")
        self.assert_own_error(done, "/nonexistent/report.json")


if __name__ == "__main__":
    import unittest

    unittest.main()
