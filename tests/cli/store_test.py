"""caisson store: artifacts and capabilities."""

import json
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest

from command_line import CAISSON, CommandLineTest

SAMPLE_STORE = os.environ["SAMPLE_STORE"]
GOOD = 3


class Store(CommandLineTest):
    @classmethod
    def setUpClass(cls):
        pass  # no guests are needed

    def setUp(self):
        owner = tempfile.TemporaryDirectory(prefix="caisson-cli-")
        self.addCleanup(owner.cleanup)
        self.folder = pathlib.Path(owner.name)
        self.store = self.folder / "store"
        subprocess.run([SAMPLE_STORE, self.store, str(GOOD)], check=True)

    def task(self, *words, **options):
        return self.caisson("store", *words, "--store", self.store, **options)

    def report(self, *words):
        done = self.task(*words, "--json")
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def test_ls_tells_each_artifact(self):
        done = self.task("ls")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["key", "state", "tier", "kind", "stored", "bytes", "age", "label"])
        self.assertRegex(lines[2], r"\A0000000000000001  good +optimized +riscv +\d+ +\d+ +\d+s  number 1\Z")
        self.assertRegex(lines[4], r"\A0000000000000003  rejected +- +- +\d+ +- +2d  .*damaged")
        self.assertRegex(lines[5], r"\A0000000000000004  foreign .*format")
        self.assertRegex(lines[6], rf"\A{self.store}: {GOOD} good, 1 foreign, 1 rejected, \d+ bytes\Z")
        self.assertEqual(len(lines), 7)

    def test_labels_cannot_command_a_terminal(self):
        done = self.task("ls")
        self.assertIn("red ?[31m and ?", done.stdout)
        self.assertNotIn("\x1b", done.stdout)

    def test_json_has_everything(self):
        report = self.report("ls")
        self.assertEqual(report["store"], str(self.store))
        self.assertEqual([artifact["state"] for artifact in report["artifacts"]], ["good"] * GOOD + ["rejected", "foreign"])
        artifact = report["artifacts"][1]
        self.assertEqual((artifact["kind"], artifact["tier"], artifact["label"]), ("riscv", "optimized", "number 1"))
        self.assertEqual((len(artifact["key"]), artifact["cpu_features"]), (64, 5))
        self.assertEqual(artifact["build_id"], "01" + "00" * 31)

    def test_verify_tells_by_its_status(self):
        done = self.task("verify")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.task("gc")
        done = self.task("verify")
        self.assertEqual((done.returncode, done.stdout.count("\n")), (0, 1))

    def test_gc_removes_what_is_of_no_use(self):
        report = self.report("gc")
        self.assertEqual((report["rejected"], report["foreign"], report["evicted"]), (1, 1, 0))
        self.assertGreater(report["bytes_freed"], 500)
        self.assertEqual(len(self.report("ls")["artifacts"]), GOOD)
        size = self.report("ls")["artifacts"][0]["stored_bytes"]
        report = self.report("gc", "--budget", size + 50)
        self.assertEqual(report["evicted"], GOOD - 1)
        self.assertLessEqual(report["bytes_kept"], size + 50)
        self.assertRegex(self.task("gc").stdout, r"removed 0 rejected, 0 foreign, 0 beyond the budget; 0 bytes freed, \d+ kept\n\Z")

    def test_the_directory_comes_from_the_environment(self):
        environment = {name: value for name, value in os.environ.items() if name not in ("CAISSON_STORE", "XDG_CACHE_HOME")}
        for variables in ({"CAISSON_STORE": str(self.store)}, {"XDG_CACHE_HOME": str(self.folder)}, {"HOME": str(self.folder)}):
            if "XDG_CACHE_HOME" in variables:
                self.store.rename(self.folder / "caisson")
            if "HOME" in variables:
                (self.folder / ".cache").mkdir()
                (self.folder / "caisson").rename(self.folder / ".cache/caisson")
            done = self.caisson("store", "ls", env=environment | variables)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("3 good", done.stdout)

    def test_progress_is_for_terminals(self):
        controller, terminal = pty.openpty()
        done = subprocess.run([CAISSON, "store", "verify", "--store", self.store], stdout=subprocess.PIPE, stderr=terminal, check=False)
        os.close(terminal)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"verifying 5/5", os.read(controller, 1000))
        os.close(controller)

    def test_errors(self):
        self.assert_own_error(self.caisson("store", "ls", "--store", self.folder / "absent"), "absent")
        empty = self.folder / "empty"
        empty.mkdir(mode=0o700)
        self.assert_own_error(self.caisson("store", "gc", "--store", empty), "holds no store")
        self.assertEqual(list(empty.iterdir()), [])
        self.store.chmod(0o777)
        self.assert_own_error(self.task("ls"), "chmod go-w")
        self.assert_own_error(self.caisson("store"), "what to do is missing")
        self.assert_own_error(self.caisson("store", "fold"), "what to do is missing")
        self.assert_own_error(self.task("ls", "more"), "nothing stands behind store ls")
        self.assert_own_error(self.task("ls", "--budget=1"), "unknown option --budget")

    def test_help_has_examples(self):
        for words in ([], ["ls"], ["verify"], ["gc"], ["put"], ["get"], ["release"]):
            done = self.caisson("store", *words, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"(?m)^Usage: caisson store")
            self.assertRegex(done.stdout, r"(?m)^Example: caisson store")


