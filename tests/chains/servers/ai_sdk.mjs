// The AI SDK's response for useChat, with its own providers over the scripted one: node ai_sdk.mjs PORT
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { jsonSchema, streamText, tool } from "ai";

const at = { baseURL: process.env.PROVIDER_V1, apiKey: "x" };
const models = { chat: createOpenAICompatible({ name: "x", ...at }), messages: createAnthropic(at), responses: createOpenAI(at).responses };
const get_weather = tool({ inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }) });

// What it rejects beside its answer, nobody waits for.
process.on("unhandledRejection", () => {});

createServer(async (request, response) => {
  const { prompt } = await json(request);
  const left = new AbortController();
  response.on("close", () => left.abort());
  const options = { prompt, tools: { get_weather }, maxRetries: 0, abortSignal: left.signal, onError: () => {} };
  const answer = streamText({ model: models[request.url.slice(1)]("m"), ...options }).toUIMessageStreamResponse({ onError: (error) => String(error.message ?? error) });
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  try {
    for await (const chunk of answer.body) response.write(chunk);
  } finally {
    response.end();
  }
}).listen(Number(process.argv[2]), "127.0.0.1");
