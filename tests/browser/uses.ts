// What an editor knows of the reader: checked by TypeScript, never run.
import { applyPatch, follow, Message, type Answer, type AnswerEvent, type Ending, type Failure } from "llm-tokenstream";
import { answerStore } from "llm-tokenstream/store";
import { followSocket } from "llm-tokenstream/websocket";

const answer: Answer = follow("/answer", { method: "POST", body: "{}", stop: "/stop", fresh: true, signal: AbortSignal.timeout(9) });
const again: Answer = follow(new URL("https://example.com"), {
  headers: async () => ({ Authorization: "Bearer t" }),
  credentials: "include",
  fetch: (url, init) => fetch(url, init),
  onEvent: ({ type, position }) => console.log(type, position),
  keep: 100,
});
const leave: () => void = answer.subscribe(() => leave());
const message: Message = answer.message;
const text: string = message.text + message.reasoning + message.refusal;
const ending: Ending = (await answer.done).ending;
const failure: Failure | null = message.error;
for await (const event of again) {
  const given: AnswerEvent = event;
  const replayed: boolean = given.replayed;
  const position: number | null = given.position;
  if (!replayed && given.type === "tool_call_done") console.log(given.call.name, position, text, ending, failure);
}
for (const call of message.toolCalls) console.log(call.name, call.arguments_text, call.complete, call.result?.error ?? call.result?.output);
for (const { id, request, step } of answer.waiting) console.log(id, request, answer.steps.get(step)?.cause?.name);
console.log(applyPatch({}, [{ op: "append", path: "/a", value: "b" }]), await answer.stop());
const store = answerStore(() => follow("/answer"));
const shown: string = store.getSnapshot().text;
for (const { output, requests } of store.getSnapshot().steps) console.log(output, requests.every(({ answered }) => answered));
const stopped: Promise<any> | undefined = store.answer?.stop();
const spoken: Answer = followSocket(new WebSocket("/socket"), { ask: { question: shown }, silence: 60 });
// @ts-expect-error an option that there is not
follow("/answer", { retries: 3 });
// @ts-expect-error a message has no such ending
const wrong: Ending = "over";
// @ts-expect-error a snapshot never changes
store.getSnapshot().parts.push(...spoken.message.parts);