class Capabilities(Store):
    """In a store that has artifacts as well, so that everything above holds too."""

    def setUp(self):
        super().setUp()
        self.file = self.folder / "file"
        self.bytes = bytes(4096) + bytes(index * 7 % 251 for index in range(5000))
        self.file.write_bytes(self.bytes)
        self.fresh = self.folder / "fresh"

    def put(self, *words, store=None):
        done = self.caisson("store", "put", "--store", store or self.fresh, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\A[0-9a-f]{64}\n\Z")
        return done.stdout.strip()

    def get(self, *words):
        done = subprocess.run([CAISSON, "store", "get", "--store", self.fresh, *words], capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def test_a_file_comes_back(self):
        name = self.put(self.file)
        whole = self.bytes + bytes(3 * 4096 - len(self.bytes))
        self.assertEqual(self.get("--raw", name), whole)
        encoded = self.get(name)
        self.assertEqual(encoded[:5], bytes([1, 3, 0, 0, 0]))
        self.assertEqual(encoded[-8192:], whole[4096:])
        self.assertEqual(self.get("-o", self.folder / "out", name), b"")
        self.assertEqual((self.folder / "out").read_bytes(), encoded)
        self.assertEqual(self.put("--encoded", self.folder / "out"), name)
        self.assertEqual(self.put(self.file, store=self.folder / "other"), name)

    def test_a_node_needs_its_targets(self):
        name = self.put(self.file)
        node = self.folder / "node"
        for target, works in ((name, True), ("ab" * 32, False)):
            node.write_bytes(bytes([3, 4, 0, 0, 0, 9, 1]) + bytes.fromhex(target) + bytes(1))
            done = self.caisson("store", "put", "--encoded", node, "--store", self.fresh, "--json")
            if works:
                self.assertEqual(json.loads(done.stdout)["kind"], "cnode")
                self.assert_own_error(self.caisson("store", "get", "--store", self.fresh, "--raw", json.loads(done.stdout)["hash"]), "no data")
            else:
                self.assert_own_error(done, "refers to a data that is not in the store")

    def test_ls_gc_and_verify_without_artifacts(self):
        name = self.put(self.file)
        self.put(self.file)
        done = self.caisson("store", "ls", "--store", self.fresh)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["hash", "kind", "bytes", "references"])
        self.assertEqual(lines[1].split(), [name, "data", str(2 * 4096 + 37), "2"])
        self.assertIn("1 capabilities, 0 of them referred to by nothing, 0 damaged", lines[2])
        for dropped, released in ((0, 1), (0, 1), (1, 0)):
            report = json.loads(self.caisson("store", "gc", "--store", self.fresh, "--json").stdout)
            self.assertEqual((report["capabilities_dropped"], report["rejected"]), (dropped, 0))
            if released:
                self.assertEqual(self.caisson("store", "release", name, "--store", self.fresh).returncode, 0)
        self.assert_own_error(self.caisson("store", "release", name, "--store", self.fresh), "is not in the store")
        self.assert_own_error(self.caisson("store", "get", name, "--store", self.fresh), "is not in the store")

    def test_ls_gc_and_verify_with_artifacts(self):
        name = self.put(self.file, store=self.store)
        report = self.report("ls")
        self.assertEqual(len(report["artifacts"]), GOOD + 2)
        self.assertEqual([(one["hash"], one["kind"], one["references"]) for one in report["capabilities"]], [(name, "data", 1)])
        self.assertEqual(len(self.task("ls").stdout.splitlines()), 7 + 3)
        self.assertIn("dropped 0 capabilities", self.task("gc").stdout)
        report = self.report("verify")
        self.assertEqual((report["capabilities"][0]["state"], report["capabilities"][0]["reason"]), ("good", ""))
        self.assertEqual(self.task("verify").returncode, 0)

    def test_damage_shows_in_the_status(self):
        name = self.put(self.file)
        database = self.fresh / "capabilities/data.mdb"
        damaged = bytearray(database.read_bytes())
        place = damaged.index(self.bytes[4096:4196])
        damaged[place + 50] ^= 1
        database.write_bytes(damaged)
        done = self.caisson("store", "verify", "--store", self.fresh)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn(f"{name}  damaged  one of its pages has another hash", done.stdout)
        self.assert_own_error(self.caisson("store", "get", name, "--store", self.fresh), "another hash")
        self.assertEqual(self.put(self.file), name)
        self.assert_own_error(self.caisson("store", "get", name, "--store", self.fresh), "another hash")

    def test_errors_of_capabilities(self):
        name = "ab" * 32
        self.assert_own_error(self.caisson("store", "get", name, "--store", self.fresh), "holds no store of capabilities")
        self.assert_own_error(self.caisson("store", "get", "abc", "--store", self.fresh), "64 hexadecimal digits")
        self.assert_own_error(self.caisson("store", "get", "--store", self.fresh), "name one hash")
        self.assert_own_error(self.caisson("store", "put", "--store", self.fresh), "name one file")
        self.assert_own_error(self.caisson("store", "put", self.folder / "absent", "--store", self.fresh), "cannot open")
        self.assert_own_error(self.caisson("store", "put", self.folder, "--store", self.fresh), "cannot read")
        self.assert_own_error(self.caisson("store", "put", self.file, "--encoded", "--store", self.fresh), "selector")
        self.assertFalse(self.fresh.exists())
        self.put(self.file)
        self.assert_own_error(self.caisson("store", "get", name, "--store", self.fresh), "is not in the store")


if __name__ == "__main__":
    unittest.main()
