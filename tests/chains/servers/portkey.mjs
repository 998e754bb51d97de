// Portkey's gateway, on a Node whose fetch gives responses that it may change: node portkey.mjs --headless --port=PORT
const fetched = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const { body, status, headers } = await fetched(...request);
  return new Response(body, { status, headers: new Headers(headers) });
};
await import("../node_modules/@portkey-ai/gateway/build/start-server.js");
