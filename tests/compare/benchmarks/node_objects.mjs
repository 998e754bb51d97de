// Reads texts as the AI SDK reads the answer of a model: with `Output.object`,
// behind `extractJsonMiddleware`. Takes jobs as JSON on stdin, writes the values as JSON to stdout.

import { extractJsonMiddleware, generateText, Output, wrapLanguageModel } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import { z } from "zod";

const order = z.strictObject({ dish: z.string(), count: z.int(), notes: z.array(z.string()) });
const outputs = { order: Output.object({ schema: order }) };
const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };

async function read({ text, type }) {
  const model = new MockLanguageModelV3({
    doGenerate: async () => ({
      content: [{ type: "text", text }],
      finishReason: { unified: "stop", raw: "stop" },
      usage,
      warnings: [],
    }),
  });
  const wrapped = wrapLanguageModel({ model, middleware: [extractJsonMiddleware()] });
  return (await generateText({ model: wrapped, prompt: "none", output: outputs[type] })).output;
}

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const told = [];
for (const job of JSON.parse(Buffer.concat(chunks).toString()).jobs) {
  try {
    told.push(await read(job));
  } catch {
    told.push(null);
  }
}
process.stdout.write(JSON.stringify(told));
process.exitCode = 0;
