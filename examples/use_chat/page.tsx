'use client';

import { useChat, type UIMessage } from '@ai-sdk/react';
import { RelayChatTransport } from 'llm-tokenstream/use-chat';
import { useEffect, useState } from 'react';

const api = 'http://localhost:8000/api/chat';
const transport = new RelayChatTransport({ api });

function Chat({ id, history }: { id: string; history: UIMessage[] }) {
  const [input, setInput] = useState('');
  const { messages, sendMessage, regenerate, status, error } = useChat({
    id,
    messages: history,
    transport,
    resume: true,
    throttle: 50,
  });
  const busy = status === 'submitted' || status === 'streaming';
  const words = busy ? 'writing …' : status === 'ready' ? 'answered' : '';

  return (
    <>
      {messages.map((message, at) => (
        <article key={message.id} className={message.role} aria-busy={busy && at === messages.length - 1}>
          <b>{message.role}: </b>
          {message.parts.map((part, index) => part.type === 'text' && <span key={index}>{part.text}</span>)}
        </article>
      ))}

      {/* A screen reader says what comes here, and not each piece of an answer. */}
      <p role="status">{messages.length > 0 && words}</p>
      <p role="alert">
        {error && <>The answer broke off. <button onClick={() => regenerate()}>Try again</button></>}
      </p>
      {status === 'streaming' && <button onClick={() => transport.stop(id)}>Stop</button>}

      <form
        data-status={status}
        onSubmit={event => {
          event.preventDefault();
          sendMessage({ text: input });
          setInput('');
        }}
      >
        <input aria-label="Question" required value={input} onChange={event => setInput(event.target.value)} />
        <button>Ask</button>
      </form>
    </>
  );
}

export default function Page() {
  const [chat, setChat] = useState<{ id: string; history: UIMessage[] }>();
  const [failed, setFailed] = useState(false);

  async function load() {
    setFailed(false);
    // The address of the page names the chat. What this page has not made may be a path, and is no id.
    const id = /^#([\w-]+)$/.exec(location.hash)?.[1] ?? crypto.randomUUID();
    location.hash = id;
    try {
      const response = await fetch(`${api}/${id}`);
      if (!response.ok) throw new Error(`status ${response.status}`);
      setChat({ id, history: await response.json() });
    } catch {
      setFailed(true);
    }
  }
  useEffect(() => void load(), []);

  return (
    <main>
      <style>{':root { color-scheme: light dark; background: Canvas } button, input { font: inherit; padding: 0.2em 0.8em }'}</style>
      <h1>Chat</h1>
      {chat && <Chat {...chat} />}
      <p role="alert">
        {failed && <>The chat could not be loaded. <button onClick={load}>Try again</button></>}
      </p>
    </main>
  );
}
