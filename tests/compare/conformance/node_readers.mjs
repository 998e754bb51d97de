// Reads bodies with packages of npm, as their documents show.
// Takes jobs as JSON on stdin, writes what came of each as JSON to stdout.

const chunksOf = ({ body, cuts = [] }) => {
  const bytes = Buffer.from(body, "base64");
  const places = [0, ...cuts, bytes.length];
  return places.slice(1).map((stop, at) => new Uint8Array(bytes.subarray(places[at], stop)));
};

const streamOf = (chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

// What is given only where it is set goes on, as the standard has it.
async function events({ EventSourceParserStream }, job) {
  const stream = streamOf(chunksOf(job))
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  const told = [];
  let id = "";
  for await (const event of stream) {
    id = event.id ?? id;
    told.push([event.event || "message", event.data, id]);
  }
  return told;
}

function modelOf(packages, job) {
  const fetch = async () =>
    new Response(streamOf(chunksOf(job)), { headers: { "content-type": "text/event-stream" } });
  if (job.format === "anthropic") {
    return packages.createAnthropic({ apiKey: "k", baseURL: "http://sdk.test/v1", fetch })("claude-sonnet-4-6");
  }
  const options = { name: "compatible", apiKey: "k", baseURL: "http://sdk.test/v1", fetch, includeUsage: true };
  return packages.createOpenAICompatible(options)("m");
}

function toolsOf({ tool, z }) {
  return {
    rm: tool({ inputSchema: z.object({ path: z.string(), force: z.boolean() }) }),
    weather: tool({ inputSchema: z.object({ city: z.string() }) }),
  };
}

const takes = {
  "text-delta": (answer, part) => (answer.text += part.text),
  "reasoning-delta": (answer, part) => (answer.reasoning += part.text),
  "tool-call": (answer, part) =>
    answer.calls.push({ name: part.toolName, arguments: part.input, id: part.toolCallId, valid: !part.invalid }),
  error: (answer, part) => (answer.error ??= part.error?.name ?? "Error"),
  finish: (answer, part) => {
    answer.finish = part.finishReason;
    answer.usage = [part.totalUsage.inputTokens ?? null, part.totalUsage.outputTokens ?? null];
  },
};

async function answer(packages, job) {
  const told = { text: "", reasoning: "", calls: [], role: null, finish: null, usage: null, error: null };
  try {
    const result = packages.streamText({
      model: modelOf(packages, job),
      prompt: "Weather?",
      tools: toolsOf(packages),
      maxRetries: 0,
      onError: () => {},
    });
    for await (const part of result.stream) takes[part.type]?.(told, part);
  } catch (error) {
    told.error ??= error?.name ?? "Error";
  }
  return told;
}

const imports = {
  events: ["eventsource-parser/stream"],
  answers: ["ai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic", "zod"],
};
const one = { events, answers: answer };

let input = "";
for await (const piece of process.stdin) input += piece;
const { task, jobs } = JSON.parse(input);
// Warnings of the packages are not what was asked for.
globalThis.AI_SDK_LOG_WARNINGS = false;
const packages = Object.assign({}, ...(await Promise.all(imports[task].map((name) => import(name)))));
const results = [];
for (const job of jobs) {
  try {
    results.push(await one[task](packages, job));
  } catch (error) {
    results.push(error?.name ?? "Error");
  }
}
process.stdout.write(JSON.stringify(results));
