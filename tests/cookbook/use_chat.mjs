// Does what useChat of @ai-sdk/react does, without React: its chat, with a state of plain values.
// Takes the folder of the browser's reader, the URL of the backend, and actions as JSON; writes what a user saw
// after each as JSON.

const { AbstractChat } = await import("ai");
const [reader, api, actions] = process.argv.slice(-3);
const { RelayChatTransport } = await import(`${reader}/use-chat.js`);
const transport = new RelayChatTransport({ api });

class Chat extends AbstractChat {
  constructor(seen) {
    const state = {
      status: "ready",
      error: undefined,
      messages: [],
      pushMessage: (message) => state.messages.push(message),
      popMessage: () => state.messages.pop(),
      replaceMessage: (index, message) => {
        state.messages[index] = message;
        seen(message);
      },
      snapshot: (value) => structuredClone(value),
    };
    super({ state, transport });
  }
}

const textOf = (message) => message.parts.map((part) => part.text ?? "").join("");
let shown = [];
let stopAt = null;
const chat = new Chat((message) => {
  if (textOf(message) !== shown.at(-1)) shown.push(textOf(message));
  if (stopAt && textOf(message).startsWith(stopAt)) transport.stop(chat.id);
});
const told = [];
for (const { text, stop, regenerate } of JSON.parse(actions)) {
  shown = [];
  stopAt = stop ?? null;
  await (regenerate ? chat.regenerate() : chat.sendMessage({ text }));
  told.push({
    shown,
    status: chat.status,
    error: chat.error?.message ?? null,
    messages: chat.messages.map((message) => [message.role, textOf(message)]),
  });
}
process.stdout.write(JSON.stringify(told));
