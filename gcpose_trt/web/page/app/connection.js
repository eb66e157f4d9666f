// The WebSocket: settings and statistics both ways, poses to us. Comes back by itself when it is lost.

import { Backoff, pause } from "./backoff.js";

const SILENCE_MS = 5000; // statistics come twice a second; a network that went away says nothing at all

export class Connection {
  /**
   * @param {(message: object) => void} receive every message, "hello" first
   * @param {(reason: string) => void} lost once for each loss
   */
  constructor(receive, lost) {
    this.receive = receive;
    this.lost = lost;
    this.source = 0;
    this.socket = null;
    this.backoff = new Backoff();
    this.heard = 0;
    this.hurry = new AbortController();
    setInterval(() => this.watch(), 1000);
    const now = () => this.hurry.abort();
    addEventListener("online", now);
    document.addEventListener("visibilitychange", () => document.hidden || now());
    this.open();
  }

  get connected() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Send a message; one that cannot be sent is dropped, for what it asks for is old when the connection is back. */
  send(message) {
    if (this.connected) this.socket.send(JSON.stringify(message));
  }

  /** Ask for the poses of another source. */
  select(source) {
    this.source = source;
    this.send({ type: "source", source });
  }

  open() {
    const url = new URL(`ws?source=${this.source}`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    const asked = this.source;
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      const message = JSON.parse(data);
      if (message.type === "hello") {
        this.backoff.reset();
        if (asked !== this.source) this.select(this.source);
      }
      this.receive(message);
    };
    socket.onclose = () => this.close(socket);
  }

  watch() {
    // A connection that is being opened may take longer, and a hidden page may be put to sleep.
    if (this.connected && !document.hidden && performance.now() - this.heard > SILENCE_MS) this.close(this.socket);
  }

  async close(socket) {
    if (socket !== this.socket) return;
    this.socket = null;
    socket.onclose = socket.onmessage = null;
    socket.close(); // may take long where the network is gone; nobody waits
    this.lost("Connection lost. Trying again…");
    await this.explain();
    this.hurry = new AbortController();
    await pause(this.backoff.next(), this.hurry.signal);
    this.open();
  }

  /** Ask why: a browser does not say why a WebSocket was refused. */
  async explain() {
    try {
      const { status } = await fetch("api/settings", { cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) });
      if (status === 401) location.assign("login");
      // It answers, so that nothing is wrong but the number of us.
      else if (this.backoff.attempt > 1) this.lost("Too many viewers at once. Trying again…");
    } catch {
      // Nobody there: the banner says so already.
    }
  }
}
