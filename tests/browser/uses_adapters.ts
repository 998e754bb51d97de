// What an editor knows of the adapters, beside the packages that they are for: checked by TypeScript, never run.
import { HttpAgent } from "@ag-ui/client";
import { useChat } from "@ai-sdk/react";
import type { ChatTransport, UIMessage } from "ai";
import { relayAgent } from "llm-tokenstream/ag-ui";
import { answerStore } from "llm-tokenstream/store";
import { follow } from "llm-tokenstream";
import { RelayChatTransport } from "llm-tokenstream/use-chat";
import { useMemo, useSyncExternalStore } from "react";

const Agent = relayAgent(HttpAgent, { attempts: 3 });
const agent: HttpAgent = new Agent({ url: "/agent", threadId: "t", headers: { Authorization: "Bearer t" } });
const stopped: Promise<any> = new Agent({ url: "/agent" }).stopRun();
const transport: ChatTransport<UIMessage> = new RelayChatTransport({
  api: "/chat",
  headers: async () => ({ Authorization: "Bearer t" }),
  attempts: 3,
  prepareSendMessagesRequest: ({ id }) => ({ body: { id } }),
});
const chat = useChat({ transport: new RelayChatTransport(), resume: true });
const store = useMemo(() => answerStore(() => follow("/answer")), []);
const text: string = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot).text;
console.log(agent.messages, stopped, transport, chat.messages, text);
// @ts-expect-error an option that there is not
new RelayChatTransport({ retries: 3 });
// @ts-expect-error an agent's address is text
new Agent({ url: 3 });
