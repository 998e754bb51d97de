// Reads answers as clients of others do, from a server.
// Takes [client, address] pairs as lines of JSON on stdin; writes what the client came to as a line for each.

const ASKED = { model: "m", messages: [{ role: "user", content: "Hi" }], max_tokens: 16 };
const tools = Object.fromEntries(["get_weather", "get_time"].map((name) => [name, name]));
const SOUND = "data:audio;base64,";

// What a client came to: the fields of `ClientAnswer` in client_answer.py.
function heard() {
  const said = { text: "", reasoning: "", refusal: "", transcript: "", calls: [], end: null };
  const parts = { ran: [], results: [], citations: [], media: [], proofs: [], choices: {}, order: [], parts: [] };
  return { ...said, ...parts, counts: null, error: null, deltas: 0, news: [], output: "" };
}

function choiceOf(told, index) {
  return index ? (told.choices[index] ??= heard()) : told;
}

function openai(OpenAI, url) {
  return new OpenAI({ baseURL: url, apiKey: "k", maxRetries: 0 });
}

function addChatChunk(told, chunk, sounds) {
  for (const { index, delta } of chunk.choices) {
    const one = choiceOf(told, index);
    if (delta.content) one.deltas += 1;
    one.text += delta.content ?? "";
    one.reasoning += delta.reasoning_content ?? "";
    for (const { url_citation } of delta.annotations ?? []) one.citations.push([url_citation.url, url_citation.title]);
    for (const { image_url } of delta.images ?? []) one.media.push(image_url.url);
    one.transcript += delta.audio?.transcript ?? "";
    if (delta.audio?.data) addSound(one.media, sounds, delta.audio);
  }
}

// A sound comes in pieces, each base64 of its own; `sounds` has the place of each in `media`.
function addSound(media, sounds, { id, data }) {
  if (!sounds.has(id)) sounds.set(id, media.push(SOUND) - 1);
  const at = sounds.get(id);
  const bytes = [media[at].slice(SOUND.length), data].map((piece) => Buffer.from(piece, "base64"));
  media[at] = SOUND + Buffer.concat(bytes).toString("base64");
}

