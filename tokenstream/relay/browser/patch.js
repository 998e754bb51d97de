// @ts-check
/**
 * Apply a JSON patch (RFC 6902), with the additional operation `append`, which extends a string.
 *
 * The document is changed in place; a new one is returned only if the patch replaces the whole.
 * Keys come from the model: `__proto__` is an ordinary key, and reaches no prototype.
 *
 * @param {any} document
 * @param {{op: string, path: string, from?: string, value?: any}[]} patch
 * @returns {any}
 */
export function applyPatch(document, patch) {
  const root = { "": document };
  for (const { op, path, from, value } of patch) {
    const [holder, key] = place(root, path);
    const there = Array.isArray(holder) ? Number(key) < holder.length : Object.hasOwn(holder, key);
    if (op === "add") set(holder, key, value, true);
    else if (op === "move" || op === "copy") {
      const source = place(root, from ?? "");
      const moved = get(...source);
      if (op === "copy") set(holder, key, structuredClone(moved), true);
      else if (path !== from) {
        if (`${path}/`.startsWith(`${from}/`)) throw new Error(`there is nothing at ${path}`);
        remove(...source);
        set(...place(root, path), moved, true);
      }
    } else if (!there && !(path === "" && op === "replace")) throw new Error(`there is nothing at ${path}`);
    else if (op === "replace") set(holder, key, value, false);
    else if (op === "remove") remove(holder, key);
    else if (op === "append") set(holder, key, `${get(holder, key)}${value}`, false);
    else if (op === "test") {
      if (!same(get(holder, key), value)) throw new Error(`there is another value at ${path}`);
    } else throw new Error(`there is no operation ${op}`);
  }
  return root[""];
}

/** @param {any} root @param {string} path @returns {[any, string]} */
function place(root, path) {
  const keys = path.split("/").map(key => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = keys.pop() ?? "";
  const holder = keys.reduce(get, root);
  if (!(holder instanceof Object) || (Array.isArray(holder) && !/^(0|[1-9]\d*|-)$/.test(key))) throw new Error(`there is nothing at ${path}`);
  return [holder, key];
}

/** @param {any} holder @param {string} key */
function get(holder, key) {
  if (!(holder instanceof Object) || !Object.hasOwn(holder, key) || (Array.isArray(holder) && key === "length")) {
    throw new Error(`there is nothing at ${key}`);
  }
  return holder[key];
}

/** @param {any} holder @param {string} key @param {any} value @param {boolean} add */
function set(holder, key, value, add) {
  if (Array.isArray(holder) && add) {
    const at = key === "-" ? holder.length : Number(key);
    if (at > holder.length) throw new Error(`there is nothing at ${key}`);
    holder.splice(at, 0, value);
  } else Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

/** @param {any} holder @param {string} key */
function remove(holder, key) {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

/** @param {any} one @param {any} other @returns {boolean} */
function same(one, other) {
  if (!(one instanceof Object && other instanceof Object)) return one === other;
  const keys = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && keys.length === Object.keys(other).length && keys.every(key => Object.hasOwn(other, key) && same(one[key], other[key]));
}
