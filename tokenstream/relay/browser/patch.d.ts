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
export declare function applyPatch(document: any, patch: {
    op: string;
    path: string;
    from?: string;
    value?: any;
}[]): any;
