// Reads bodies as clients of others do: each from a server of its own on the loopback address, in small pieces.
// Takes [client, body in base64] pairs as JSON on stdin, writes what each client came to as JSON to stdout.

const { createServer } = await import("node:http");

const asked = { model: "m", messages: [{ role: "user", content: "Hi" }], max_tokens: 16 };
const tools = Object.fromEntries(["get_weather", "get_time"].map((name) => [name, name]));

function heard(told) {
  const found = { text: "", reasoning: "", calls: [], end: null, counts: null, error: null, deltas: 0 };
  return { ...found, news: [], output: "", results: [], ...told };
}

function openai(OpenAI, url) {
  return new OpenAI({ baseURL: url, apiKey: "k", maxRetries: 0 });
}

const JUDGES = {
  async "openai chat"(url, told) {
    const { default: OpenAI } = await import("openai");
    const options = { ...asked, stream: true, stream_options: { include_usage: true } };
    const stream = openai(OpenAI, url).chat.completions.stream(options);
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta;
      if (delta?.content) told.deltas += 1;
      told.reasoning += delta?.reasoning_content ?? "";
      told.text += delta?.content ?? "";
    }
    const { choices, usage } = await stream.finalChatCompletion();
    told.end = choices[0].finish_reason;
    if ((choices[0].message.content ?? "") !== told.text) throw new Error("not what the deltas say");
    for (const call of choices[0].message.tool_calls ?? [])
      told.calls.push([call.id, call.function.name, call.function.arguments]);
    if (usage) told.counts = [usage.prompt_tokens, usage.completion_tokens];
  },

  async "openai responses"(url, told) {
    const { default: OpenAI } = await import("openai");
    const stream = openai(OpenAI, url).responses.stream({ model: "m", input: "Hi" });
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") {
        told.deltas += 1;
        told.text += event.delta;
      }
      if (event.type === "response.reasoning_summary_text.delta") told.reasoning += event.delta;
      if (event.type === "error") throw new Error(event.message);
    }
    const response = await stream.finalResponse();
    told.end = response.status;
    for (const item of response.output)
      if (item.type === "function_call") told.calls.push([item.call_id, item.name, item.arguments]);
    if (response.usage) told.counts = [response.usage.input_tokens, response.usage.output_tokens];
  },

  async anthropic(url, told) {
    const { default: Anthropic } = await import("@anthropic-ai/sdk");
    const stream = new Anthropic({ baseURL: url, apiKey: "k", maxRetries: 0 }).messages.stream(asked);
    stream.on("text", (text) => {
      told.deltas += 1;
      told.text += text;
    });
    const message = await stream.finalMessage();
    for (const block of message.content) {
      if (block.type === "thinking") told.reasoning += block.thinking;
      if (block.type === "tool_use") told.calls.push([block.id, block.name, JSON.stringify(block.input)]);
    }
    told.end = message.stop_reason;
    told.counts = [message.usage.input_tokens, message.usage.output_tokens];
  },

  async "ai openai chat"(url, told) {
    const { createOpenAI } = await import("@ai-sdk/openai");
    await generate(createOpenAI({ baseURL: url, apiKey: "k" }).chat("m"), told);
  },

  async "ai openai responses"(url, told) {
    const { createOpenAI } = await import("@ai-sdk/openai");
    await generate(createOpenAI({ baseURL: url, apiKey: "k" }).responses("m"), told);
  },

  async "ai anthropic"(url, told) {
    const { createAnthropic } = await import("@ai-sdk/anthropic");
    await generate(createAnthropic({ baseURL: url, apiKey: "k" })("m"), told);
  },

  async "ai ui-message"(url, told) {
    const { DefaultChatTransport, readUIMessageStream } = await import("ai");
    const transport = new DefaultChatTransport({ api: url });
    const chunks = await transport.sendMessages({ trigger: "submit-message", chatId: "c", messages: [] });
    const watched = chunks.pipeThrough(
      new TransformStream({
        transform(chunk, controller) {
          if (chunk.type === "finish") told.end = chunk.finishReason;
          if (chunk.type === "text-delta") told.deltas += 1;
          if (chunk.type === "data-output") told.output += chunk.data.delta;
          controller.enqueue(chunk);
        },
      }),
    );
    let last = { parts: [] };
    const onError = (error) => (told.error = String(error.message ?? error));
    for await (const message of readUIMessageStream({ stream: watched, onError })) last = message;
    told.parts = [];
    for (const part of last.parts) {
      if (part.type === "text") told.text += part.text;
      if (part.type === "reasoning") told.reasoning += part.text;
      if (part.type === "text" || part.type === "reasoning") told.parts.push(part.text);
      if (part.toolCallId) {
        told.calls.push([part.toolCallId, part.type.replace("tool-", ""), JSON.stringify(part.input)]);
      }
      if (part.output !== undefined) told.results.push(part.output);
      if (part.type.startsWith("data-")) told.news.push([part.type.slice("data-".length), part.data]);
    }
    const usage = last.metadata?.usage;
    if (usage) told.counts = [usage.inputTokens, usage.outputTokens];
  },

  async "ag-ui"(url, told) {
    const { HttpAgent } = await import("@ag-ui/client");
    const agent = new HttpAgent({ url });
    const subscriber = {
      onEvent({ event }) {
        if (event.type === "TEXT_MESSAGE_CONTENT") told.deltas += 1;
      },
      onCustomEvent({ event }) {
        told.output += event.value.delta;
      },
      onRunFinishedEvent({ event }) {
        told.end = event.metadata?.tokenstream?.finishReason ?? event.outcome?.type;
        const usage = event.usage?.[0];
        if (usage) told.counts = [usage.inputTokens, usage.outputTokens];
      },
      onRunErrorEvent({ event }) {
        told.error = event.message;
      },
    };
    try {
      await agent.runAgent({}, subscriber);
    } finally {
      told.parts = [];
      for (const message of agent.messages) {
        if (message.role === "activity") told.news.push([message.activityType.toLowerCase(), message.content]);
        else if (message.role === "tool") told.results.push(message.content);
        else if (message.role === "reasoning") told.reasoning += message.content;
        else told.text += message.content ?? "";
        if (["reasoning", "assistant"].includes(message.role) && message.content) told.parts.push(message.content);
        for (const call of message.toolCalls ?? [])
          told.calls.push([call.id, call.function.name, call.function.arguments]);
      }
    }
  },
};

