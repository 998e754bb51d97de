// What an editor knows of the reader: checked by TypeScript, never run.
import { applyPatch, follow, Message, type Answer, type AnswerEvent, type Ending, type Failure } from "../../examples/chat/tokenstream.js";

const answer: Answer = follow("/answer", { method: "POST", body: "{}", stop: "/stop", fresh: true });
const again: Answer = follow(new URL("https://example.com"), { authorize: async () => ({ Authorization: "Bearer t" }) });
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
for (const call of message.toolCalls) console.log(call.name, call.arguments_text, call.complete);
console.log(applyPatch({}, [{ op: "append", path: "/a", value: "b" }]), await answer.stop());
// @ts-expect-error an option that there is not
follow("/answer", { retries: 3 });
// @ts-expect-error the connection's signal is the follower's own
follow("/answer", { signal: new AbortController().signal });
// @ts-expect-error a message has no such ending
const wrong: Ending = "over";
