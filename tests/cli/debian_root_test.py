"""tools/debian-root where it cannot work: no network, unsigned mirrors, misuse. Nothing half-made may stay behind."""

import pathlib
import subprocess
import tempfile
import time
import unittest

TOOL = pathlib.Path(__file__).resolve().parent.parent.parent / "tools/debian-root"
USAGE, NETWORK, TOOL_MISSING = 2, 3, 4
UNREACHABLE = "http://127.0.0.1:9/debian"


class DebianRoot(unittest.TestCase):
    def setUp(self):
        owner = tempfile.TemporaryDirectory(prefix="caisson-root-")
        self.addCleanup(owner.cleanup)
        self.folder = pathlib.Path(owner.name)
        self.root = self.folder / "root"

    def fetch(self, *words):
        return subprocess.run(
            [TOOL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )

    def assert_refused(self, done, status, text):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(text, done.stderr)
        left = sorted(path.name for path in self.folder.iterdir() if path.suffix != ".lock")
        self.assertEqual(left, [path.name for path in self.kept])

    kept = []

    def test_without_a_network(self):
        done = self.fetch("--into", self.root, "--mirror", UNREACHABLE, "busybox-static")
        self.assert_refused(done, NETWORK, "no network?")

    def test_unsigned_mirror(self):
        mirror = self.folder / "mirror"
        (mirror / "dists/trixie").mkdir(parents=True)
        (mirror / "dists/trixie/Release").write_text("Origin: Debian\nSuite: trixie\n", encoding="ascii")
        self.kept = [mirror]
        done = self.fetch("--into", self.root, "--mirror", f"file://{mirror}", "busybox-static")
        self.assert_refused(done, NETWORK, "no mirror has a Debian trixie that can be reached and verified")

    def test_missing_keyring(self):
        done = self.fetch("--into", self.root, "--mirror", UNREACHABLE, "--keyring", "/absent.gpg", "busybox-static")
        self.assert_refused(done, TOOL_MISSING, "/absent.gpg")

    def test_misuse(self):
        for words, text in (
            (["busybox-static"], "--into DIR is missing"),
            (["--into", self.root], "no package is named"),
            (["--into"], "--into needs a value"),
            (["--into", self.root, "--fast", "busybox-static"], "unknown option --fast"),
            (["--into", self.root, "../escape"], "not a package name"),
            (["--into", self.root, "Busybox"], "not a package name"),
            (["--into", self.root, "--mirror", 'http://x" [trusted=yes', "busybox-static"], "not a mirror"),
            (["--into", self.root, "--list", "/absent", "busybox-static"], "cannot read the list"),
        ):
            with self.subTest(words):
                self.assert_refused(self.fetch(*words), USAGE, text)

    def test_a_folder_of_someone_else_is_left_alone(self):
        self.root.mkdir()
        (self.root / "precious").write_text("x", encoding="ascii")
        self.kept = [self.root]
        done = self.fetch("--into", self.root, "--mirror", UNREACHABLE, "busybox-static")
        self.assert_refused(done, USAGE, "was not made by debian-root")
        self.assertTrue((self.root / "precious").exists())

    def test_what_is_there_needs_no_network(self):
        self.root.mkdir()
        (self.root / ".debian-root").write_text("requested busybox-static\nrequested lua5.4\n", encoding="ascii")
        packages = self.folder / "packages.txt"
        packages.write_text("# both\nlua5.4  # the language\n\n", encoding="ascii")
        start = time.monotonic()
        done = self.fetch("--into", self.root, "--mirror", UNREACHABLE, "--list", packages, "busybox-static")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertLess(time.monotonic() - start, 2)

    def test_a_failed_extension_keeps_what_was_there(self):
        self.root.mkdir()
        stamp = self.root / ".debian-root"
        stamp.write_text("requested busybox-static\n", encoding="ascii")
        self.kept = [self.root]
        done = self.fetch("--into", self.root, "--mirror", UNREACHABLE, "lua5.4")
        self.assert_refused(done, NETWORK, "no network?")
        self.assertEqual(stamp.read_text(encoding="ascii"), "requested busybox-static\n")


if __name__ == "__main__":
    unittest.main()
