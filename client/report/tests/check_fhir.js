// Checks bundles with the npm package `fhir` (R4, with the value sets of required codes) and prints its errors, as JSON by
// file name.
//
//     NODE_PATH=node_modules node check_fhir.js FOLDER
const fs = require('fs');
const path = require('path');
const { Fhir } = require('fhir');

const folder = process.argv[2];
const files = fs.readdirSync(folder).filter((name) => name.endsWith('.json'));
const errors = (name) => {
  const bundle = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
  const { valid, messages } = new Fhir().validate(bundle, { errorOnUnexpected: true });
  const found = messages.filter((message) => ['error', 'fatal'].includes(message.severity)).map((message) => message.message);
  return valid === (found.length === 0) ? found : [...found, `valid: ${valid}`];
};
console.log(JSON.stringify(Object.fromEntries(files.map((name) => [path.parse(name).name, errors(name)]))));
