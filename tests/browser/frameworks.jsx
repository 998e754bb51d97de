// Pages of React in a real browser, bundled by esbuild with the hooks of docs/browser.md.
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useAnswer } from "./useAnswer.js";
import { useRelayChat } from "./useRelayChat.js";

function Stored({ url }) {
  const { text, toolCalls, ending } = useAnswer(url);
  return (
    <article data-state={ending}>
      <p className="text">{text}</p>
      {toolCalls.map(call => <code key={call.id}>{call.arguments_text}</code>)}
    </article>
  );
}

function Chat({ id }) {
  const [kept] = useState(() => JSON.parse(sessionStorage.getItem(id) ?? "[]"));
  const { messages, sendMessage, status, stop } = useRelayChat(id, kept);
  sessionStorage.setItem(id, JSON.stringify(messages.filter(({ role }) => role === "user")));
  const said = messages.filter(({ role }) => role === "assistant").flatMap(({ parts }) => parts);
  return (
    <article data-state={status}>
      <button className="ask" onClick={() => sendMessage({ text: "slowly" })}>Ask</button>
      <button className="stop" onClick={stop}>Stop</button>
      <p className="text">{said.map(part => (part.type === "text" ? part.text : "")).join("")}</p>
      {said.map((part, at) => part.input && <code key={at}>{JSON.stringify(part.input)}</code>)}
    </article>
  );
}

const { kind, value } = Object.fromEntries(new URLSearchParams(location.search));
const shown = kind === "store" ? <Stored url={value} /> : <Chat id={value} />;
createRoot(document.getElementById("root")).render(<StrictMode>{shown}</StrictMode>);
