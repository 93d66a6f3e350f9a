"""What the tests of the command line share: guest programs, compiled once, and a way to run caisson."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CAISSON = os.environ.get("CAISSON", str(HERE.parent.parent / "build/release/bin/caisson"))
COMPILER = "riscv64-linux-gnu-gcc"

OWN_ERROR, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127


class CommandLineTest(unittest.TestCase):
    """`self.folder` is a scratch folder with the guests `program` (a Linux program) and `functions` (no entry point)."""

    @classmethod
    def setUpClass(cls):
        if shutil.which(COMPILER) is None:
            raise unittest.SkipTest(f"no {COMPILER}")
        cls.folder_owner = tempfile.TemporaryDirectory(prefix="caisson-cli-")
        cls.addClassCleanup(cls.folder_owner.cleanup)
        cls.folder = pathlib.Path(cls.folder_owner.name)
        cls.program = cls.folder / "program"
        cls.functions = cls.folder / "functions"
        subprocess.run([COMPILER, "-O1", "-static", "-o", cls.program, HERE / "guests/program.c"], check=True)
        subprocess.run(
            [COMPILER, "-nostdlib", "-static", "-Wl,-e,0", "-o", cls.functions, HERE / "guests/functions.S"], check=True
        )

    def caisson(self, *words, **options):
        options.setdefault("timeout", 60)
        return subprocess.run(
            [CAISSON, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options
        )

    def run_program(self, *words, options=(), **keywords):
        return self.caisson("run", *options, self.program, *words, **keywords)

    def assert_own_error(self, done, text, status=OWN_ERROR):
        """One line on stderr that begins with "caisson: " and holds `text`."""
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Acaisson: [^\n]+\n\Z")
        self.assertIn(text, done.stderr)
