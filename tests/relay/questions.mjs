// Asks questions as a page does, a third of them while the server is being restarted: MODULE URL COUNT.
const [, , module, url, count] = process.argv;
const { follow } = await import(module);

const pause = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000));
const ask = number => follow(url, { method: "POST", body: JSON.stringify({ number, count: 20, pause: 0.05 }), attempts: 30, longest: 1 });
const asked = [];
/** Ask a third of the questions, evenly over some seconds. */
const askMore = async seconds => {
  for (let more = 0; more < count / 3; more++) {
    asked.push(ask(asked.length));
    await pause((3 * seconds) / count);
  }
};

await askMore(0.6);
console.log("restart");
await askMore(1);
await askMore(2);
const told = [];
for (const answer of asked) {
  const { text, ending, error } = await answer.done;
  told.push([text, ending, error?.message ?? null, answer.connections]);
}
console.log(JSON.stringify(told));
