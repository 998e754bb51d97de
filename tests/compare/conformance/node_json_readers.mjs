// Reads texts with packages of npm that parse JSON, as their documents show.
// Takes jobs as JSON on stdin, writes what was told of each as JSON to stdout.

const REFUSED = "refused";
const NOTHING = "nothing";
const shown = (value) => (value === undefined ? NOTHING : JSON.stringify(value));

// A part of a document is a stream that goes on later; a document is one that ends.
async function* streamOf(text, ends) {
  for (const character of text) yield character;
  if (!ends) await new Promise(() => {});
}

async function river({ parse }, { text, kind }) {
  let told = NOTHING;
  const reading = (async () => {
    for await (const value of parse(streamOf(text, kind !== "partial"))) told = shown(value);
  })();
  const later = new Promise((done) => setTimeout(done, 5));
  await (kind === "partial" ? Promise.race([reading, later]) : reading);
  return told;
}

async function fixed({ parsePartialJson }, { text }) {
  const { value, state } = await parsePartialJson(text);
  return state === "failed-parse" ? REFUSED : shown(value);
}

function partial(packages, { text, kind, allow }) {
  const { parse, Allow, PartialJSON } = packages;
  try {
    return shown(parse(text, kind === "allow" ? allow : Allow.ALL));
  } catch (error) {
    if (error instanceof PartialJSON) return NOTHING;
    throw error;
  }
}

const readers = {
  jsonriver: [["jsonriver"], river],
  "fix-json": [["ai"], fixed],
  "partial-json": [["partial-json"], partial],
  "best-effort-json-parser": [
    ["best-effort-json-parser"],
    ({ parse, disableErrorLogging }, { text }) => {
      disableErrorLogging();
      return shown(parse(text));
    },
  ],
  jsonrepair: [["jsonrepair"], ({ jsonrepair }, { text }) => shown(JSON.parse(jsonrepair(text)))],
};

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { reader, jobs } = JSON.parse(Buffer.concat(chunks).toString());
const [names, read] = readers[reader];
const loaded = {};
for (const name of names) {
  const module = await import(name);
  Object.assign(loaded, module.default && typeof module.default === "object" ? module.default : {}, module);
}
const told = [];
for (const job of jobs) {
  try {
    told.push(await read(loaded, job));
  } catch {
    told.push(REFUSED);
  }
}
process.stdout.write(JSON.stringify(told));
process.exitCode = 0;
