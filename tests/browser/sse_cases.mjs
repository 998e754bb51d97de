// Cases of server-sent events, checked in Node and in a browser alike.

/** Read pieces; returns what the standard makes of them. */
export function read(Frames, pieces) {
  const frames = new Frames();
  const events = pieces.flatMap(piece => frames.feed(piece).map(({ event, data, id }) => ({ event, data, id })));
  return { events, lastId: frames.lastId, retry: frames.retry };
}

/** Return the cases that are read otherwise than they say, at some chunking. */
export function wrongCases(Frames, cases) {
  return cases.flatMap(({ name, input_b64, events, final_last_event_id, final_retry }) => {
    const bytes = Uint8Array.from(atob(input_b64), byte => byte.charCodeAt(0));
    const known = events.map(({ event, data, id }) => ({ event, data, id }));
    const expected = JSON.stringify({ events: known, lastId: final_last_event_id, retry: final_retry });
    for (const pieces of chunkings(bytes, 20)) {
      if (JSON.stringify(read(Frames, pieces)) !== expected) return [[name, pieces.map(piece => piece.length).slice(0, 20)]];
    }
    return [];
  });
}

/** Yield the ways to cut bytes that are tried: whole, byte by byte, at each place, and at some pairs of places. */
export function* chunkings(bytes, pairs, seed = 1) {
  yield [bytes];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  // A long input is cut at some of its places: the work grows with the square of its length.
  const step = Math.ceil(bytes.length / 1000);
  for (let at = 1; at < bytes.length; at += step) yield [bytes.subarray(0, at), bytes.subarray(at), bytes.subarray(0, 0)];
  let state = seed;
  const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % (bytes.length + 1);
  for (let count = 0; count < pairs; count++) {
    const [one, other] = [next(), next()].sort((a, b) => a - b);
    yield [bytes.subarray(0, one), bytes.subarray(one, other), bytes.subarray(other)];
  }
}
