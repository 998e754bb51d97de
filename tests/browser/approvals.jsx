// A page that asks its user for the approval of a call: with `useChat` of React, or with AG-UI's agent.
import { HttpAgent } from "@ag-ui/client";
import { useChat } from "@ai-sdk/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { relayAgent } from "../../tokenstream/relay/browser/ag-ui.js";
import { RelayChatTransport } from "../../tokenstream/relay/browser/use-chat.js";

const decide = (id, approved) => fetch(`/requests/${id}`, { method: "POST", body: JSON.stringify({ approved }) });

function Page({ ask, request, result, text }) {
  return (
    <>
      <button onClick={ask}>Ask</button>
      {request && <button onClick={() => request.decide(true)}>Approve {request.title}</button>}
      {request && <button onClick={() => request.decide(false)}>Deny {request.title}</button>}
      <output>{result}</output>
      <p>{text}</p>
    </>
  );
}

const transport = new RelayChatTransport({ api: "/api/chat" });

function WithUseChat() {
  const { messages, sendMessage, addToolApprovalResponse } = useChat({ transport });
  const parts = messages.at(-1)?.parts ?? [];
  const call = parts.find(({ type }) => type === "tool-delete_note");
  const answer = approved => {
    addToolApprovalResponse({ id: call.approval.id, approved });
    decide(call.approval.id, approved);
  };
  const request = call?.state === "approval-requested" && { title: call.input.title, decide: answer };
  const text = parts.findLast(({ type }) => type === "text")?.text;
  return <Page ask={() => sendMessage({ text: "Delete" })} request={request} result={call?.output ?? call?.errorText} text={text} />;
}

const agent = new (relayAgent(HttpAgent))({ url: "/api/agent" });

function WithAgent() {
  const [messages, show] = useState([]);
  const ask = () => {
    agent.subscribe({ onMessagesChanged: given => show([...given.messages]) });
    agent.addMessage({ id: "1", role: "user", content: "Delete" });
    agent.runAgent();
  };
  const { id, answered, request } = messages.find(({ activityType }) => activityType === "WAITING")?.content ?? { answered: true };
  const waiting = !answered && { title: request.arguments.title, decide: approved => decide(id, approved) };
  const result = messages.find(({ role }) => role === "tool")?.content;
  return <Page ask={ask} request={waiting} result={result} text={messages.findLast(({ role }) => role === "assistant")?.content} />;
}

createRoot(document.getElementById("root")).render(location.search === "?ag-ui" ? <WithAgent /> : <WithUseChat />);