const JUDGES = {
  async "openai chat"(url, told) {
    const { default: OpenAI } = await import("openai");
    const options = { ...ASKED, stream: true, stream_options: { include_usage: true } };
    const stream = openai(OpenAI, url).chat.completions.stream(options);
    const sounds = new Map();
    for await (const chunk of stream) addChatChunk(told, chunk, sounds);
    const { choices, usage } = await stream.finalChatCompletion();
    for (const { index, finish_reason, message } of choices) {
      const one = choiceOf(told, index);
      one.end = finish_reason;
      if ((message.content ?? "") !== one.text) throw new Error("not what the deltas say");
      one.refusal = message.refusal ?? "";
      for (const call of message.tool_calls ?? []) {
        const { name, arguments: given, input } = call.function ?? call.custom;
        one.calls.push([call.id, name, given ?? input]);
      }
    }
    if (usage)
      told.counts = {
        input_tokens: usage.prompt_tokens,
        output_tokens: usage.completion_tokens,
        total_tokens: usage.total_tokens,
        cached_tokens: usage.prompt_tokens_details?.cached_tokens,
        reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens,
      };
  },

  async "openai responses"(url, told) {
    const { default: OpenAI } = await import("openai");
    const stream = openai(OpenAI, url).responses.stream({ model: "m", input: "Hi" });
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") {
        told.deltas += 1;
        told.text += event.delta;
      }
      if (/^response\.reasoning_(summary_)?text\.delta$/.test(event.type)) told.reasoning += event.delta;
      if (event.type === "error") throw new Error(event.message);
      if (event.type === "response.failed") throw new Error(event.response.error.message);
    }
    const response = await stream.finalResponse();
    told.end = response.incomplete_details?.reason ?? response.status;
    for (const item of response.output) addItem(told, item);
    const { usage } = response;
    if (usage)
      told.counts = {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        cached_tokens: usage.input_tokens_details.cached_tokens,
        cache_write_tokens: usage.input_tokens_details.cache_write_tokens,
        reasoning_tokens: usage.output_tokens_details.reasoning_tokens,
      };
  },

  async anthropic(url, told) {
    const { default: Anthropic } = await import("@anthropic-ai/sdk");
    const stream = new Anthropic({ baseURL: url, apiKey: "k", maxRetries: 0 }).messages.stream(ASKED);
    stream.on("text", (text) => {
      told.deltas += 1;
      told.text += text;
    });
    const message = await stream.finalMessage();
    for (const block of message.content) addBlock(told, block);
    told.end = message.stop_reason;
    told.counts = {
      input_tokens: message.usage.input_tokens,
      output_tokens: message.usage.output_tokens,
      cached_tokens: message.usage.cache_read_input_tokens,
      cache_write_tokens: message.usage.cache_creation_input_tokens,
      reasoning_tokens: message.usage.output_tokens_details?.thinking_tokens,
    };
  },

  async gemini(url, told) {
    const { GoogleGenAI } = await import("@google/genai");
    const client = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: url } });
    for await (const chunk of await client.models.generateContentStream({ model: "m", contents: "Hi" })) {
      for (const candidate of chunk.candidates ?? []) addCandidate(choiceOf(told, candidate.index), candidate);
      const usage = chunk.usageMetadata;
      if (usage)
        told.counts = {
          input_tokens: usage.promptTokenCount,
          total_tokens: usage.totalTokenCount,
          cached_tokens: usage.cachedContentTokenCount,
          reasoning_tokens: usage.thoughtsTokenCount,
          output_tokens: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
        };
    }
  },

  async ollama(url, told) {
    const { Ollama } = await import("ollama");
    for await (const line of await new Ollama({ host: url }).chat({ ...ASKED, stream: true })) {
      if (line.message.content) told.deltas += 1;
      told.text += line.message.content;
      told.reasoning += line.message.thinking ?? "";
      for (const { function: called } of line.message.tool_calls ?? [])
        told.calls.push(["", called.name, JSON.stringify(called.arguments)]);
      if (!line.done) continue;
      told.end = line.done_reason;
      told.counts = { input_tokens: line.prompt_eval_count, output_tokens: line.eval_count };
    }
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
          if (chunk.type === "abort") told.end = chunk.type;
          if (chunk.type === "text-delta") told.deltas += 1;
          if (chunk.type === "data-output") told.output += chunk.data.delta;
          controller.enqueue(chunk);
        },
      }),
    );
    let last = { parts: [] };
    const onError = (error) => (told.error = String(error.message ?? error));
    for await (const message of readUIMessageStream({ stream: watched, onError })) last = message;
    for (const part of last.parts) addUIPart(told, part);
    const usage = last.metadata?.usage;
    if (usage)
      told.counts = {
        input_tokens: usage.inputTokens,
        output_tokens: usage.outputTokens,
        total_tokens: usage.totalTokens,
        reasoning_tokens: usage.reasoningTokens,
        cached_tokens: usage.cachedInputTokens,
        cache_write_tokens: usage.inputTokenDetails?.cacheWriteTokens,
      };
  },

  async "ag-ui"(url, told) {
    const { HttpAgent } = await import("@ag-ui/client");
    const agent = new HttpAgent({ url });
    const ranByProvider = new Set();
    const subscriber = {
      onEvent({ event }) {
        if (event.type === "TEXT_MESSAGE_CONTENT") told.deltas += 1;
      },
      onToolCallStartEvent({ event }) {
        if (event.metadata?.tokenstream?.providerExecuted) ranByProvider.add(event.toolCallId);
      },
      onCustomEvent({ event }) {
        told.output += event.value.delta;
      },
      onRunFinishedEvent({ event }) {
        const more = event.metadata?.tokenstream;
        told.end = more?.finishReason ?? event.outcome?.type;
        const usage = event.usage?.[0];
        if (usage || more?.usage)
          told.counts = {
            input_tokens: usage?.inputTokens,
            output_tokens: usage?.outputTokens,
            total_tokens: usage?.totalTokens,
            reasoning_tokens: usage?.reasoningTokens,
            cached_tokens: usage?.cachedInputTokens,
            cache_write_tokens: usage?.cacheWriteInputTokens,
            ...more?.usage,
          };
      },
      onRunErrorEvent({ event }) {
        told.error = event.message;
      },
    };
    try {
      await agent.runAgent({}, subscriber);
    } finally {
      for (const message of agent.messages) addUIMessage(told, message, ranByProvider);
    }
  },
};

function addBlock(told, block) {
  const { type } = block;
  if (type === "thinking") told.reasoning += block.thinking;
  if (type === "thinking" || type === "redacted_thinking") told.proofs.push(block.signature ?? block.data);
  const called = [block.id, block.name, JSON.stringify(block.input)];
  if (type === "tool_use") told.calls.push(called);
  else if (type.endsWith("_tool_use")) told.ran.push(called);
  if (type.endsWith("_tool_result")) told.results.push([block.tool_use_id, block.content]);
  for (const cited of block.citations ?? []) told.citations.push([cited.url, cited.title ?? cited.document_title]);
  if (block.text) told.order.push("text");
  if (block.thinking) told.order.push("reasoning");
  if (type.endsWith("tool_use")) told.order.push(type === "tool_use" ? "call" : "ran");
}

function addItem(told, item) {
  const { type } = item;
  if (type === "message") for (const part of item.content) addContent(told, part);
  if (type === "reasoning") {
    if (item.summary.length || item.content?.length) told.order.push("reasoning");
    told.proofs.push(item.encrypted_content);
  } else if (type === "function_call" || type === "custom_tool_call") {
    told.order.push("call");
    told.calls.push([item.call_id, item.name, item.arguments ?? item.input]);
  } else if (type === "image_generation_call") told.media.push(`data:image;base64,${item.result}`);
  else if (type.endsWith("_call_output")) told.results.push([item.call_id, item.output]);
  else if (type.endsWith("_call")) {
    told.order.push("ran");
    told.ran.push([item.id, item.name ?? type, item.arguments ?? item.code ?? item.action ?? item.queries]);
    const output = item.output ?? item.error ?? item.results ?? item.outputs;
    if (output) told.results.push([item.id, output]);
  }
}

