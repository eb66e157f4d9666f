// Reads a multipart stream of JPEG pictures. An <img> would show it with less code, but would not say which picture it
// shows, so that skeletons could not be drawn on the picture that they were found in.

const LIMIT = 32 * 2 ** 20; // bytes of one part; more is no picture of ours
const decoder = new TextDecoder("latin1");

/** Takes bytes as they come and yields whole parts. */
export class Multipart {
  constructor() {
    this.buffer = new Uint8Array(1 << 16);
    this.used = 0;
    this.part = null; // the headers of the part whose body is coming
  }

  /** Yield {headers: Map, body: Uint8Array} for each part that `bytes` complete; a body is valid until the next. */
  *push(bytes) {
    this.append(bytes);
    let start = 0;
    for (;;) {
      if (!this.part) {
        const end = this.endOfHeaders(start);
        if (end < 0) break;
        this.part = parseHeaders(decoder.decode(this.buffer.subarray(start, end)));
        start = end + 4;
      }
      const length = Number(this.part.get("content-length"));
      if (!Number.isInteger(length) || length < 0 || length > LIMIT) throw new Error("not a picture stream of ours");
      if (this.used - start < length) break;
      const headers = this.part;
      this.part = null;
      yield { headers, body: this.buffer.subarray(start, start + length) };
      start += length;
    }
    this.buffer.copyWithin(0, start, this.used);
    this.used -= start;
  }

  append(bytes) {
    const needed = this.used + bytes.length;
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.buffer.length));
      larger.set(this.buffer.subarray(0, this.used));
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.used = needed;
  }

  endOfHeaders(start) {
    for (let at = this.buffer.indexOf(13, start); at >= 0 && at + 4 <= this.used; at = this.buffer.indexOf(13, at + 1)) {
      // An empty line right after a body belongs to the boundary that follows.
      const blank = this.buffer[at + 1] === 10 && this.buffer[at + 2] === 13 && this.buffer[at + 3] === 10;
      if (blank && at > start) return at;
    }
    if (this.used - start > 8192) throw new Error("not a picture stream of ours");
    return -1;
  }
}

function parseHeaders(text) {
  const headers = new Map();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** Decodes one picture at a time; of those that come meanwhile only the newest waits. */
class Decoder {
  constructor(show) {
    this.show = show;
    this.waiting = null;
    this.busy = false;
    this.closed = false;
  }

  take(sequence, body) {
    // A Blob copies the bytes, which the parser is going to overwrite.
    this.waiting = { sequence, blob: new Blob([body], { type: "image/jpeg" }) };
    if (!this.busy) this.run();
  }

  async run() {
    this.busy = true;
    while (this.waiting && !this.closed) {
      const { sequence, blob } = this.waiting;
      this.waiting = null;
      let bitmap = null;
      try {
        bitmap = await createImageBitmap(blob);
      } catch {
        continue; // one broken picture; the next one comes soon
      }
      if (this.closed) bitmap.close();
      else this.show(sequence, bitmap);
    }
    this.busy = false;
  }
}

/**
 * Read a picture stream until it ends.
 * @param {string} url
 * @param {AbortSignal} signal
 * @param {(sequence: number, bitmap: ImageBitmap) => void} show owns the bitmap
 * @throws {Error} with a `status` where the server refused
 */
export async function readStream(url, signal, show) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error(`the server answered ${response.status}`), { status: response.status });
  const reader = response.body.getReader();
  const parser = new Multipart();
  const pictures = new Decoder(show);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const { headers, body } of parser.push(value)) pictures.take(Number(headers.get("x-sequence")), body);
    }
  } finally {
    pictures.closed = true;
    reader.cancel().catch(() => {});
  }
}
