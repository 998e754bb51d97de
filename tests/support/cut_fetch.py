"""A `fetch` for pages whose first response breaks off, as a lost connection does."""

CUT_FETCH = """
// Makes a fetch whose first response breaks off once a word has come; it notes the requests.
const cutFetch = (fetch, word) => {
  const cut = async (url, init) => {
    const response = await fetch(url, init);
    cut.requests.push(`${init.method ?? "GET"} ${new URL(url, location.href)}`);
    if (cut.requests.length > 1) return response;
    const reader = response.body.getReader();
    let sent = "";
    const body = new ReadableStream({
      async pull(controller) {
        const { value } = await reader.read();
        sent += new TextDecoder().decode(value);
        controller.enqueue(value);
        if (sent.includes(word)) controller.error(new TypeError("network error"));
      },
    });
    const broken = new Response(body, { status: response.status, headers: response.headers });
    return Object.defineProperty(broken, "url", { value: response.url });
  };
  cut.requests = [];
  return cut;
};
"""
"""Source of a function of JavaScript."""
