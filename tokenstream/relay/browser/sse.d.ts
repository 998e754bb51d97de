export type Frame = {
    /**
     * Its type; "message" if the server has named none.
     */
    event: string;
    /**
     * Its data.
     */
    data: string;
    /**
     * The last id received, which may be that of an earlier event.
     */
    id: string;
    /**
     * True if this event itself has that id.
     */
    own: boolean;
};
/**
 * @typedef {object} Frame A server-sent event.
 * @property {string} event Its type; "message" if the server has named none.
 * @property {string} data Its data.
 * @property {string} id The last id received, which may be that of an earlier event.
 * @property {boolean} own True if this event itself has that id.
 */
/** Parses server-sent events from bytes in arbitrary pieces, as the HTML standard defines them. */
export declare class Frames {
    #private;
    /** The last id received. */
    lastId: string;
    /** @type {number | null} Milliseconds to wait before reconnecting, as sent by the server. */
    retry: number | null;
    /** Return the events that a piece completes. @param {Uint8Array} piece */
    feed(piece: Uint8Array): Frame[];
}
