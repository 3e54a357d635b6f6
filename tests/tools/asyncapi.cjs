// Prints what the official parser of AsyncAPI understands of a document: its version, its errors and what else there is
// to complain about, and each operation's messages.
const { readFileSync } = require('node:fs');
const { Parser } = require('@asyncapi/parser');

async function main(path) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, 'utf8'));
  const told = (found) => `${found.path.join('/')}: ${found.message}`;
  const errors = diagnostics.filter(({ severity }) => severity === 0).map(told);
  const advice = diagnostics.filter(({ severity }) => severity !== 0).map(({ code }) => code);
  const operations = {};
  for (const operation of document?.operations().all() ?? []) {
    operations[operation.id()] = operation.messages().all().map((message) => message.id());
  }
  console.log(JSON.stringify({ version: document?.version(), errors, advice, operations }));
}

main(process.argv[2]);
