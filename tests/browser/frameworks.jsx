// Pages of React in a real browser, bundled by esbuild: an answer in a store, and a chat of the AI SDK.
import { useChat } from "@ai-sdk/react";
import { StrictMode, useMemo, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { answerStore } from "llm-tokenstream/store";
import { RelayChatTransport } from "llm-tokenstream/use-chat";
import { follow } from "llm-tokenstream";

function Stored({ url }) {
  const store = useMemo(() => answerStore(() => follow(url)), [url]);
  const { text, toolCalls, ending } = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  return (
    <article data-state={ending}>
      <p className="text">{text}</p>
      {toolCalls.map(call => <code key={call.id}>{call.arguments_text}</code>)}
    </article>
  );
}

const transport = new RelayChatTransport({ api: "/chat" });

function Chat({ id }) {
  const [kept] = useState(() => JSON.parse(sessionStorage.getItem(id) ?? "[]"));
  const { messages, sendMessage, status } = useChat({ id, transport, messages: kept, resume: kept.length > 0 });
  sessionStorage.setItem(id, JSON.stringify(messages.filter(({ role }) => role === "user")));
  const said = messages.filter(({ role }) => role === "assistant").flatMap(({ parts }) => parts);
  return (
    <article data-state={status}>
      <button className="ask" onClick={() => sendMessage({ text: "slowly" })}>Ask</button>
      <button className="stop" onClick={() => transport.stop(id)}>Stop</button>
      <p className="text">{said.map(part => (part.type === "text" ? part.text : "")).join("")}</p>
      {said.map((part, at) => part.input && <code key={at}>{JSON.stringify(part.input)}</code>)}
    </article>
  );
}

const { kind, value } = Object.fromEntries(new URLSearchParams(location.search));
const shown = kind === "store" ? <Stored url={value} /> : <Chat id={value} />;
createRoot(document.getElementById("root")).render(<StrictMode>{shown}</StrictMode>);
