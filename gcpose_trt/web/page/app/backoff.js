// How long to wait before trying again: longer each time, and not all clients at once.

const FIRST_MS = 400;
const LONGEST_MS = 8000;

export class Backoff {
  reset() {
    this.attempt = 0;
  }

  constructor() {
    this.reset();
  }

  /** Return milliseconds until the next attempt. */
  next() {
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.attempt++);
    return most * (0.6 + 0.4 * Math.random());
  }
}

/** Wait, or return early when `signal` aborts. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
