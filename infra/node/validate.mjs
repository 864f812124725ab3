// What the official AsyncAPI parser refuses in each document named as an argument.
//
// Prints one JSON object: path -> messages of severity "error". What is only advice is left out.
import { readFile } from "node:fs/promises";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const parser = new Parser();
const refused = {};
for (const path of process.argv.slice(2)) {
  const { diagnostics } = await parser.parse(await readFile(path, "utf8"), { source: path });
  refused[path] = diagnostics
    .filter((one) => one.severity === DiagnosticSeverity.Error)
    .map((one) => `${one.path.join(".")}: ${one.message}`);
}
console.log(JSON.stringify(refused, null, 2));
