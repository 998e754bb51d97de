'use client';

import { useChat, type UIMessage } from '@ai-sdk/react';
import { RelayChatTransport } from 'llm-tokenstream/use-chat';
import { useEffect, useRef, useState } from 'react';

const api = 'http://localhost:8000/api/chat';
const style = `
  :root { background: Canvas; color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem; }
  h1, h2 { font-size: 1rem; }
  button, input { font: inherit; }
  p[role=alert] { color: light-dark(#b00, #f99); }
  article { overflow-wrap: anywhere; white-space: pre-wrap; }
`;

const textOf = (parts: UIMessage['parts']) =>
  parts.map(part => (part.type === 'text' ? part.text : '')).join('');

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
  const turns = useRef<HTMLElement>(null);
  const words = busy ? 'writing …' : status === 'ready' ? 'answered' : '';

  /** Do what hides a button; the keyboard goes back to the conversation. */
  const leave = (act: () => unknown) => () => {
    turns.current?.focus({ preventScroll: true });
    act();
  };

  return (
    <>
      <section aria-label="Conversation" ref={turns} tabIndex={-1}>
        {messages.map(({ id, role, parts }, at) => (
          <article key={id} className={role} aria-busy={busy && at === messages.length - 1}>
            {role === 'user' ? <h2>{textOf(parts)}</h2> : <p>{textOf(parts)}</p>}
          </article>
        ))}
      </section>

      {/* A screen reader says what comes here, and not each piece of an answer. */}
      <p role="status">{messages.length > 0 && words}</p>
      <p role="alert">
        {error && <>The answer broke off. <button onClick={leave(regenerate)}>Try again</button></>}
      </p>
      {status === 'streaming' && <button onClick={leave(() => transport.stop(id))}>Stop</button>}

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
      <style>{style}</style>
      <h1>Chat</h1>
      {chat && <Chat {...chat} />}
      <p role="alert">
        {failed && <>The chat could not be loaded. <button onClick={load}>Try again</button></>}
      </p>
    </main>
  );
}
