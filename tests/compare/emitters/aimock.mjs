// Serves answers with aimock on a port of its own, until stdin is closed.
// Takes one line of JSON, pairs of what a request must match and the answer, and says its address.

import { createInterface } from "node:readline";

const { LLMock } = await import("@copilotkit/aimock");

const mock = new LLMock({ port: 0, chunkSize: 5 });
const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
  for (const [match, answer] of JSON.parse(line)) mock.on(match, answer);
  await mock.start();
  process.stdout.write(`${mock.url}\n`);
});
lines.once("close", async () => {
  await mock.stop();
  process.exit(0);
});