function addContent(told, part) {
  if (part.text) told.order.push("text");
  told.refusal += part.refusal ?? "";
  for (const cited of part.annotations ?? [])
    if (cited.type === "url_citation") told.citations.push([cited.url, cited.title]);
}

function addCandidate(told, { content, finishReason, groundingMetadata }) {
  for (const part of content?.parts ?? []) addPart(told, part);
  told.end = finishReason ?? told.end;
  for (const { web, retrievedContext } of groundingMetadata?.groundingChunks ?? []) {
    const { uri, title } = web ?? retrievedContext;
    told.citations.push([uri, title]);
  }
}

function addPart(told, part) {
  const { functionCall, toolCall, executableCode, toolResponse, codeExecutionResult, inlineData, fileData } = part;
  if (part.thoughtSignature) told.proofs.push(part.thoughtSignature);
  if (functionCall) {
    told.order.push("call");
    told.calls.push([functionCall.id, functionCall.name, JSON.stringify(functionCall.args ?? {})]);
  } else if (toolCall) {
    told.order.push("ran");
    told.ran.push([toolCall.id, toolCall.toolType, toolCall.args]);
  } else if (executableCode) {
    told.order.push("ran");
    told.ran.push([executableCode.id, null, executableCode]);
  } else if (toolResponse) told.results.push([toolResponse.id, toolResponse.response]);
  else if (codeExecutionResult) told.results.push([codeExecutionResult.id, codeExecutionResult]);
  else if (inlineData) told.media.push(`data:${inlineData.mimeType};base64,${inlineData.data}`);
  else if (fileData) told.media.push(fileData.fileUri);
  else if (part.text) {
    told.order.push(part.thought ? "reasoning" : "text");
    told[part.thought ? "reasoning" : "text"] += part.text;
  }
}

function addUIPart(told, part) {
  const { type, toolCallId } = part;
  if (type === "text" || type === "reasoning") {
    told[type] += part.text;
    told.parts.push(part.text);
    if (part.text) told.order.push(type);
    const { signature, redactedData } = part.providerMetadata?.anthropic ?? {};
    told.proofs.push(signature, redactedData);
  }
  if (type === "source-url") told.citations.push([part.url, part.title]);
  if (type === "file") told.media.push(part.url);
  if (type.startsWith("data-")) told.news.push([type.slice("data-".length), part.data]);
  if (!toolCallId) return;
  const call = [toolCallId, part.toolName ?? type.replace("tool-", ""), JSON.stringify(part.input ?? part.rawInput)];
  told.order.push(part.providerExecuted ? "ran" : "call");
  (part.providerExecuted ? told.ran : told.calls).push(call);
  const given = part.output ?? part.errorText;
  if (given !== undefined) told.results.push([toolCallId, given]);
}

function addUIMessage(told, message, ranByProvider) {
  const { role, content } = message;
  if (role === "activity") told.news.push([message.activityType.toLowerCase(), content]);
  else if (role === "tool") told.results.push([message.toolCallId, content]);
  else told[role === "reasoning" ? "reasoning" : "text"] += content ?? "";
  if (role === "reasoning") told.proofs.push(message.encryptedValue);
  if (["reasoning", "assistant"].includes(role) && content) {
    told.parts.push(content);
    told.order.push(role === "reasoning" ? role : "text");
  }
  for (const call of message.toolCalls ?? []) {
    const kind = ranByProvider.has(call.id) ? "ran" : "call";
    told.order.push(kind);
    told[kind === "ran" ? kind : "calls"].push([call.id, call.function.name, call.function.arguments]);
  }
}

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
      told.counts = { input_tokens: part.totalUsage.inputTokens, output_tokens: part.totalUsage.outputTokens };
    }
  }
}

async function judge(client, url) {
  const told = heard();
  try {
    await JUDGES[client](url, told);
  } catch (error) {
    told.error ??= String(error.error?.message ?? error.message ?? error);
  }
  return told;
}

let given = "";
for await (const piece of process.stdin) given += piece;
// What clients warn of is no answer.
console.info = console.warn = console.log = console.error = console.debug = () => {};
globalThis.AI_SDK_LOG_WARNINGS = false;
for (const asked of given.trim().split("\n")) {
  const told = await judge(...JSON.parse(asked));
  // What a client has no value for must not look as if it had no field for it.
  const line = JSON.stringify(told, (_, value) => value ?? null);
  await new Promise((written) => process.stdout.write(`${line}\n`, written));
}
process.exit(0);