async function generate(model, told) {
  const { streamText, tool } = await import("ai");
  const { z } = await import("zod");
  const known = Object.fromEntries(
    Object.keys(tools).map((name) => [name, tool({ inputSchema: z.object({}).passthrough() })]),
  );
  const result = streamText({ model, prompt: "Hi", tools: known, maxRetries: 0, onError() {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") {
      told.deltas += 1;
      told.text += part.text;
    }
    if (part.type === "reasoning-delta") told.reasoning += part.text;
    if (part.type === "tool-call") told.calls.push([part.toolCallId, part.toolName, JSON.stringify(part.input)]);
    if (part.type === "error") told.error = String(part.error.message ?? part.error);
    if (part.type === "finish") {
      told.end = part.finishReason;
      told.counts = [part.totalUsage.inputTokens, part.totalUsage.outputTokens];
    }
  }
}

async function judge(client, body) {
  const bytes = Buffer.from(body, "base64");
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    response.writeHead(200, { "content-type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1" });
    for (let at = 0; at < bytes.length; at += 97) {
      response.write(bytes.subarray(at, at + 97));
      await new Promise(setImmediate);
    }
    response.end();
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const told = heard();
  try {
    await JUDGES[client](`http://127.0.0.1:${server.address().port}`, told);
  } catch (error) {
    told.error ??= String(error.error?.message ?? error.message ?? error);
  }
  server.closeAllConnections();
  server.close();
  return told;
}

let given = "";
for await (const piece of process.stdin) given += piece;
const all = [];
// What clients warn of is no answer.
console.info = console.warn = console.log = console.error = console.debug = () => {};
globalThis.AI_SDK_LOG_WARNINGS = false;
for (const [client, body] of JSON.parse(given)) all.push(await judge(client, body));
process.stdout.write(JSON.stringify(all), () => process.exit(0));
