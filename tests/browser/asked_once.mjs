// Asks one question for each case, and tells what was sent, and how the page was told: MODULE URL.
const [, , module, base] = process.argv;
const { follow } = await import(module);

for (const [way, cause] of JSON.parse(await (await fetch(`${base}cases`)).text())) {
  const seen = [];
  const lost = cause.startsWith("lost") ? Number(cause.slice(5)) : null;
  const asking = async (url, init) => {
    seen.push(init.method);
    if (lost === null || seen.length > 1) return fetch(url, init);
    // The model is asked, but for a proxy that has found no server; the page gets nothing of it.
    if (lost !== 503) await (await fetch(url, init)).text();
    if (lost === 0) throw new TypeError("fetch failed");
    return new Response("<h1>Sorry</h1>", { status: lost });
  };
  await fetch(`${base}cause/${lost === null ? cause : "none"}`);
  const answer = follow(`${base}${way}`, { method: "POST", body: "{}", fetch: asking, attempts: 2, wait: 0.001 });
  answer.subscribe(() => answer.state === "waiting" && seen.push("wait"));
  const { ending } = await answer.done;
  console.log(JSON.stringify([way, cause, Number(await (await fetch(`${base}asked`)).text()), seen.join(" "), ending]));
}
