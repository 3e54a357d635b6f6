// Compiles JSON Schemas with Ajv as it is by itself, which is strict: prints what it has to say of each file, or null.
// A file may have values beside it, `<name>.values`: each has to be of the schema.
const { existsSync, readFileSync } = require('node:fs');
const Ajv2020 = require('ajv/dist/2020');

const said = {};
for (const path of process.argv.slice(2)) {
  try {
    const validate = new Ajv2020().compile(JSON.parse(readFileSync(path, 'utf8')));
    const values = existsSync(`${path}.values`) ? JSON.parse(readFileSync(`${path}.values`, 'utf8')) : [];
    const wrong = values.filter((value) => !validate(value));
    said[path] = wrong.length === 0 ? null : `does not take ${JSON.stringify(wrong)}`;
  } catch (error) {
    said[path] = error.message;
  }
}
console.log(JSON.stringify(said));
