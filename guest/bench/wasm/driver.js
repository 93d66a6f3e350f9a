// Runs a kernel's WebAssembly in node, as timing_driver.cpp runs its Linux program: for each 64-bit number of rounds on standard input
// two 64-bit numbers on standard output, the nanoseconds of processor time that the process took for it, and the checksum.
"use strict";

const fs = require("node:fs");

const program = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
const { run } = new WebAssembly.Instance(program, {}).exports;
const request = Buffer.alloc(8), reply = Buffer.alloc(16);
const nanoseconds = ({ user, system }) => BigInt(user + system) * 1000n;

while (fs.readSync(0, request, 0, request.length, null) === request.length) {
  const begin = process.cpuUsage();
  const checksum = run(request.readBigUInt64LE());
  reply.writeBigUInt64LE(nanoseconds(process.cpuUsage(begin)));
  reply.writeBigUInt64LE(BigInt.asUintN(64, checksum), 8);
  fs.writeSync(1, reply);
}
