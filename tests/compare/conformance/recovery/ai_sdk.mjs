// Asks a provider with the AI SDK, as its documents show, and tells what was shown and run.
// Takes the addresses and the question as JSON on stdin, writes what came of it as JSON to stdout.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { isStepCount, streamText, tool } from "ai";
import { z } from "zod";

let input = "";
for await (const piece of process.stdin) input += piece;
const { first, question, calls, idle, removed } = JSON.parse(input);
// Warnings of the packages are not what was asked for.
globalThis.AI_SDK_LOG_WARNINGS = false;

const told = { text: "", calls: [], error: null };
const remove = tool({
  description: "Remove a folder",
  inputSchema: z.object({ path: z.string(), recursive: z.boolean() }),
  execute: async (args) => {
    told.calls.push(["remove", args]);
    return removed;
  },
});
const provider = createOpenAICompatible({ name: "compatible", apiKey: "k", baseURL: first });
const note = (error) => (told.error ??= error?.name ?? "Error");

try {
  const result = streamText({
    model: provider("m"),
    prompt: question,
    ...(calls ? { tools: { remove }, stopWhen: isStepCount(3) } : {}),
    maxRetries: 2,
    streamRetries: 2,
    timeout: { chunkMs: idle },
    onError: () => {},
  });
  for await (const part of result.stream) {
    if (part.type === "text-delta") told.text += part.text;
    else if (part.type === "error" || part.type === "tool-error") note(part.error);
    else if (part.type === "abort") note(new DOMException("aborted", "AbortError"));
  }
} catch (error) {
  note(error);
}
process.stdout.write(JSON.stringify(told));
