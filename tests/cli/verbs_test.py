"""caisson invoke, image inspect, doctor and --help."""

import json
import re
import resource
import subprocess
import unittest

from command_line import NOT_FOUND, CommandLineTest


class Invoke(CommandLineTest):
    def invoke(self, *words, options=()):
        return self.caisson("invoke", *options, self.functions, *words)

    def result(self, done):
        return dict(line.split(None, 1) for line in done.stdout.splitlines())

    def test_prints_the_result(self):
        done = self.invoke("add", 30, 12, options=["--gas=1000"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        # add costs 1 and ret 5.
        result = self.result(done)
        self.assertEqual(result["exit_reason"], "4 (host call)")
        self.assertEqual((result["exit_arg"], result["return_value"]), ("0x0", "42"))
        self.assertEqual((result["gas_used"], result["gas_remaining"]), ("6", "994"))

    def test_takes_64_bit_integers(self):
        for one, other, total in (
            ("-5", "3", -2),
            ("0xffffffffffffffff", "2", 1),
            ("18446744073709551615", "0", -1),
            ("-9223372036854775808", "-1", 2**63 - 1),
        ):
            self.assertEqual(int(self.result(self.invoke("add", one, other))["return_value"]), total)
        for bad in ("x", "1.5", "18446744073709551616", "-9223372036854775809", "0x", ""):
            self.assert_own_error(self.invoke("add", "1", bad), "is not a 64-bit integer")
        self.assert_own_error(self.invoke("add", *range(7)), "more than six")

    def test_gas_is_the_sum_of_the_blocks(self):
        remaining = {}
        for n in (10, 20, 30):
            remaining[n] = int(self.result(self.invoke("sum_to", n, options=["--gas=100000"]))["gas_remaining"])
        # One round: beqz 2, add 1, addi 1, j 2.
        self.assertEqual(remaining[10] - remaining[20], 60)
        self.assertEqual(remaining[20] - remaining[30], 60)

    def test_exit_status_tells_how_it_ended(self):
        for function, status, text in (
            ("load_null", 121, "page fault on address 0x8 at pc"),
            ("illegal", 122, "illegal instruction at pc"),
            ("trap", 123, "trap at pc"),
            ("unclaimed", 123, "unclaimed ecall 4242 at pc"),
        ):
            done = self.invoke(function)
            self.assertEqual(done.returncode, status, function)
            self.assertRegex(done.stderr, rf"\Acaisson: {text} 0x[0-9a-f]+ \(gas used \d+\)\n\Z")
        self.assertEqual(self.invoke("forever", options=["--gas=5000"]).returncode, 120)
        self.assertEqual(self.invoke("forever", options=["--timeout=0.2"]).returncode, 124)

    def test_errors(self):
        self.assert_own_error(self.invoke("absent"), "absent")
        self.assert_own_error(self.invoke(), "IMAGE and FUNCTION are needed")
        self.assert_own_error(self.caisson("invoke", "/absent", "add"), "/absent", NOT_FOUND)


class Inspect(CommandLineTest):
    def inspect(self, *words):
        done = self.caisson("image", "inspect", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_text_tells_kind_segments_and_functions(self):
        text = self.inspect(self.program)
        self.assertRegex(text, r"\Akind +static\nentry +0x[0-9a-f]+\nsha256 +[0-9a-f]{64}\n")
        self.assertRegex(text, r"\n  0x[0-9a-f]+ +\d+ bytes in memory +\d+ in the file  r-x\n")
        self.assertRegex(text, r"\nexports +\d+ \(--json lists them all\)\n")

    def test_hash_is_sha256(self):
        expected = subprocess.run(["sha256sum", self.program], capture_output=True, text=True, check=True).stdout.split()[0]
        self.assertEqual(json.loads(self.inspect("--json", self.program))["sha256"], expected)

    def test_exports_are_the_symbol_table(self):
        exports = json.loads(self.inspect("--json", self.functions))["exports"]
        table = subprocess.run(["riscv64-linux-gnu-nm", self.functions], capture_output=True, text=True, check=True).stdout
        expected = {name: int(address, 16) for address, kind, name in map(str.split, table.splitlines()) if kind == "T"}
        functions = {name: expected[name] for name in ("add", "sum_to", "forever", "load_null", "illegal", "trap", "unclaimed")}
        self.assertEqual({function["name"]: function["address"] for function in exports}, functions)

    def test_blocks_cost_what_running_them_costs(self):
        blocks = json.loads(self.inspect("--json", "--blocks=sum_to", self.functions))["blocks"]
        # li | beqz: the loop's head costs what is left of the first block; add, addi, j; mv, ret.
        self.assertEqual([block["gas"] for block in blocks], [3, 2, 4, 6])
        text = self.inspect("--blocks", "sum_to", self.functions)
        self.assertEqual(len(re.findall(r"^block 0x[0-9a-f]+  gas \d+$", text, re.MULTILINE)), 4)

    def test_blocks_hold_every_instruction_once(self):
        blocks = json.loads(self.inspect("--json", "--blocks=main", self.program))["blocks"]
        ours = [instruction["address"] for block in blocks for instruction in block["instructions"]]
        listing = subprocess.run(
            ["riscv64-linux-gnu-objdump", "-d", "--disassemble=main", self.program], capture_output=True, text=True, check=True
        ).stdout
        theirs = [int(match, 16) for match in re.findall(r"^\s+([0-9a-f]+):\t", listing, re.MULTILINE)]
        self.assertEqual(ours, theirs)

    def test_errors(self):
        self.assert_own_error(self.caisson("image", "inspect", "--blocks=absent", self.program), "absent")
        self.assert_own_error(self.caisson("image", "inspect", "/absent"), "/absent", NOT_FOUND)
        self.assert_own_error(self.caisson("image", "inspect"), "one FILE is needed")
        self.assert_own_error(self.caisson("image", "fold"), "inspect")


class Doctor(CommandLineTest):
    def test_sections(self):
        done = self.caisson("doctor", "--json")
        self.assertEqual(done.returncode, 0)
        report = json.loads(done.stdout)
        self.assertEqual(list(report), ["isolation", "tiers", "host", "limits", "cpu", "tools"])
        self.assertTrue(report["isolation"]["thread"]["available"])
        self.assertFalse(report["isolation"]["kvm"]["available"])
        self.assertTrue(report["tiers"]["interp"]["available"])

    def test_too_little_address_space_is_told(self):
        limit = 2 << 30
        done = self.caisson("doctor", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"thread +no .*RLIMIT_AS|thread +no .*address space")


class Help(CommandLineTest):
    def test_each_verb_has_an_example(self):
        for verb in (["run"], ["invoke"], ["image"], ["image", "inspect"], ["store"], ["doctor"]):
            done = self.caisson(*verb, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), verb)
            self.assertRegex(done.stdout, r"(?m)^Usage: caisson " + " ".join(verb))
            self.assertRegex(done.stdout, r"(?m)^Example: caisson " + " ".join(verb))

    def test_lists_the_verbs(self):
        done = self.caisson("--help")
        for verb in ("run", "invoke", "image", "store", "doctor"):
            self.assertRegex(done.stdout, rf"(?m)^  {verb} ")


if __name__ == "__main__":
    unittest.main()
