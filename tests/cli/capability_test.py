"""Images, their instances, and programs that are sealed half-way, as a user meets them."""

import json
import re
import subprocess
import unittest

from command_line import COMPILER, HERE, CommandLineTest

SDK = HERE.parent.parent / "guest/sdk/include"


class Capabilities(CommandLineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.counter = cls.folder / "counter"
        cls.seal = cls.folder / "seal"
        freestanding = ["-O2", "-nostdlib", "-static", "-Wl,-e,0", "-ffreestanding", "-I", SDK]
        subprocess.run([COMPILER, *freestanding, "-o", cls.counter, HERE / "guests/counter.c"], check=True)
        subprocess.run([COMPILER, "-O1", "-static", "-o", cls.seal, HERE / "guests/seal.c"], check=True)
        cls.ready = cls.folder / "ready"
        subprocess.run([COMPILER, "-O1", "-static", "-I", SDK, "-o", cls.ready, HERE / "guests/ready.c"], check=True)
        cls.store = cls.folder / "store"
        cls.store.mkdir(mode=0o700)

    def build(self, *options):
        done = self.caisson("image", "build", *options, "--json", "--store", self.store, self.counter)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def invoke(self, *words, status=0):
        done = self.caisson("invoke", "--store", self.store, *words)
        self.assertEqual(done.returncode, status, done.stderr)
        return dict(re.findall(r"(\w+) +(\S+)", done.stdout))

    def test_an_image_is_built_and_called(self):
        built = self.build("--endpoint", "3=add", "--endpoint=0=fail")
        self.assertEqual([(each["number"], each["name"]) for each in built["endpoints"]], [(0, "fail"), (3, "add")])
        self.assertEqual(self.build("--endpoint", "3=add", "--endpoint=0=fail"), built)
        for name in (built["image"], built["instance"]):
            self.assertEqual(self.invoke(name, "add", 3, 4)["return_value"], "7")
            self.assertEqual(self.invoke(name, 3, 3, 4)["return_value"], "7")
        self.assertEqual(self.invoke("--gas=5", built["image"], "add", 3, 4, status=120)["exit_reason"], "2")
        self.assertEqual(self.invoke(built["image"], "fail", status=121)["exit_reason"], "3")

    def test_every_function_is_an_endpoint_by_default(self):
        self.assertEqual(sorted(each["name"] for each in self.build()["endpoints"]), ["add", "fail"])

    def test_a_program_with_a_library_is_an_image_once_it_is_ready(self):
        built = json.loads(self.caisson("image", "build", "--json", "--store", self.store, self.ready).stdout)
        self.assertEqual([each["name"] for each in built["endpoints"] if each["name"] == "digits"], ["digits"])
        for tier in ("interp", "baseline", "optimized"):
            self.assertEqual(self.invoke(f"--tier={tier}", built["image"], "digits", 1234567)["return_value"], "7")
        short = self.caisson("image", "build", "--start-gas", "1000", "--store", self.store, self.ready)
        self.assertIn("without calling caisson_ready()", short.stderr)

    def test_successors_remember(self):
        first = self.invoke("--successor", self.build()["instance"], "add", 3, 4)
        self.assertEqual(self.invoke(first["successor"], "add", 1, 1)["return_value"], "9")
        self.assertEqual(self.invoke("--tier=interp", "--successor", self.build()["instance"], "add", 3, 4), first)

    def test_what_cannot_be_built_or_called(self):
        program = self.caisson("image", "build", "--store", self.store, self.seal)
        self.assertEqual(program.returncode, 125)
        self.assertIn("without calling caisson_ready()", program.stderr.splitlines()[-1])
        self.assertIn("caisson run --seal-at=0", program.stderr.splitlines()[-1])
        self.assert_own_error(self.caisson("image", "build", "--endpoint", "add", self.counter), "is not NUMBER=FUNCTION")
        missing = self.caisson("image", "build", "--endpoint", "0=nothing", "--store", self.store, self.counter)
        self.assert_own_error(missing, "no exported function 'nothing'")
        unknown = self.caisson("invoke", "--store", self.store, "ab" * 32, "add", 1, 2)
        self.assert_own_error(unknown, "no capability of this hash")
        endpoint = self.caisson("invoke", "--store", self.store, self.build()["image"], "nothing")
        self.assert_own_error(endpoint, 'no endpoint "nothing"')
        self.assert_own_error(self.caisson("invoke", "--successor", self.counter, "add", 1, 2), "--successor")

    def test_a_program_goes_on_in_another_process(self):
        whole = self.caisson("run", "--deterministic", "--stats=json", self.seal, "last word")
        gas = json.loads(whole.stderr.splitlines()[-1])["gas_used"]
        options = ("--deterministic", "--store", self.store, f"--seal-at={gas // 4}")
        done = self.caisson("run", *options, self.seal, "last word")
        output, stops = done.stdout, 0
        while sealed := re.search(r"--open=([0-9a-f]{64})", done.stderr):
            self.assertEqual(done.returncode, 0)
            stops += 1
            done = self.caisson("run", *options, f"--open={sealed[1]}")
            output += done.stdout
        self.assertEqual((done.returncode, output), (7, whole.stdout))
        self.assertGreaterEqual(stops, 3)
        last = self.caisson("run", "--stats=json", "--store", self.store, f"--open={sealed_again(self, options)}")
        self.assertEqual(json.loads(last.stderr.splitlines()[-1])["gas_used"], gas)

    def test_an_open_file_holds_a_program(self):
        reader = self.folder / "reader"
        source = self.folder / "reader.c"
        source.write_text(
            '#include <stdio.h>\nint main(void) { FILE* file = fopen("/work/held", "w"); fputs("x", file);'
            " for (volatile long i = 0; i < 10000000; ++i) {} return fclose(file); }"
        )
        subprocess.run([COMPILER, "-O1", "-static", "-o", reader, source], check=True)
        work = self.folder / "work"
        work.mkdir()
        options = (f"--dir={work}::/work", "--store", self.store, "--seal-at=5000000")
        done = self.caisson("run", *options, reader)
        self.assert_own_error(done, "/work/held")


def sealed_again(test, options):
    done = test.caisson("run", *options, test.seal, "last word")
    return re.search(r"--open=([0-9a-f]{64})", done.stderr)[1]


if __name__ == "__main__":
    unittest.main()
