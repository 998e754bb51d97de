// Reads bodies of UI message streams as the chat of the AI SDK does: by its transport and its accumulator.
// Takes bodies in base64 as JSON on stdin, writes what came of each as JSON to stdout.

const { DefaultChatTransport, readUIMessageStream } = await import("ai");

async function tell(body) {
  const fetch = async () =>
    new Response(Buffer.from(body, "base64"), {
      headers: { "content-type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1" },
    });
  const transport = new DefaultChatTransport({ api: "http://sdk.test/api/chat", fetch });
  const chunks = await transport.sendMessages({
    trigger: "submit-message",
    chatId: "c",
    messageId: undefined,
    messages: [],
    abortSignal: undefined,
  });
  const told = { message: { parts: [] }, finish: null, errors: [] };
  const watched = chunks.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        if (chunk.type === "finish") told.finish = chunk.finishReason;
        if (chunk.type === "abort") told.finish = chunk.type;
        controller.enqueue(chunk);
      },
    }),
  );
  const onError = (error) => told.errors.push(String(error));
  for await (const message of readUIMessageStream({ stream: watched, onError })) told.message = message;
  return told;
}

let given = "";
for await (const piece of process.stdin) given += piece;
const told = [];
for (const body of JSON.parse(given)) told.push(await tell(body));
process.stdout.write(JSON.stringify(told));
