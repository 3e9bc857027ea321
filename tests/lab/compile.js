// node compile.js SOURCE.sol OUT.json: creation bytecode by contract name. Offline; solc is found through NODE_PATH.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const [, , source, out] = process.argv;
const name = path.basename(source);
const input = {
  language: "Solidity",
  sources: { [name]: { content: fs.readFileSync(source, "utf8") } },
  settings: {
    evmVersion: "paris", // runs on every chain, also before PUSH0
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false }, // so that a comment changes no byte
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const told = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (told.errors || []).filter((error) => error.severity === "error");
if (errors.length) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const contracts = {};
for (const contract of Object.keys(told.contracts[name]).sort()) {
  contracts[contract] = "0x" + told.contracts[name][contract].evm.bytecode.object;
}
fs.writeFileSync(out, JSON.stringify({ compiler: solc.version(), contracts }, null, 1) + "\n");
