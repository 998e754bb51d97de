// Streams what a model of the AI SDK's own tests says, as its responses for user interfaces.
// Takes lists of the model's parts as JSON on stdin, writes the bodies as JSON to stdout.

const { jsonSchema, simulateReadableStream, streamText, tool } = await import("ai");
const test = await import("ai/test");

// The newest of them, whatever version of the interface that is.
const Model = test[Object.keys(test).filter((name) => name.startsWith("MockLanguageModel")).sort().at(-1)];
globalThis.AI_SDK_LOG_WARNINGS = false;

function answer(parts) {
  const model = new Model({
    doStream: async () => ({ stream: simulateReadableStream({ chunks: parts, initialDelayInMs: null, chunkDelayInMs: null }) }),
  });
  const weather = tool({ inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }) });
  return streamText({ model, prompt: "Hi", tools: { weather }, onError: () => {} });
}

let given = "";
for await (const piece of process.stdin) given += piece;
const told = [];
for (const parts of JSON.parse(given)) {
  told.push(await answer(parts).toUIMessageStreamResponse({ sendReasoning: true }).text());
}
process.stdout.write(JSON.stringify(told));
