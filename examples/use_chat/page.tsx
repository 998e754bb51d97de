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

  return (
    <>
      {messages.map(message => (
        <div key={message.id} className={message.role}>
          <b>{message.role}: </b>
          {message.parts.map((part, index) => part.type === 'text' && <span key={index}>{part.text}</span>)}
        </div>
      ))}

      {error && <p>The answer broke off. <button onClick={() => regenerate()}>Try again</button></p>}
      {status === 'streaming' && <button onClick={() => transport.stop(id)}>Stop</button>}

      <form
        data-status={status}
        onSubmit={event => {
          event.preventDefault();
          sendMessage({ text: input });
          setInput('');
        }}
      >
        <input value={input} onChange={event => setInput(event.target.value)} />
      </form>
    </>
  );
}

export default function Page() {
  const [chat, setChat] = useState<{ id: string; history: UIMessage[] }>();

  // The address of the page names the chat.
  useEffect(() => {
    const id = location.hash.slice(1) || crypto.randomUUID();
    location.hash = id;
    fetch(`${api}/${id}`)
      .then(response => response.json())
      .then(history => setChat({ id, history }));
  }, []);

  return chat && <Chat {...chat} />;
}
