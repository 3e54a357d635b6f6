// Prints what the official parser of AsyncAPI understands of a document: its errors, and each operation's messages.
const { readFileSync } = require('node:fs');
const { Parser } = require('@asyncapi/parser');

async function main(path) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, 'utf8'));
  const errors = diagnostics.filter(({ severity }) => severity === 0).map(({ message, path }) => `${path.join('/')}: ${message}`);
  const operations = {};
  for (const operation of document?.operations().all() ?? []) {
    operations[operation.id()] = operation.messages().all().map((message) => message.id());
  }
  console.log(JSON.stringify({ errors, operations }));
}

main(process.argv[2]);
