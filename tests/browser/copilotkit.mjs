// Asks a relay as CopilotKit's client does, and writes what a user saw after each question as JSON.
// Takes the address of the relay's agent and the questions as JSON.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.TOKENSTREAM_NODE, "package.json"));
const core = require.resolve("@copilotkit/core");
const { CopilotKitCore } = require(core);
const { z } = require("zod");
// CopilotKit brings a version of AG-UI's client of its own.
const { HttpAgent } = createRequire(core)("@ag-ui/client");

const [url, questions] = process.argv.slice(-2);
const told = [];
for (const question of JSON.parse(questions)) {
  const errors = [], shown = [], ran = [];
  // A tool of the page that asks its user.
  const approve = {
    name: "approve",
    type: "human-in-the-loop",
    parameters: z.object({ command: z.string() }),
    handler: async ({ command }) => (ran.push(command), { approved: true }),
  };
  // A tool of the page with the name of one that the server runs itself.
  const shell = { name: "shell", parameters: z.object({}), handler: async () => ran.push("shell") };
  const agent = new HttpAgent({ url, agentId: "relay", threadId: question });
  const kit = new CopilotKitCore({ agents__unsafe_dev_only: { relay: agent }, tools: [approve, shell] });
  kit.subscribe({ onError: ({ error, code }) => errors.push([code, error.message]) });
  agent.addMessage({ id: "1", role: "user", content: question });
  const see = ({ messages }) => {
    const text = messages.filter(({ role }) => role === "assistant").map(({ content }) => content ?? "").join("");
    if (text && text !== shown.at(-1)) shown.push(text);
  };
  agent.subscribe({ onMessagesChanged: see });
  await kit.runAgent({ agent });
  told.push({ shown, errors, ran, messages: agent.messages.slice(1), running: agent.isRunning });
}
process.stdout.write(JSON.stringify(told));
