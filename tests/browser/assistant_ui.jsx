// A chat of assistant-ui, as its documents show it, with nothing but plain elements.
import {
  AssistantRuntimeProvider, ComposerPrimitive, ErrorPrimitive, MessagePrimitive, ThreadPrimitive, useAssistantTool,
} from "@assistant-ui/react";
import { AssistantChatTransport, useChatRuntime } from "@assistant-ui/react-ai-sdk";
import { createRoot } from "react-dom/client";
import { lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { z } from "zod";
import { RelayChatTransport } from "../../tokenstream/relay/browser/use-chat.js";

const asked = new URLSearchParams(location.search);

function Part({ part }) {
  if (part.type === "text") return <p className="text">{part.text}</p>;
  if (part.type === "reasoning") return <em>{part.text}</em>;
  if (part.type === "data") return <code className={part.name}>{JSON.stringify(part.data)}</code>;
  if (part.type !== "tool-call") return <b>{part.type}</b>;
  if (part.toolUI) return part.toolUI;
  return (
    <fieldset className={part.toolName} data-state={part.status.type}>
      <legend>{part.argsText}</legend>
      {part.result !== undefined && <output>{JSON.stringify(part.result)}</output>}
    </fieldset>
  );
}

function Message() {
  return (
    <MessagePrimitive.Root render={<article />}>
      <MessagePrimitive.Parts>{({ part }) => <Part part={part} />}</MessagePrimitive.Parts>
      <MessagePrimitive.Error>
        <ErrorPrimitive.Root><ErrorPrimitive.Message /></ErrorPrimitive.Root>
      </MessagePrimitive.Error>
    </MessagePrimitive.Root>
  );
}

function Approve() {
  useAssistantTool({
    toolName: "approve",
    type: "human",
    parameters: z.object({ command: z.string() }),
    render: ({ args, result, addResult }) =>
      result === undefined
        ? <button className="allow" onClick={() => addResult({ approved: true })}>Run {args.command}?</button>
        : <output className="answered">{JSON.stringify(result)}</output>,
  });
  return null;
}

function Chat() {
  const runtime = useChatRuntime({
    transport: new (asked.has("relay") ? RelayChatTransport : AssistantChatTransport)({ api: "/relay/ui-message" }),
    // A page that runs tools itself sends their results, and a page that only shows those of the server does not.
    sendAutomaticallyWhen: asked.has("tools") ? lastAssistantMessageIsCompleteWithToolCalls : undefined,
  });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Approve />
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages components={{ Message }} />
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Input />
          <ThreadPrimitive.If running={false}><ComposerPrimitive.Send>Ask</ComposerPrimitive.Send></ThreadPrimitive.If>
          <ThreadPrimitive.If running><ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel></ThreadPrimitive.If>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}

createRoot(document.getElementById("root")).render(<Chat />);
